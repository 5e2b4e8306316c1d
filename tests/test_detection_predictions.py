"""Predictions on feature files, whole or in windows, and the protocols of measuring."""

import json

import numpy as np
import pytest

from configs import gtan as config_file
from jaxvision import experiment
from jaxvision.data.temporal import TemporalDataset, TemporalExamples, Windows
from jaxvision.errors import UserError
from jaxvision.methods.common import detection_inputs, detection_predictions
from jaxvision.methods.common.detection_inputs import Piece
from jaxvision.methods.common.detection_metrics import measure
from jaxvision.metrics.temporal import Segments

LENGTH, WIDTH = 16, 2


def split(names=("known",), *, start=0.0, end=40.0):
  """One video of 40 seconds with an action of class 1 from 10 to 20 seconds."""
  truth = Segments(np.array([0]), np.array([1]), np.array([10.0]), np.array([20.0]))
  none = Segments(*(x[:0] for x in truth[:4]))
  return TemporalExamples(
    features=np.zeros((1, LENGTH, WIDTH), np.float32),
    segments=np.zeros((1, 1, 2), np.float32),
    label=np.zeros((1, 1), np.int32),
    valid=np.zeros((1, 1), bool),
    windows=Windows(
      np.array([0]), np.array([start]), np.array([end]), np.array([40.0])
    ),
    truth=truth,
    ambiguous=none,
    videos=names,
  )


def data(**kwargs):
  return TemporalDataset("test", "", ("run", "jump"), {"train": split(**kwargs)})


def config(**changes):
  found = config_file.get_config("greedy")
  found.update_from_flattened_dict({"data.length": LENGTH, **changes})
  return found


def output(*segments, label=1):
  """One window's predictions: segments of score 1/2, and one anchor."""
  n = len(segments)
  return {
    "segments": np.array(segments, np.float32),
    "label": np.full(n, label, np.int32),
    "score": np.full(n, 0.5, np.float32),
    "anchors": np.array([[0.5, 0.25]], np.float32),
    "valid": np.array([True]),
    "layer": np.array([1], np.int32),
  }


def write(outputs, folder, *, known=None, **changes):
  detection_predictions.write(config(**changes), known or data(), outputs, folder)
  return json.loads((folder / "results.json").read_text())["results"]


def test_names_of_pieces_come_back():
  for piece in (Piece("a"), Piece("a@b/c"), Piece("a@1/2", 3, 40), Piece("v", 0, 7)):
    assert Piece.parse(piece.name) == piece


def test_a_known_video_is_answered_in_seconds(tmp_path):
  (row,) = write({"known": output((0.25, 0.5))}, tmp_path)["known"]
  assert row["segment"] == [10.0, 20.0] and row["label"] == "jump"
  assert list(tmp_path.glob("*known*.png"))


def test_a_file_with_the_customary_prefix_is_the_known_video(tmp_path):
  assert list(write({"v_known": output((0.25, 0.5))}, tmp_path)) == ["known"]


def test_an_unknown_video_is_answered_in_fractions(tmp_path):
  (row,) = write({"other": output((0.25, 0.5))}, tmp_path)["other"]
  assert row["segment"] == [0.25, 0.5]


def test_windows_of_a_video_are_merged(tmp_path):
  # Windows of 16 of 24 steps: both see steps 8 to 12.
  pieces = [Piece("other", 0, 24), Piece("other", 8, 24)]
  found = [output((8 / 16, 12 / 16)), output((0.0, 4 / 16), (12 / 16, 1.0))]
  outputs = {p.name: f for p, f in zip(pieces, found, strict=True)}
  outputs[pieces[0].name] = {
    k: np.repeat(v, 2, 0) if len(v) == 1 and k in ("segments", "label", "score") else v
    for k, v in found[0].items()
  }
  rows = write(outputs, tmp_path, **{"data.window": "sliding"})["other"]
  times = sorted(row["segment"] for row in rows)
  np.testing.assert_allclose(times, [[8 / 24, 12 / 24], [20 / 24, 1.0]], atol=1e-6)


@pytest.mark.parametrize(
  "changes, known, expected",
  [
    ({"data.step": 0.5}, False, [6.0, 8.0]),  # (8 + 16/4, 8 + 16/2) steps
    ({"data.step": 0.5, "data.first": 1.25}, False, [7.0, 9.0]),
    ({}, True, [12.0, 16.0]),  # a window of the known video has 16 seconds here
  ],
)
def test_steps_tell_the_time(tmp_path, changes, known, expected):
  video = "known" if known else "other"
  outputs = {Piece(video, 8, 40).name: output((0.25, 0.5))}
  (row,) = write(
    outputs, tmp_path, known=data(end=16.0), **{"data.window": "sliding", **changes}
  )[video]
  np.testing.assert_allclose(row["segment"], expected)


