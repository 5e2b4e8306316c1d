"""Generated actions: what is in the windows, and that it never changes."""

import numpy as np
import pytest
from ml_collections import ConfigDict

from jaxvision.data import generated_windows as windows_lib
from jaxvision.data import temporal
from jaxvision.data.generated_actions import generate_actions
from jaxvision.errors import UserError

COUNT = 400
WINDOWS = generate_actions(COUNT, seed=1)
QUIET = generate_actions(COUNT, seed=1, noise=0.0)

GOLDEN = {
  "segments": [
    [65, 112],
    [35, 45],
    [116, 128],
    [74, 128],
    [2, 52],
    [114, 124],
    [89, 107],
    [62, 83],
  ],
  "label": [3, 0, 2, 4, 0, 3, 3, 0],
  "features": [0.390085, -0.289346, -0.269955, 0.438144],
  "sum": -69.9376,
}


def config(**fields):
  small = {"train": 12, "val": 4, "test": 5}
  result = ConfigDict(temporal.DEFAULTS)
  result.update({"generated": small, "length": 64, **fields})
  return result


def items(i, windows=WINDOWS):
  """Sorted (start, end) of all actions and distractors of window i."""
  actions = windows.segments[i][windows.valid[i]]
  return sorted(map(tuple, np.concatenate((actions, windows.distractors[i]))))


def test_one_to_three_actions_and_nothing_overlaps():
  assert set(WINDOWS.valid.sum(1)) == {1, 2, 3}
  for i in range(COUNT):
    ends = np.array(items(i)).ravel()
    assert ends[0] >= 0 and ends[-1] <= 128
    assert (ends[1::2] > ends[::2]).all()
    assert (ends[2::2] - ends[1:-1:2] >= 2).all()


def test_lengths_are_log_uniform_and_distractors_shorter():
  length = np.diff(WINDOWS.segments)[..., 0]
  there = length[WINDOWS.valid]
  assert there.min() == 5 and 80 < there.max() <= 90
  alone = length[:, 0][WINDOWS.valid.sum(1) == 1]
  # the middle of [5, 90] is 21 on a logarithmic scale, 47 on a linear one
  assert 15 < np.median(alone) < 29
  middle = np.diff(WINDOWS.distractors)
  assert middle.min() >= 2 and middle.max() <= 36


def test_the_features_are_the_phases_of_the_class():
  vectors = windows_lib._vectors(19, 24)
  np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)
  for i, slot in zip(*np.nonzero(QUIET.valid[:40]), strict=True):
    start, end = QUIET.segments[i, slot]
    s = (np.arange(end - start) + 0.5) / (end - start)
    begin, middle, last = vectors[3 * QUIET.label[i, slot] :][:3]
    expected = (
      np.clip(1 - 2.5 * s, 0, 1)[:, None] * begin
      + np.exp(-(((s - 0.5) / 0.25) ** 2))[:, None] * middle
      + np.clip(2.5 * s - 1.5, 0, 1)[:, None] * last
    )
    np.testing.assert_allclose(QUIET.features[i, start:end], expected, atol=1e-6)


def test_a_distractor_never_shows_begin_or_end():
  vectors = windows_lib._vectors(19, 24)
  for i in range(40):
    for (start, end), k in zip(
      QUIET.distractors[i], QUIET.distractor_label[i], strict=True
    ):
      s = 0.3 + 0.4 * (np.arange(end - start) + 0.5) / (end - start)
      weights = np.linalg.lstsq(vectors.T, QUIET.features[i, start:end].T)[0].T
      np.testing.assert_allclose(
        weights[:, 3 * k], np.clip(1 - 2.5 * s, 0, 1), atol=1e-5
      )
      assert weights[:, [3 * k, 3 * k + 2]].max() < 0.25
      assert weights[:, 3 * k + 1].max() > 0.5


def test_scenes_fill_the_rest_and_change():
  scenes = 0.6 * windows_lib._vectors(19, 24)[15:]
  for i in range(40):
    free = np.ones(128, bool)
    for start, end in items(i, QUIET):
      free[start:end] = False
    distance = np.abs(QUIET.features[i][:, None] - scenes).max(-1)
    np.testing.assert_allclose(distance[free].min(-1), 0, atol=1e-6)
    shown = distance.argmin(-1)
    inside = free[1:] & free[:-1]
    changes = np.flatnonzero((np.diff(shown) != 0) & inside)
    assert (np.diff(changes) >= 8).all()
  assert len(set(shown[free])) > 1


