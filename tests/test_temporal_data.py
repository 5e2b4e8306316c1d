"""Features and annotations of the user's as windows with padded segments."""

import json

import numpy as np
import pytest
from annotation_support import sentence
from temporal_support import (
  DATABASE,
  WIDTH,
  config,
  load,
  names,
  ramp,
  targets,
  video,
  write,
)

from jaxvision.data import temporal
from jaxvision.data.batches import IndexBatches, padded_batches, stream_batches
from jaxvision.data.features import resize_features
from jaxvision.data.temporal_features import FileFeatures
from jaxvision.metrics.temporal import Segments, detection_average_precision


def test_two_fields_are_enough(tmp_path):
  data = load(tmp_path, prefix="v_")
  assert (data.name, data.note, data.classes) == ("truth", "", ("jump", "run"))
  train, val = data.splits["train"], data.splits["val"]
  assert names(train) == ["a", "b"] and names(val) == ["c"]
  assert data.splits["test"] is val  # nobody has the truth of "testing"
  assert train.shape == (8, WIDTH) and train.segments.shape == (2, 3, 2)
  assert targets(train, 0) == [
    (pytest.approx(0.2), pytest.approx(0.4), 1),
    (0.5, 1.0, 0),
  ]
  assert targets(train, 1) == [(0.0, pytest.approx(0.1), 1)]
  assert len(targets(val, 0)) == 3
  padded = ~train.valid
  assert not train.segments[padded].any() and not train.label[padded].any()


@pytest.mark.parametrize("mode", ["linear", "bin_mean"])
def test_a_resized_window_is_the_whole_video(tmp_path, mode):
  data = load(tmp_path, steps=[20, 5, 8, 1], mode=mode)
  train = data.splits["train"]
  for row, steps in enumerate((20, 5)):
    expected = resize_features(ramp(steps, row), 8, mode=mode)
    np.testing.assert_array_equal(train.features[row], expected)
  np.testing.assert_array_equal(train.windows.start, [0, 0])
  np.testing.assert_array_equal(train.windows.end, [10, 10])


def test_truth_in_seconds_matches_the_windows(tmp_path):
  val = load(tmp_path).splits["val"]
  seconds = val.windows.to_seconds(val.segments)
  truth = np.stack((val.truth.start, val.truth.end), -1)
  np.testing.assert_allclose(seconds[0], truth, rtol=1e-6)
  perfect = Segments(
    val.windows.video[[0, 0, 0]],
    val.label[0].astype(np.int64),
    *seconds[0].T,
    np.ones(3),
  )
  assert (detection_average_precision(val.truth, perfect, np.array([0.9])) == 1).all()


def test_sliding_windows_share_out_segments_and_end_with_zeros(tmp_path):
  # half a second a step; "a" has 20 steps, "b" 5 of its own duration
  database = {**DATABASE, "b": video("training", (0, 1, "run"), duration=2.5)}
  data = load(
    tmp_path, database, steps=[20, 5, 20, 20], window="sliding", stride=6, empty=True
  )
  train = data.splits["train"]
  assert names(train) == ["a", "a", "a", "b"]
  np.testing.assert_allclose(train.windows.start, [0, 3, 6, 0])
  np.testing.assert_allclose(train.windows.end, [4, 7, 10, 4])
  np.testing.assert_allclose(train.windows.duration, [10, 10, 10, 2.5])
  for row, first in enumerate((0, 6, 12)):
    np.testing.assert_array_equal(train.features[row], ramp(20)[first : first + 8])
  np.testing.assert_array_equal(train.features[3, :5], ramp(5, 1))
  np.testing.assert_array_equal(train.features[3, 5:], 0)
  assert [len(targets(train, row)) for row in range(4)] == [1, 0, 0, 1]
  assert targets(train, 0) == [(0.5, 1.0, 1)]
  assert len(train.truth.video) == 3  # also what no window keeps
  np.testing.assert_allclose(
    train.windows.take(np.array([1, 3])).to_seconds(
      np.array([[[0.5, 1.0]], [[0.0, 0.9]]])
    ),
    [[[5, 7]], [[0, 2.5]]],  # a detection ends with its video
  )


