"""Temporal data that are missing or wrong: what is named, and planned without files."""

import numpy as np
import pytest
from annotation_support import sentence
from temporal_support import DATABASE, WIDTH, config, load, names, video, write

from jaxvision.data import temporal


def test_missing_features_are_an_error_or_a_note(tmp_path):
  message = sentence(load, tmp_path, skip=["b"])
  assert "features has no features of 1 of the 3 videos" in message
  assert "such as 'b'" in message and "skip_missing=True" in message
  data = load(tmp_path, skip=["b"], skip_missing=True)
  assert names(data.splits["train"]) == ["a"] and "1 of the 3 videos" in data.note
  assert set(data.splits["train"].truth.video) == {0}


def test_no_features_at_all_is_an_error_always(tmp_path):
  message = sentence(load, tmp_path, prefix="x_", skip_missing=True)
  assert "--config.data.prefix" in message


@pytest.mark.parametrize("width", [0, WIDTH])
def test_a_file_of_another_width_is_named(tmp_path, width):
  files = write(tmp_path, steps=[20, 21, 22, 23])
  np.save(tmp_path / "features" / "c.npy", np.ones((20, 4), np.float32))
  message = sentence(temporal.load_temporal, config(**files, width=width))
  assert "c.npy" in message and "(20, 4)" in message and str(WIDTH) in message


def test_a_damaged_file_is_named(tmp_path):
  files = write(tmp_path)
  (tmp_path / "features" / "c.npy").write_bytes(b"none")
  assert "c.npy" in sentence(temporal.load_temporal, config(**files))
  examples = load(tmp_path, resident_bytes=0).splits["val"]
  np.save(tmp_path / "features" / "c.npy", np.full((20, 3), np.nan))
  assert "c.npy" in sentence(examples.__getitem__, np.array([0]))


def test_too_many_segments_are_refused(tmp_path):
  message = sentence(load, tmp_path, max_segments=2)
  assert "'c'" in message and "3 segments" in message and "max_segments is 2" in message
  assert load(tmp_path, max_segments=5).splits["val"].segments.shape == (1, 5, 2)


def test_training_needs_segments(tmp_path):
  database = {"a": video("training"), "c": DATABASE["c"]}
  assert "has a segment" in sentence(load, tmp_path, database, train="training")
  assert "no segments" in sentence(load, tmp_path, {"a": video("training")})


@pytest.mark.parametrize(
  "fields, words",
  [
    ({"features": "x"}, "annotations is not"),
    ({"annotations": "x"}, "features is not"),
    ({"name": "charades"}, "'charades' is unknown: give generated or activitynet"),
    ({"window": "all"}, "window='all'"),
    ({"mode": "cubic"}, "mode='cubic'"),
    ({"layout": "tdd"}, "layout='tdd'"),
    ({"invalid": "drop"}, "invalid='drop'"),
    ({"keep": 0.0}, "keep=0.0"),
    ({"length": -1}, "length=-1"),
    ({"stride": 0}, "stride=0"),
    ({"step": -1.0}, "step=-1.0"),
    ({"first": 0.5}, "without --config.data.step"),
    ({"limit": -1}, "limit=-1"),
    ({"validation": 1.5}, "validation=1.5"),
  ],
)
def test_mistakes_in_the_config_are_named(fields, words):
  for read in (temporal.load_temporal, temporal.abstract_temporal):
    message = sentence(read, config(**fields))
    assert words in message and "--config.data." in message


def test_known_data_sets_are_planned_without_files():
  known = config(name="activitynet", length=512)
  plan = temporal.abstract_temporal(known)
  assert len(plan.classes) == 200 and plan.splits["train"].shape == (512, 2048)
  assert {k: len(v) for k, v in plan.splits.items()} == {
    "train": 10_024, "val": 4_926, "test": 4_926,
  }  # fmt: skip
  assert "needs files" in sentence(temporal.load_temporal, known)
  sliding = config(name="thumos14", window="sliding", validation=0.0, width=400)
  plan = temporal.abstract_temporal(sliding)
  assert plan.note and len(plan.splits["train"]) == 200 and not plan.splits["val"]
  assert plan.splits["test"].shape == (8, 400)


def test_expected_files_name_what_is_set():
  assert "no files" in temporal.expected_files(config())[0]
  for fields in ({"features": "F", "annotations": "A"}, {"name": "thumos14"}):
    features, annotations = temporal.expected_files(config(**fields))
    assert features.startswith(fields.get("features", "--config.data.features"))
    assert annotations.startswith(
      fields.get("annotations", "--config.data.annotations")
    )