def test_reader_slides_as_training_does(tmp_path):
  x = np.arange(40 * WIDTH, dtype=np.float32).reshape(40, WIDTH)
  np.save(tmp_path / "a.npy", x)
  fields = config(**{"data.window": "sliding", "data.stride": 10}).data
  found = dict(detection_inputs.reader(split(), fields)([str(tmp_path)]))
  assert [Piece.parse(name).first for name in found] == [0, 10, 20, 24]
  for name, window in found.items():
    first = Piece.parse(name).first
    np.testing.assert_array_equal(window, x[first : first + LENGTH])


def test_reader_pads_a_short_video(tmp_path):
  np.save(tmp_path / "a.npy", np.ones((5, WIDTH), np.float32))
  fields = config(**{"data.window": "sliding"}).data
  ((name, window),) = detection_inputs.reader(split(), fields)([str(tmp_path)])
  assert Piece.parse(name) == Piece("a", 0, 5)
  assert window[:5].all() and not window[5:].any() and window.shape == (LENGTH, WIDTH)


def test_missing_inputs_are_named(tmp_path):
  with pytest.raises(UserError, match=r"has no \.npy"):
    list(detection_inputs.reader(split(), config().data)([str(tmp_path)]))


def test_thumos_drops_what_is_ambiguous():
  truth = Segments(np.array([0]), np.array([0]), np.array([0.0]), np.array([10.0]))
  ambiguous = truth._replace(start=np.array([50.0]), end=np.array([60.0]))
  found = Segments(
    np.array([0, 0]), np.array([0, 0]), np.array([52.0, 0.0]), np.array([58.0, 10.0]),
    np.array([0.9, 0.8]),
  )  # fmt: skip
  thumos = config_file.get_config("thumos14").metric
  activitynet = config_file.get_config().metric
  assert measure(truth, found, thumos, ambiguous=ambiguous)["map/0.50"] == 1.0
  assert measure(truth, found, thumos)["map/0.50"] == 0.5
  assert measure(truth, found, activitynet, ambiguous=ambiguous)["map/0.50"] == 0.5
  assert {"map/0.10", "ar/100"} <= set(measure(truth, found, thumos))


def thumos_folder(folder, rng):
  """The devkit's files for twelve validation and four test videos, and features."""
  folder.mkdir()
  for subset, count in (("val", 12), ("test", 4)):
    lines = {"Diving": [], "Shotput": []}
    for i in range(count):
      video = f"video_{'validation' if subset == 'val' else 'test'}_{i:07d}"
      start = float(rng.integers(0, 30))
      lines[("Diving", "Shotput")[i % 2]].append(f"{video} {start} {start + 5.0}")
      np.save(folder.parent / f"{video}.npy", rng.normal(size=(96, 4)))
    for label, rows in lines.items():
      (folder / f"{label}_{subset}.txt").write_text("\n".join(rows) + "\n")
  (folder / "Ambiguous_test.txt").write_text("video_test_0000000 40.0 44.0\n")


def test_thumos_folder_trains_and_predicts_in_windows(tmp_path):
  annotations = tmp_path / "annotation"
  thumos_folder(annotations, np.random.default_rng(0))
  settings = config_file.get_config("thumos14")
  settings.update_from_flattened_dict(
    {
      "data.features": str(tmp_path),
      "data.annotations": str(annotations),
      "data.step": 0.5,
      "data.width": 0,
      "data.length": 64,
      "data.stride": 16,
      "batch_size": 8,
      "steps": 2,
      "model.base_widths": (8, 8),
      "model.anchor_widths": (8, 8, 8),
      "model.group_layers": (),
      "suppression.keep": 10,
      "suppression.candidates": 20,
      "optimizer.schedule.warmup": 0.0,
      "loss.force_best": True,
      "log.figures": False,
    }
  )
  run = tmp_path / "run"
  metrics = experiment.run(settings, run)["metrics"]
  assert {"map/0.10", "map/0.50", "map/avg"} <= set(metrics)
  video = str(tmp_path / "video_test_0000001.npy")
  experiment.run(settings, run, "predict", inputs=[video])
  content = json.loads((run / "predictions" / "results.json").read_text())
  rows = content["results"]["video_test_0000001"]
  assert 0 < len(rows) <= 10
  assert all(0 <= a < b <= 48 for a, b in (row["segment"] for row in rows))
