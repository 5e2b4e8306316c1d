"""All papers in one call, and what is published of them."""

import html.parser
import json

import pytest
from toy_claims import FakeRun, protocol

from experiments import claims, reproduce
from experiments.reproduction import publish
from jaxvision import experiment
from jaxvision.errors import UserError
from jaxvision.viz import comparison

PAPERS = ("one", "three", "two")


@pytest.fixture
def train(tmp_path, monkeypatch):
  """Makes three papers of the toy protocol, and training a fake."""
  fake, found = FakeRun(), protocol(tmp_path, seeds=2)
  monkeypatch.setattr(claims, "methods", lambda: list(PAPERS))
  monkeypatch.setattr(claims, "load", lambda method, pilot=False: found)
  monkeypatch.setattr(claims, "title", lambda method: f"Paper {method} (Us, 2000)")
  monkeypatch.setattr(experiment, "run", fake)
  monkeypatch.setattr(comparison, "draw_comparison", draw)
  return fake


def draw(rows, path, *, xlabel):
  """Stands in for the figures of the reports, which take their time."""
  path.parent.mkdir(exist_ok=True)
  path.write_bytes(xlabel.encode())


def call(tmp_path, *flags):
  return reproduce.main([*flags, f"--workdir={tmp_path}/runs"])


class Links(html.parser.HTMLParser):
  """Collects where a page links to, what it shows, and its ids."""

  def __init__(self, text):
    super().__init__()
    self.links, self.images, self.ids = [], [], []
    self.feed(text)

  def handle_starttag(self, tag, attrs):
    found = dict(attrs)
    self.links += [found["href"]] if "href" in found else []
    self.images += [found["src"]] if "src" in found else []
    self.ids += [found["id"]] if "id" in found else []


def test_runs_all_and_resumes(tmp_path, train, capsys):
  train.fail_at = 7
  assert call(tmp_path) == 0
  assert "the same command resumes" in capsys.readouterr().out
  assert not (tmp_path / "runs" / "report.html").exists()
  train.fail_at = None
  assert call(tmp_path) == 0
  printed = capsys.readouterr().out
  assert len(train.calls) == 13  # the run that was stopped is taken up again
  assert "3 papers, 12 runs: 6 are finished, 6 are not" in printed
  assert "paper 2 of 3 (three), run 2 of 2: wide, seed 1" in printed
  assert "paper 3 of 3 (two), run 4 of 4: wide, seed 1" in printed


def test_one_page_and_one_text_of_all(tmp_path, train):
  assert call(tmp_path) == 0
  page = Links((tmp_path / "runs" / "report.html").read_text())
  assert page.links == [f"#{method}" for method in PAPERS] and page.ids == list(PAPERS)
  assert len(page.images) == 6
  assert all(image.startswith("data:image/png;base64,") for image in page.images)
  text = (tmp_path / "runs" / "report.md").read_text()
  assert "| Paper two (Us, 2000) | 4 | 3 | 1 | 1 | 1 |" in text
  assert "| all |  | 9 | 3 | 3 | 3 |" in text
  assert text.count("\n## Claims of ") == 3
  for line in text.splitlines():
    if line.startswith("!["):
      assert (tmp_path / "runs" / line.split("(")[-1].rstrip(")")).is_file()


def test_report_runs_nothing_and_tells_what_is_missing(tmp_path, train):
  assert call(tmp_path, "one") == 0
  assert call(tmp_path, "--report") == 0
  assert len(train.calls) == 4
  text = (tmp_path / "runs" / "report.md").read_text()
  assert "| Paper two (Us, 2000) | 0 of 4 | 3 | 0 | 0 | 0 | 3 |" in text


def test_a_paper_that_cannot_run_does_not_stop_the_others(
  tmp_path, train, monkeypatch, capsys
):
  def run(config, workdir, mode, *, source):
    if "three" in workdir.parts:
      raise UserError("its data are not here.")
    train(config, workdir, mode, source=source)

  monkeypatch.setattr(experiment, "run", run)
  assert call(tmp_path) == 2
  assert "error: three: its data are not here.\n" in capsys.readouterr().err
  text = (tmp_path / "runs" / "report.md").read_text()
  assert "Paper two" in text and "Paper three" not in text


def test_publishes_what_is_complete(tmp_path, train, capsys):
  assert call(tmp_path, "one", "two") == 0
  assert call(tmp_path, "three", "--seeds=2", "--only=wide") == 0
  target = tmp_path / "docs"
  assert call(tmp_path, f"--publish={target}") == 0
  assert "one, two" in capsys.readouterr().out
  names = {path.name for path in target.iterdir()}
  files = {
    f"{name}{end}" for name in ("one", "two") for end in (".json", ".md", ".png")
  }
  assert names == files | {"README.md"}
  text = (target / "two.md").read_text()
  assert "![Claims on test error](two.png)" in text and str(tmp_path) not in text
  assert "[Paper one (Us, 2000)](one.md)" in (target / "README.md").read_text()
  # Later, and elsewhere: what was published before stays in the table.
  assert call(tmp_path, "three") == 0
  assert call(tmp_path, "three", f"--publish={target}") == 0
  assert [report["method"] for report in publish.read(target)] == list(PAPERS)
  assert (target / "README.md").read_text() == publish.index(target)


def test_json_is_short_and_the_same(tmp_path, train):
  assert call(tmp_path, "one") == 0
  report = json.loads((tmp_path / "runs" / "one" / "report.json").read_text())
  text = publish.dump(publish.rounded(report))
  again = json.loads(text)
  assert max(map(len, text.splitlines())) < publish.WIDTH + 40  # a comma, a key
  difference = [found["claims"][0]["difference"] for found in (report, again)]
  assert difference[0]["low"] == pytest.approx(difference[1]["low"], rel=1e-6)
  assert again["arms"].keys() == report["arms"].keys()
  assert publish.rounded({"a": [0.1 + 0.2, 3, None, "x"]}) == {"a": [0.3, 3, None, "x"]}
