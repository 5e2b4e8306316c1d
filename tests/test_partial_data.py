"""Partially supervised data: the generated task, class splits, clips of files."""

import json

import numpy as np
import pytest
from ahernet_support import configure
from temporal_support import ramp, video

from jaxvision.data import partial
from jaxvision.data.batches import JointIndexBatches, JointRows
from jaxvision.data.class_splits import split_classes
from jaxvision.data.clips import whole_steps
from jaxvision.data.generated_moments import APPROACH, RELEASE, make_task
from jaxvision.errors import UserError

DATABASE = {
  "a": video("training", (2, 5, "run"), (6, 10, "run")),
  "b": video("training", (0, 4, "jump")),
  "c": video("training", (1, 9, "swim"), (2, 3, "run")),  # shows both kinds
  "d": video("validation", (1, 2, "jump"), (3, 7, "swim")),
  "e": video("validation", (1, 2, "run")),
  "f": video("training", (5, 6, "swim")),
}


def data(**changes):
  own = {f"data.{key.replace('__', '.')}": value for key, value in changes.items()}
  return partial.load_partial(configure(**own).data)


@pytest.fixture(scope="module")
def generated():
  config = configure(**{"data.length": 128, "data.generated.noise": 0.0}).data
  return partial.load_partial(config)


def write(folder, database, steps=20):
  """Features that tell the step of their middle, and annotations."""
  folder.mkdir(exist_ok=True)
  for number, name in enumerate(database):
    np.save(folder / f"{name}.npy", ramp(steps, number))
  path = folder / "truth.json"
  path.write_text(json.dumps({"database": database}))
  return {"features": str(folder), "annotations": str(path)}


def files(folder, **changes):
  listed = folder / "source.txt"
  listed.write_text("run\ttext that is ignored\n")
  own = write(folder / "videos", DATABASE)
  return data(**own, length=8, split__source=str(listed), moments__least=1, **changes)


def test_generated_windows_show_one_class_and_test_windows_never_change(generated):
  source = generated.source
  labels = [
    set(row[valid]) for row, valid in zip(source.label, source.valid, strict=True)
  ]
  assert all(len(row) == 1 for row in labels) and len(set.union(*labels)) == 3
  again = data(length=128, seed=1, generated__noise=0.0)
  test = lambda x: x.target.splits["test"].features
  np.testing.assert_array_equal(test(again), test(generated))
  assert not np.array_equal(again.source.features, source.features)
  assert generated.target.classes == ("target 0", "target 1")


def test_actions_announce_themselves_and_mix_with_the_scene(generated):
  parts, scenes = make_task(5, 6)
  source, row = generated.source, 0
  start, _ = np.rint(source.segments[row, 0] * 128).astype(int)
  label = source.label[row, 0]
  rest = source.features[row] @ np.linalg.pinv(np.vstack([parts[label], scenes]))
  if start > 0:
    assert rest.shape == (128, 9)
  np.testing.assert_allclose(np.linalg.norm(parts, axis=-1), 1, rtol=1e-5)
  shared = parts[:, [APPROACH, RELEASE]].mean(0)
  assert (np.linalg.norm(shared, axis=-1) > 0.5).all()  # what classes have in common


def test_moments_and_foreground_are_clips_of_their_classes(generated):
  moments, foreground = generated.moments, generated.foreground
  assert moments.shape == (64, 6) and set(moments.label) == {0, 1}
  assert foreground.shape == (128, 6)
  assert len(foreground) == generated.source.valid.sum()
  source = generated.source
  first, end = np.rint(source.segments[0, 0] * 128).astype(int)
  cut, expected = foreground.features[0], source.features[0, first:end]
  np.testing.assert_allclose(cut[[0, -1]], expected[[0, -1]], atol=1e-5)


def test_a_clip_covers_every_step_that_its_segment_touches():
  assert whole_steps(2.0, 5.0) == (2, 5)
  assert whole_steps(2.4, 4.6) == (2, 5)
  assert whole_steps(3.99999, 4.00001) == (4, 5)


def test_one_set_of_videos_is_split_by_classes(tmp_path):
  found = files(tmp_path)
  assert found.source_classes == ("run",) and found.target.classes == ("jump", "swim")
  # The video that shows both kinds is no source; its other segment is no foreground.
  assert [found.source.videos[i] for i in found.source.windows.video] == ["a"]
  np.testing.assert_array_equal(found.foreground.label, [0, 0])
  first = found.foreground.features[0, :, 0]  # seconds 2 to 5 are steps 4 to 9
  assert first.min() >= 4 and first.max() <= 10
  test = found.target.splits["test"]
  assert [test.videos[i] for i in test.windows.video] == ["d"]
  assert sorted(test.label[test.valid].tolist()) == [0, 1]
  assert sorted(found.moments.label.tolist()) == [0, 1, 1]
  assert found.moments.shape == (4, 3)