def test_keep_and_empty_decide_what_is_trained_on(tmp_path):
  fields = {"window": "sliding", "stride": 6}
  database = {**DATABASE, "c": video("validation", (1, 2, "jump"))}
  data = load(tmp_path, database, **fields)
  train, val = data.splits["train"], data.splits["val"]
  assert names(train) == ["a", "b"]  # windows without segments are left out
  assert names(val) == ["c"] * 3  # but never where results are reported
  kept = load(tmp_path, **fields, keep=0.8).splits["train"]
  # [5, 10] s is in the last window, which begins at 6 s, to 80 %
  assert targets(kept, 1) == [(0.0, 1.0, 0)] and names(kept) == ["a", "a", "b"]


def test_step_and_first_place_the_features_in_time(tmp_path):
  # row i is at 0.8 + 0.4 i: features begin at 0.6 s and end at 8.6 s
  fields = {"step": 0.4, "first": 0.8}
  train = load(tmp_path, **fields).splits["train"]
  np.testing.assert_allclose(train.windows.start, 0.6)
  np.testing.assert_allclose(train.windows.end, 8.6)
  assert targets(train, 0)[1] == (pytest.approx(0.55), 1.0, 0)
  sliding = load(tmp_path, **fields, window="sliding", keep=0.5).splits["train"]
  np.testing.assert_allclose(sliding.windows.start[0], 0.6)
  np.testing.assert_allclose(sliding.windows.end[0], 0.6 + 8 * 0.4)
  assert targets(sliding, 0)[0][:2] == pytest.approx((1.4 / 3.2, 1))


def test_in_memory_in_files_and_planned_are_the_same(tmp_path):
  fields = {"window": "sliding", "stride": 3, "steps": [20, 5, 31, 7]}
  resident = load(tmp_path, **fields)
  files = load(tmp_path, **fields, resident_bytes=0)
  del fields["steps"]
  plan = temporal.abstract_temporal(
    config(**write(tmp_path, steps=[20, 5, 31, 7]), **fields)
  )
  for name, split in resident.splits.items():
    other, planned = files.splits[name], plan.splits[name]
    assert isinstance(split.features, np.ndarray)
    assert isinstance(other.features, FileFeatures)
    order = IndexBatches(len(split), min(len(split), 3), seed=0)
    for i in range(4):
      a, b = split[order[i]], other[order[i]]
      for key in a:
        np.testing.assert_array_equal(a[key], b[key])
        assert (a[key].shape[1:], a[key].dtype) == planned.spec[key]
    for key, value in other.arrays().items():
      np.testing.assert_array_equal(value, split.arrays()[key])
    assert split.spec == other.spec == planned.spec
    assert len(split) == len(planned) and split.nbytes == planned.nbytes
    np.testing.assert_array_equal(split.segments, planned.segments)
    with pytest.raises(TypeError, match="no data"):
      planned[np.arange(1)]


def test_windows_are_streamed_and_padded_like_other_examples(tmp_path):
  train = load(tmp_path, resident_bytes=0).splits["train"]
  order = IndexBatches(2, 2, seed=0)
  for i, batch in enumerate(stream_batches(train, order, 3)):
    for key, value in train[order[i]].items():
      np.testing.assert_array_equal(batch[key], value)
  (batch,) = padded_batches(train, 3)
  assert batch["mask"].tolist() == [1, 1, 0]
  assert {k: (v.shape[1:], v.dtype) for k, v in batch.items() if k in train.spec} == (
    train.spec
  )


def test_a_batch_is_a_copy(tmp_path):
  train = load(tmp_path).splits["train"]
  train[np.array([0])]["features"][:] = 7
  assert not (train.features == 7).any()