def test_noise_is_white_and_alters_nothing_else():
  noise = WINDOWS.features - QUIET.features
  assert noise.std() == pytest.approx(0.55, rel=0.01)
  assert abs(noise.mean()) < 0.003
  together = np.corrcoef(noise.reshape(-1, 24).T) - np.eye(24)
  assert np.abs(together).max() < 0.025
  np.testing.assert_array_equal(WINDOWS.segments, QUIET.segments)


def test_the_numbers_never_change():
  got = generate_actions(3, seed=7)
  assert got.features.dtype == np.float32 and got.features.shape == (3, 128, 24)
  assert got.segments[got.valid].tolist() == GOLDEN["segments"]
  assert got.label[got.valid].tolist() == GOLDEN["label"]
  np.testing.assert_allclose(got.features[0, 0, :4], GOLDEN["features"], atol=1e-5)
  assert got.features.astype(np.float64).sum() == pytest.approx(GOLDEN["sum"], abs=0.01)


def test_seeds_differ_and_the_task_does_not():
  other = generate_actions(COUNT, seed=2, noise=0.0)
  assert (other.segments != QUIET.segments).any()
  step = lambda x: {tuple(v) for v in np.round(x.features[:, 0], 4).tolist()}
  assert step(other) & step(QUIET)  # the same scenes


def test_splits_of_the_data_set():
  data = temporal.load_temporal(config())
  assert (data.name, data.note, len(data.classes)) == ("generated", "", 5)
  assert {k: len(v) for k, v in data.splits.items()} == {
    "train": 12, "val": 4, "test": 5,
  }  # fmt: skip
  for name, split in data.splits.items():
    assert split.shape == (64, 24) and split.videos[0] == f"{name}_00000"
    truth = split.truth
    # from units of the window to seconds and back to the truth, one second a step
    seconds = split.windows.to_seconds(split.segments)[split.valid]
    np.testing.assert_allclose(seconds[:, 0], truth.start, atol=1e-5)
    np.testing.assert_allclose(seconds[:, 1], truth.end, atol=1e-5)
    np.testing.assert_array_equal(split.label[split.valid], truth.label)
    assert np.bincount(truth.video, minlength=len(split)).tolist() == list(
      split.valid.sum(1)
    )


def test_the_test_split_is_the_same_for_all_seeds():
  first, second = (temporal.load_temporal(config(seed=s)).splits for s in (0, 5))
  same = lambda k: np.array_equal(first[k].features, second[k].features)
  assert same("test") and not same("train") and not same("val")
  assert not np.array_equal(first["train"].features[:4], first["val"].features)


def test_limit_takes_a_part():
  whole = temporal.load_temporal(config()).splits["train"]
  part = temporal.load_temporal(config(limit=3)).splits["train"]
  assert len(part) == 3 == len(part.videos) and part.truth.video.max() == 2
  np.testing.assert_array_equal(part.features, whole.features[:3])


def test_the_plan_has_the_shapes_of_the_data():
  for fields in ({}, {"limit": 3, "length": 80}):
    data = temporal.load_temporal(config(**fields))
    plan = temporal.abstract_temporal(config(**fields))
    assert plan.classes == data.classes
    for name, split in plan.splits.items():
      assert split.spec == data.splits[name].spec
      assert (len(split), split.nbytes) == (
        len(data.splits[name]),
        data.splits[name].nbytes,
      )
      for key, value in data.splits[name].arrays().items():
        assert (value.shape[1:], value.dtype) == split.spec[key]


@pytest.mark.parametrize(
  "fields, words",
  [
    ({"length": 31}, "length=31 is too short"),
    ({"generated": {"noise": -0.1}}, "generated.noise=-0.1"),
    ({"generated": {"classes": 0}}, "generated.classes=0"),
  ],
)
def test_mistakes_are_named(fields, words):
  wrong = config(**fields)
  for read in (temporal.load_temporal, temporal.abstract_temporal):
    with pytest.raises(UserError, match=words):
      read(wrong)


@pytest.mark.parametrize("length", [32, 200])
def test_other_lengths(length):
  got = generate_actions(50, seed=0, length=length, classes=2, width=7)
  assert got.features.shape == (50, length, 7) and got.segments.max() <= length
  assert got.label.max() == 1 == got.distractor_label.max()
  assert np.diff(got.segments).max() <= round(90 * length / 128)