def test_moments_and_target_videos_of_files_of_their_own(tmp_path):
  clips = {f"m{i}": video("train", (0, 10, "dance")) for i in range(3)}
  tests = {"t": video("validation", (1, 2, "dance"), (3, 4, "sing"))}
  own = {}
  for name, database in (("moments", clips), ("target", tests)):
    paths = write(tmp_path / name, database)
    own |= {f"{name}__{key}": value for key, value in paths.items()}
  own |= {"window": "sliding", "target__window": "resize"}
  found = data(**write(tmp_path / "videos", DATABASE), **own, length=8, stride=8)
  assert found.source_classes == ("jump", "run", "swim")
  assert found.target.classes == ("dance", "sing")
  assert "cannot be learned: 1, such as 'sing'" in found.note
  assert set(found.target.splits) == {"val", "test"}
  assert len(found.moments) == 3
  assert len(found.source) > 3  # in windows; the target's videos are whole
  assert len(found.target.splits["test"]) == 1
  whole = found.moments.features[0, :, 0]
  np.testing.assert_allclose(whole, [2.5, 7.5, 12.5, 17.5])


def test_streamed_clips_are_those_in_memory(tmp_path):
  found, streamed = files(tmp_path), files(tmp_path, resident_bytes=0)
  rows = np.array([2, 0])
  for name in ("moments", "foreground"):
    a, b = getattr(found, name), getattr(streamed, name)
    rows = rows[rows < len(a)]
    for key, value in a[rows].items():
      np.testing.assert_array_equal(b[rows][key], value)


SPLIT = configure().data.split


def test_the_default_split_is_that_of_its_seed():
  names = [f"class {i:03d}" for i in range(200)]
  source, target = split_classes(names, None, SPLIT)
  assert (len(source), len(target)) == (87, 113)
  order = np.random.default_rng(0).permutation(names)[:87]
  assert source == tuple(sorted(order.tolist()))
  assert set(source) | set(target) == set(names)
  assert split_classes(names, ["x"], SPLIT) == (tuple(names), ("x",))


@pytest.mark.parametrize(
  ("lines", "words"),
  [
    ("fly\n", "names 'fly'"),
    ("\n", "names no class"),
    ("run\njump\nswim\n", "a part has no class"),
  ],
)
def test_faulty_splits_are_named(tmp_path, lines, words):
  path = tmp_path / "classes.txt"
  path.write_text(lines)
  config = configure(**{"data.split.source": str(path)}).data.split
  with pytest.raises(UserError, match=words):
    split_classes(["run", "jump", "swim"], None, config)


def test_a_class_in_both_parts_is_named(tmp_path):
  path = tmp_path / "classes.txt"
  path.write_text("run\n")
  changes = {"data.split.source": str(path), "data.split.target": str(path)}
  with pytest.raises(UserError, match="'run' is in both parts"):
    split_classes(["run", "jump"], None, configure(**changes).data.split)


@pytest.mark.parametrize(
  ("changes", "words"),
  [
    ({"name": "activitynet"}, "needs files"),
    ({"generated__moments": 0}, "generated.moments=0"),
    ({"length": 16}, "is too short"),
    ({"target__features": "x"}, "target.annotations is not"),
    ({"moments__features": "x", "moments__annotations": "y"}, "but no source"),
  ],
)
def test_mistakes_in_the_config_are_named(changes, words):
  with pytest.raises(UserError, match=words):
    data(**changes)


def test_too_short_actions_are_named(tmp_path):
  with pytest.raises(UserError, match="has 30 steps"):
    files(tmp_path, foreground__least=30)


@pytest.mark.parametrize(
  ("variant", "source", "target"),
  [
    ("activitynet", 87, 113),
    ("thumos14_activitynet", 20, 200),
    ("activitynet_kinetics600", 200, 600),
  ],
)
def test_settings_are_planned_without_files(variant, source, target):
  config = configure(variant, **{"data.length": 512, "data.generated.width": 24})
  found = partial.abstract_partial(config.data)
  assert (len(found.source_classes), len(found.target.classes)) == (source, target)
  assert found.source.shape == (512, 2048) and found.moments.shape == (256, 2048)
  assert len(partial.expected_files(config.data)) == 3


def test_abstract_and_real_data_have_one_spec():
  config = configure().data
  found, planned = partial.load_partial(config), partial.abstract_partial(config)
  for name in ("source", "moments", "foreground"):
    assert getattr(found, name).spec == getattr(planned, name).spec
  assert len(found.moments) == len(planned.moments)


def test_joint_batches_permute_each_set_by_itself():
  batches = JointIndexBatches({"a": 6, "b": 6}, 3, seed=0)
  pairs = [batches[i] for i in range(40)]
  for name in "ab":
    epoch = np.concatenate([pairs[0][name], pairs[1][name]])
    assert sorted(epoch) == list(range(6))
  assert any(not np.array_equal(p["a"], p["b"]) for p in pairs)
  halves = [
    JointIndexBatches({"a": 8}, 4, seed=0, rank=r, count=2)[5]["a"] for r in (0, 1)
  ]
  whole = JointIndexBatches({"a": 8}, 4, seed=0)[5]["a"]
  np.testing.assert_array_equal(np.concatenate(halves), whole)
  rows = JointRows({"a": data().moments})
  read = rows[{"a": np.array([1])}]["a"]
  assert read["features"].shape == (1, 16, 6) and len(rows) == 16
