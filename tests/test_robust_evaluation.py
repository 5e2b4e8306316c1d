"""Robust accuracy of a classifier: counts, names, resuming, mistakes."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from attack_support import mlp, mlp_problem
from ml_collections import ConfigDict

from jaxvision import config as config_lib
from jaxvision import interruption
from jaxvision.attacks import fgsm, pgd, stages
from jaxvision.errors import UserError
from jaxvision.methods.common import robust_attacks, robust_evaluation

ROWS = 8


def settings(name="pgd", *, seed=0, **fields):
  attack = {**config_lib.ATTACK, "name": name, "eps": 0.1, **fields}
  return ConfigDict({"seed": seed, "attack": attack})


def problem():
  """Three batches, the last one padded; the first image's label is wrong."""
  _, weights, x, y = mlp_problem(rows=20)
  x, y = np.asarray(x), np.array(y)
  y[0] = (y[0] + 1) % 5
  batches = []
  for first in (0, 8, 16):
    rows = np.resize(np.arange(first, min(first + ROWS, 20)), ROWS)
    mask = (np.arange(ROWS) < 20 - first).astype(np.float32)
    batches.append({"image": x[rows], "label": y[rows].astype(np.int32), "mask": mask})
  return weights, batches, jnp.asarray(x), jnp.asarray(y)


def evaluate(config, weights, batches, **more):
  lines = []
  found = robust_evaluation.evaluate(
    config, mlp, weights, batches, report=lines.append, **more
  )
  return found, lines


def test_counts_are_those_of_the_attack_itself():
  weights, batches, x, y = problem()
  found, lines = evaluate(settings("fgsm", eps=0.03), weights, batches)
  clean = np.asarray(mlp(weights, x).argmax(1) == y)
  x_adv = fgsm(mlp, x, y, eps=0.03, variables=weights)
  robust = clean & np.asarray(mlp(weights, x_adv).argmax(1) == y)
  assert found.examples == 20
  assert found.stages == {"clean": clean.mean(), "fgsm": robust.mean()}
  assert found.metrics == {
    "robust/fgsm": robust.mean(), "robust/fgsm/clean": clean.mean()
  }  # fmt: skip
  assert 0 < robust.mean() < clean.mean() == 0.95
  assert lines[0].startswith("batch 1: fgsm: ") and len(lines) == 3


@pytest.mark.parametrize(
  ("fields", "label"),
  [
    ({"name": "pgd", "steps": 3}, "pgd3"),
    ({"name": "pgd", "steps": 2, "loss": "cw", "restarts": 2}, "pgd2-cwx2"),
    ({"name": "apgd", "steps": 4, "loss": "dlr"}, "apgd-dlr4"),
    ({"name": "apgd-dlr", "steps": 3, "loss": "ce"}, "apgd-dlr3"),
    ({"name": "apgd-t", "steps": 2}, "apgd-t2"),
    ({"name": "fab", "steps": 2}, "fab-t2"),
    ({"name": "square", "queries": 9}, "square9"),
  ],
)
def test_names_tell_what_was_run(fields, label):
  weights, batches, _, _ = problem()
  found, _ = evaluate(settings(**fields), weights, batches[:1])
  assert list(found.stages) == ["clean", label]
  assert 0 <= found.metrics[f"robust/{label}"] < found.stages["clean"]


@pytest.mark.parametrize(
  ("name", "label"),
  [
    ("pgd", "pgd20"), ("pgd-ce", "pgd20"), ("pgd-cw", "pgd20-cw"),
    ("apgd", "apgd-ce"), ("apgd-t", "apgd-t"), ("square", "square"),
  ],
)  # fmt: skip
def test_an_attack_with_its_own_numbers_has_its_plain_name(name, label):
  assert robust_attacks.choose(settings(name).attack).label == label


def test_autoattack_reports_its_stages(monkeypatch):
  weights, batches, _, _ = problem()
  shares = iter(
    [
      {"clean": 7 / 8, "apgd-ce": 4 / 8, "square": 3 / 8},
      {"clean": 1.0, "apgd-ce": 2 / 8, "square": 2 / 8},
      {"clean": 1.0, "apgd-ce": 1.0, "square": 1 / 4},
    ]
  )
  monkeypatch.setattr(
    robust_attacks,
    "auto_attack",
    lambda key, logits_fn, x, y, **more: (x, None, next(shares)),
  )
  found, _ = evaluate(settings("autoattack"), weights, batches)
  assert found.stages == {"clean": 19 / 20, "apgd-ce": 10 / 20, "square": 6 / 20}
  assert found.metrics["robust/autoattack"] == 6 / 20
  assert found.metrics["robust/autoattack/apgd-ce"] == 10 / 20


