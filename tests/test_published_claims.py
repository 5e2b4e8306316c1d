"""Published reports: each number and verdict follows from the values of the seeds."""

import json
import pathlib

import numpy as np
import pytest
import toy_claims  # noqa: F401, puts `experiments` on sys.path
from scipy import stats

from experiments import claims
from experiments.reproduction import markdown, publish

FOLDER = pathlib.Path(__file__).parent.parent / "docs" / "claims"
METHODS = sorted(path.stem for path in FOLDER.glob("*.json"))
CLOSE = {"rel": 2e-5, "abs": 2e-7}  # seven digits are published


@pytest.fixture(scope="module", params=METHODS)
def report(request):
  return json.loads((FOLDER / f"{request.param}.json").read_text())


def mean_and_half(values):
  """Mean and half width of its 95 % interval, from a table of Student's t."""
  x = np.asarray(values)
  t = stats.t(len(x) - 1).ppf(0.975)
  return x.mean(), t * x.std(ddof=1) / np.sqrt(len(x))


def values(report, claim, arm):
  found = report["arms"][claim[arm]]
  by_seed = dict(
    zip(found["seeds"], found["metrics"][claim["metric"]]["values"], strict=True)
  )
  return np.array([by_seed[seed] for seed in claim["seeds"]])


def test_each_has_its_files():
  assert METHODS
  for end in (".md", ".png"):
    names = {path.stem for path in FOLDER.glob(f"*{end}")} - {"README"}
    assert names == set(METHODS)


def test_means_and_intervals_of_arms(report):
  for arm in report["arms"].values():
    for found in arm["metrics"].values():
      mean, half = mean_and_half(found["values"])
      assert found["mean"] == pytest.approx(mean, **CLOSE)
      assert found["ci95"] == pytest.approx(half, rel=1e-3, abs=1e-6)


def test_differences_and_verdicts(report):
  assert not report["missing"]
  for claim in report["claims"]:
    difference = values(report, claim, "arm") - values(report, claim, "against")
    mean, half = mean_and_half(difference)
    found = claim["difference"]
    expected = (mean, mean - half, mean + half)
    got = (found["mean"], found["low"], found["high"])
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=2e-6)
    sign = 1 if claim["direction"] == "higher" else -1
    worst, best = sorted((sign * found["low"], sign * found["high"]))
    verdict = "not shown"
    if worst > claim["by"]:
      verdict = "shown"
    elif best < claim["by"]:
      verdict = "contradicted"
    assert claim["verdict"] == verdict, claim["text"]


def test_markdown_prints_them(report):
  text = (FOLDER / f"{report['method']}.md").read_text()
  for claim in report["claims"][::7]:
    found = claim["difference"]
    numbers = f"{found['mean']:+.4f} | {found['low']:+.4f} to {found['high']:+.4f}"
    [line] = [line for line in text.splitlines() if f"| {claim['text']} | " in line]
    assert f"| {numbers} | {len(claim['seeds'])} | " in line
    assert line.replace("*", "").endswith(f"| {claim['verdict']} |")
  metric = next(iter(report["metrics"]))
  for name, arm in list(report["arms"].items())[::5]:
    found = arm["metrics"][metric]
    assert f"| {name} | `{arm['variant']}` | {len(arm['seeds'])} |" in text
    assert f"{found['mean']:.4f} ± {found['ci95']:.4f}" in text
  figure = {report["claims"][0]["metric"]: f"{report['method']}.png"}
  assert text == markdown.render(report, figures=figure)


def test_they_are_of_the_protocol(report):
  """A protocol that is changed after its runs is another one."""
  found = claims.load(report["method"])
  assert [c._asdict() for c in found.claims] == [
    {field: claim[field] for field in c._fields}
    for c, claim in zip(found.claims, report["claims"], strict=True)
  ]
  assert {name: arm.variant for name, arm in found.arms.items()} == {
    name: arm["variant"] for name, arm in report["arms"].items()
  }
  assert found.about == report["about"]
  first = found.first_seed
  assert report["seeds"] == list(range(first, first + found.seeds))


def test_table_over_papers():
  assert (FOLDER / publish.INDEX).read_text() == publish.index(FOLDER)


@pytest.mark.parametrize("method", claims.methods())
def test_claims_files_begin_with_their_paper(method):
  assert claims.title(method).endswith(")") and "\n" not in claims.title(method)