@pytest.mark.parametrize("layout", ["auto", "dt"])
def test_turned_features(tmp_path, layout):
  files = write(tmp_path, steps=[20, 6, 7, 9])
  for path in (tmp_path / "features").iterdir():
    np.save(path, np.load(path).T)
  data = temporal.load_temporal(config(**files, layout=layout, width=0))
  np.testing.assert_array_equal(
    data.splits["train"].features[1], resize_features(ramp(6, 1), 8)
  )


def test_bmn_form_has_no_subsets_and_is_split(tmp_path):
  entry = {"duration_second": 10.0, "duration_frame": 100, "feature_frame": 80}
  entry["annotations"] = [{"segment": [4, 8], "label": "run"}]
  database = {f"v_{i:02d}": entry for i in range(20)}
  files = write(tmp_path, database)
  (tmp_path / "truth.json").write_text(json.dumps(database))
  data = temporal.load_temporal(config(**files, validation=0.25))
  found = {k: set(names(v)) for k, v in data.splits.items()}
  assert {k: len(v) for k, v in found.items()} == {"train": 12, "val": 4, "test": 4}
  assert len(set.union(*found.values())) == 20
  assert targets(data.splits["train"], 0) == [(0.5, 1.0, 0)]  # of 8 s with features
  other = temporal.load_temporal(config(**files, validation=0.25, seed=1))
  assert set(names(other.splits["test"])) == found["test"]
  assert set(names(other.splits["val"])) != found["val"]


def test_nothing_is_held_out_of_thumos14_if_the_config_says_so(tmp_path):
  segment = (2, 4, "run")
  database = {
    "a": video("Validation", segment),
    "b": video("Validation", segment, (5, 6, "Ambiguous")),
    "c": video("Test", segment, (7, 9, "Ambiguous")),
    "d": video("Test", (7, 9, "Ambiguous")),
  }
  data = load(tmp_path, database, validation=0.0)
  assert data.classes == ("run",)
  assert {k: names(v) for k, v in data.splits.items()} == {
    "train": ["a", "b"], "val": [], "test": ["c"],
  }  # fmt: skip
  assert data.splits["val"].arrays()["features"].shape == (0, 8, WIDTH)
  test = data.splits["test"]
  assert test.ambiguous.start.tolist() == [7] and test.truth.start.tolist() == [2]
  assert test.ambiguous.video.tolist() == test.windows.video.tolist()


def test_text_annotations_need_a_step(tmp_path):
  files = write(tmp_path, {"v1": 0, "v2": 0})
  folder = tmp_path / "kit"
  folder.mkdir()
  (folder / "Run_val.txt").write_text("v1 1.0 2.0\n")
  (folder / "Run_test.txt").write_text("v2 3.0 4.0\n")
  fields = {"features": files["features"], "annotations": str(folder)}
  message = sentence(temporal.load_temporal, config(**fields, validation=0.0))
  assert "'v1'" in message and "--config.data.step" in message
  data = temporal.load_temporal(config(**fields, validation=0.0, step=0.5))
  assert targets(data.splits["train"], 0) == [
    (pytest.approx(0.1), pytest.approx(0.2), 0)
  ]
  assert data.splits["test"].windows.duration.tolist() == [10.0]


def test_a_faulty_segment_is_noted(tmp_path):
  database = {**DATABASE, "b": video("training", (3, 1, "run"), (2, 30, "run"))}
  data = load(tmp_path, database)
  assert data.note.startswith("2 faulty segments, the first: video 'b'")
  assert targets(data.splits["train"], 1)[0][:2] == pytest.approx((0.1, 0.3))
  kept = load(tmp_path, database, invalid="keep").splits["train"]
  # the official truth has it, but nobody can be trained on it
  assert len(kept.truth.video) == 4 and len(targets(kept, 1)) == 1