def test_squares_gain_counts_over_all_batches(monkeypatch):
  weights, batches, _, _ = problem()
  kept = lambda share: {"clean": 1.0, "fab-t": 1.0, "square": share}
  lines = {}
  for gain in (0, 1):
    shares = iter([kept(1.0), kept(1 - gain / 8), kept(1.0)])
    monkeypatch.setattr(
      robust_attacks,
      "auto_attack",
      lambda key, logits_fn, x, y, *, shares=shares, **more: (x, None, next(shares)),
    )
    _, lines[gain] = evaluate(settings("autoattack"), weights, batches)
  assert lines[0] == []
  (line,) = lines[1]
  assert "warning: Square took the robust accuracy from 100.00% to 95.00%" in line


def test_autoattack_runs(monkeypatch):
  monkeypatch.setattr(stages, "STEPS", 2)
  monkeypatch.setattr(stages, "QUERIES", 4)
  weights, batches, _, _ = problem()
  found, lines = evaluate(settings("autoattack", eps=0.03), weights, batches[2:])
  assert found.examples == 4
  assert list(found.stages) == ["clean", "apgd-ce", "apgd-t", "fab-t", "square"]
  assert found.metrics["robust/autoattack"] == found.stages["square"]
  assert lines[0] == "batch 1: clean: 4 of 4 right" and len(lines) == 11


def counted(monkeypatch):
  """Counts attacks of batches, and lets SIGTERM arrive during one of them."""
  seen = {"attacks": 0, "kill": 0}

  def attack(*args, **more):
    seen["attacks"] += 1
    if seen["attacks"] == seen["kill"]:
      raise interruption.Interrupted
    return pgd(*args, **more)

  monkeypatch.setattr(robust_attacks, "pgd", attack)
  return seen


def test_a_killed_run_goes_on_behind_its_last_batch(tmp_path, monkeypatch):
  weights, batches, _, _ = problem()
  config, path = settings(steps=2), tmp_path / "attack" / "progress.json"
  whole, _ = evaluate(config, weights, batches)
  seen = counted(monkeypatch)
  seen["kill"] = 3
  with pytest.raises(interruption.Interrupted):
    evaluate(config, weights, batches, progress=path)
  assert len(json.loads(path.read_text())["batches"]) == 2
  resumed, lines = evaluate(config, weights, batches, progress=path)
  assert resumed == whole and lines[0] == "resumed from batch 3"
  assert seen["attacks"] == 4
  again, _ = evaluate(config, weights, batches, progress=path)
  assert again == whole and seen["attacks"] == 4


def test_sigterm_between_batches_ends_the_run(tmp_path, monkeypatch):
  weights, batches, _, _ = problem()
  monkeypatch.setattr(interruption, "requested", lambda: True)
  with pytest.raises(interruption.Interrupted):
    evaluate(settings("fgsm"), weights, batches, progress=tmp_path / "p.json")


def test_progress_of_something_else_is_not_taken(tmp_path, monkeypatch):
  weights, batches, _, _ = problem()
  path = tmp_path / "progress.json"
  evaluate(settings(steps=2), weights, batches, progress=path)
  seen = counted(monkeypatch)
  other_weights = jax.tree.map(lambda w: w * 1.01, weights)
  for config, own in (
    (settings(steps=3), weights),
    (settings(steps=2, seed=1), weights),
    (settings(steps=2), other_weights),
  ):
    before = seen["attacks"]
    _, lines = evaluate(config, own, batches, progress=path)
    assert seen["attacks"] == before + 3 and "starting fresh" in lines[0]
  path.write_text("{ broken")
  _, lines = evaluate(settings(steps=2), weights, batches, progress=path)
  assert "starting fresh" in lines[0]
  before = seen["attacks"]
  evaluate(settings(steps=2), weights, [batches[0], batches[2]], progress=path)
  assert seen["attacks"] == before + 1


def test_uint8_images_are_taken():
  weights, batches, _, _ = problem()
  bytes_batch = {
    "image": np.round(255 * batches[0]["image"]).astype(np.uint8),
    "label": batches[0]["label"],
  }
  found, _ = evaluate(settings("fgsm", eps=0.0), weights, [bytes_batch])
  assert found.examples == ROWS and found.stages["clean"] == found.stages["fgsm"]


def test_mistakes_are_named():
  weights, batches, _, _ = problem()
  with pytest.raises(UserError, match="name='cw'; choose one of fgsm, pgd"):
    evaluate(settings("cw"), weights, batches)
  with pytest.raises(UserError, match="eps=8"):
    evaluate(settings("fgsm", eps=8.0), weights, batches)
  with pytest.raises(UserError, match="no image"):
    evaluate(settings("fgsm"), weights, [])
  wide = [{**batches[0], "image": 2 * batches[0]["image"]}]
  with pytest.raises(UserError, match="Normalise inside the network"):
    evaluate(settings("fgsm"), weights, wide)
