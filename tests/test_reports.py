"""What a run says: JSON lines, tables, the terminal; files whole or not at all."""

import builtins
import json
import sys

import pytest

from jaxvision import files
from jaxvision.errors import UserError
from jaxvision.train import reports


@pytest.fixture
def report(tmp_path):
  opened = reports.Reports(tmp_path)
  yield opened
  opened.close()


def rows(folder):
  return [json.loads(x) for x in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_line_is_a_json_row_that_is_there_at_once(report, tmp_path):
  report.line("train", 3, "train", {"loss": 0.5, "top/1": 1.0})
  report.line("train", 4, "val", {"loss": 0.25})
  assert rows(tmp_path) == [
    {"stage": "train", "step": 3, "split": "train", "loss": 0.5, "top/1": 1.0},
    {"stage": "train", "step": 4, "split": "val", "loss": 0.25},
  ]


def test_off_a_terminal_a_line_is_printed(report, capsys):
  report.start("train", 0, 10)  # no bar
  report.line("train", 3, "train", {"loss": 0.123456, "top/1": 1.0})
  report.advance(3, 17.0)
  report.line("train", 4, "val", {"loss": 2e-7})
  report.say("train: resumed from [step] 3 " + "x" * 200)
  report.stop()
  out = capsys.readouterr().out.splitlines()
  assert out == [
    "train      3 train  loss 0.1235  top/1 1",
    "train      4 val    loss 2e-07",
    "train: resumed from [step] 3 " + "x" * 200,  # as it is, unbroken
  ]


def test_on_a_terminal_a_bar_shows_rate_and_losses(tmp_path, monkeypatch, capsys):
  monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
  monkeypatch.setenv("FORCE_COLOR", "1")
  monkeypatch.setenv("COLUMNS", "150")
  report = reports.Reports(tmp_path)
  report.start("warmup", 2, 10)
  report.line("warmup", 5, "train", {"loss": 0.125})
  report.advance(5, 17.4)
  report.line("warmup", 6, "val", {"accuracy": 0.75})
  report.close()
  out = capsys.readouterr().out
  for text in ("warmup", "5/10", "17 steps/s", "loss 0.125", "accuracy 0.75"):
    assert text in out
  assert len(rows(tmp_path)) == 2


def write(folder, *lines, end="\n"):
  text = "\n".join(json.dumps({"stage": s, "step": i}) for s, i in lines)
  (folder / "metrics.jsonl").write_text(text + end)


def steps(folder):
  return [(row["stage"], row["step"]) for row in rows(folder)]


def test_rewinding_drops_later_lines_of_this_stage_alone(report, tmp_path):
  report.rewind("a", 3)  # there is no file yet
  write(tmp_path, ("a", 2), ("b", 9), ("a", 3), ("a", 4))
  report.rewind("a", 3)
  assert steps(tmp_path) == [("a", 2), ("b", 9), ("a", 3)]
  report.rewind("a", -1)
  assert steps(tmp_path) == [("b", 9)]


@pytest.mark.parametrize("cut", ['{"stage": "a", "st', "{", "\x00\x00\x00"])
def test_rewinding_drops_a_line_that_a_kill_cut_short(report, tmp_path, cut):
  write(tmp_path, ("a", 1), ("a", 2), end="\n" + cut)
  report.rewind("a", 5)
  report.line("a", 3, "train", {})
  assert steps(tmp_path) == [("a", 1), ("a", 2), ("a", 3)]


def test_a_last_line_without_its_end_is_kept_and_ended(report, tmp_path):
  write(tmp_path, ("a", 1), ("a", 2), end="")
  report.rewind("a", 5)
  report.line("a", 3, "train", {})
  assert steps(tmp_path) == [("a", 1), ("a", 2), ("a", 3)]


def test_lines_after_rewinding_an_open_file_are_not_lost(report, tmp_path):
  write(tmp_path, ("b", 4))
  report.line("a", 1, "val", {})  # an earlier stage writes first
  report.rewind("b", -1)
  report.line("b", 1, "train", {})
  assert steps(tmp_path) == [("a", 1), ("b", 1)]


def test_rewinding_leaves_a_file_alone_that_is_right(report, tmp_path):
  write(tmp_path, ("a", 1))
  before = (tmp_path / "metrics.jsonl").stat().st_ino
  report.rewind("a", 1)
  assert (tmp_path / "metrics.jsonl").stat().st_ino == before


def test_tensorboard_is_asked_for_by_name_when_missing(tmp_path, monkeypatch):
  real = builtins.__import__

  def fake(name, *args, **kwargs):
    if name.startswith("tensorboardX"):
      raise ImportError(name)
    return real(name, *args, **kwargs)

  monkeypatch.setattr(builtins, "__import__", fake)
  sentence = r"config.log.tensorboard needs tensorboardX: pip install 'jaxvision\[tb\]'"
  with pytest.raises(UserError, match=sentence):
    reports.Reports(tmp_path / "run", tensorboard=True)
  assert not (tmp_path / "run").exists()
  reports.Reports(tmp_path / "run").close()


def test_tensorboard_gets_the_same_values(tmp_path):
  pytest.importorskip("tensorboardX")
  report = reports.Reports(tmp_path, tensorboard=True)
  report.line("train", 3, "val", {"loss": 0.5})
  report.close()
  (events,) = (tmp_path / "tensorboard").iterdir()
  assert b"train/val/loss" in events.read_bytes()


def test_a_table_shows_numbers_intervals_and_the_best_if_it_differs(capsys):
  reports.show_table(
    "toy on digits",
    {
      "accuracy": 0.91234,
      "best/accuracy": 0.91234,
      "loss": 1.5,
      "best/loss": 1.25,
      "teacher/map": 0.5,
      "teacher/best/map": 0.75,
      "seeds": {"mean": 0.5, "ci95": 0.125, "sd": 1.0, "values": [1.0]},
      "count": 12,
    },
  )
  out = capsys.readouterr().out
  for text in (
    "toy on digits",
    "0.9123",
    "1.2500",
    "0.7500",
    "0.5000 ± 0.1250",
    " 12 ",
  ):
    assert text in out
  assert "best/accuracy" not in out and "teacher/best/map" in out


def test_show_prints_one_line(capsys):
  reports.show("results are in [x]")
  assert capsys.readouterr().out == "results are in [x]\n"


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
  path = tmp_path / "a" / "results.json"
  files.write_json(path, {"x": [1, 2]})
  assert json.loads(path.read_text()) == {"x": [1, 2]}
  assert path.read_text().endswith("}\n")

  def full(_):
    raise OSError("no space left on device")

  monkeypatch.setattr(files.os, "fsync", full)
  with pytest.raises(OSError, match="no space"):
    files.write_json(path, {"x": 3})
  assert json.loads(path.read_text()) == {"x": [1, 2]}
  assert [p.name for p in path.parent.iterdir()] == ["results.json"]
  with pytest.raises(TypeError):
    files.write_json(path, {"x": object()})
  assert json.loads(path.read_text()) == {"x": [1, 2]}
