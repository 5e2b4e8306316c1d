"""Skeleton data sets: generated, converted, planned; and mistakes."""

import tracemalloc

import numpy as np
import pytest
from ml_collections import ConfigDict
from skeleton_support import (
  config,
  ntu_names,
  same_plan,
  write_kinetics,
  write_skeletons,
)

from jaxvision import config as config_lib
from jaxvision.data import batches, skeletons
from jaxvision.data.skeleton_conversion import convert
from jaxvision.data.skeleton_examples import SkeletonExamples
from jaxvision.errors import UserError


def test_generated_splits():
  one, two = (skeletons.load_skeletons(config(seed=s)) for s in (1, 2))
  assert {k: len(v) for k, v in one.splits.items()} == {"train": 6, "val": 3, "test": 4}
  test = [data.splits["test"].skeleton for data in (one, two)]
  np.testing.assert_array_equal(*test)
  assert (one.splits["train"].skeleton != two.splits["train"].skeleton).any()
  small = skeletons.load_skeletons(config(seed=1, limit=2)).splits["train"]
  np.testing.assert_array_equal(small.skeleton, one.splits["train"].skeleton[:2])
  assert one.normalize == "none" and one.skeleton == "ntu" and len(one.classes) == 8


def test_plan_of_generated_clips():
  same_plan(config())


def test_default_config_is_complete():
  assert isinstance(config_lib.skeletons(), ConfigDict)
  fields = config_lib.skeletons(length=64)
  assert fields.length == 64 and fields.augment.flip == 0
  skeletons.abstract_skeletons(fields)


@pytest.mark.parametrize(
  "name, protocol, counts, shape, classes",
  [
    ("ntu60", "xsub", (40_091, 16_487), (2, 300, 25, 3), 60),
    ("ntu60", "xview", (37_646, 18_932), (2, 300, 25, 3), 60),
    ("ntu120", "xsub", (63_026, 50_919), (2, 300, 25, 3), 120),
    ("ntu120", "xset", (54_468, 59_477), (2, 300, 25, 3), 120),
    ("kinetics", "", (240_000, 20_000), (2, 300, 18, 3), 400),
  ],
)
def test_known_data_sets_are_planned_without_files(
  name, protocol, counts, shape, classes
):
  tracemalloc.start()
  fields = config(name=name, protocol=protocol, validation=0.0)
  plan = skeletons.abstract_skeletons(fields)
  assert tracemalloc.get_traced_memory()[1] < 2**23
  tracemalloc.stop()
  assert (len(plan.splits["train"]), len(plan.splits["test"])) == counts
  assert plan.splits["test"].shape == shape and len(plan.classes) == classes
  assert plan.normalize == ("none" if name == "kinetics" else "frame")
  held = skeletons.abstract_skeletons(config(name=name, protocol=protocol, limit=10))
  assert len(held.splits["train"]) == 10
  assert len(held.splits["val"]) == round(counts[0] * 0.1)
  with pytest.raises(UserError, match="needs files"):
    skeletons.load_skeletons(fields)


@pytest.fixture(scope="module")
def ntu(tmp_path_factory):
  folder = tmp_path_factory.mktemp("ntu")
  bodies = write_skeletons(folder / "raw", ntu_names(), frames=5)
  convert(folder / "raw", folder / "data", workers=1, shard_size=10)
  return str(folder / "data"), bodies


def test_protocols_divide_a_folder(ntu):
  folder, bodies = ntu
  data = same_plan(config(folder=folder, length=8, validation=0.0))
  assert (data.name, data.skeleton, data.normalize) == ("ntu60", "ntu", "frame")
  assert not len(data.splits["val"]) and not list(
    batches.padded_batches(data.splits["val"], 4)
  )
  assert {name[8:12] for name in data.splits["train"].names} == {"P001", "P002"}
  assert {name[8:12] for name in data.splits["test"].names} == {"P003", "P006"}
  view = skeletons.load_skeletons(config(folder=folder, length=8, protocol="xview"))
  both = view.splits["train"].names + view.splits["val"].names
  assert {name[4:8] for name in both} == {"C002", "C003"} and len(both) == 24
  assert len(view.splits["val"]) == 2
  train = data.splits["train"]
  for i, name in enumerate(train.names):
    found, body = train.skeleton[i], bodies[name].astype(np.float32)
    np.testing.assert_array_equal(found[: len(body), :5], body)
    assert not found[:, 5:].any() and not found[len(body) :].any()
    assert train.label[i] == int(name[-3:]) - 1


def test_clips_are_cut_and_persons_dropped(ntu):
  folder, bodies = ntu
  fields = config(folder=folder, length=3, persons=1)
  train = skeletons.load_skeletons(fields).splits["train"]
  body = bodies[train.names[0]].astype(np.float32)
  np.testing.assert_array_equal(train.skeleton[0], body[:1, :3])


def test_missing_recordings_are_left_out(ntu, tmp_path):
  folder, _ = ntu
  names = ntu_names()
  (tmp_path / "missing.txt").write_text(f"header\n{names[0]}\n{names[-1]}\n")
  fields = config(
    folder=folder, length=8, missing=str(tmp_path / "missing.txt"), validation=0.0
  )
  data = skeletons.load_skeletons(fields)
  kept = {name for part in data.splits.values() for name in part.names}
  assert kept == set(names) - {names[0], names[-1]}


def test_large_splits_stay_in_files(ntu):
  folder, _ = ntu
  resident, files = (
    skeletons.load_skeletons(config(folder=folder, length=8, resident_bytes=size))
    for size in (2**29, 0)
  )
  train, lazy = (data.splits["train"] for data in (resident, files))
  assert isinstance(train.skeleton, np.ndarray)
  assert not isinstance(lazy.skeleton, np.ndarray)
  for name in ("skeleton", "label"):
    np.testing.assert_array_equal(train.arrays()[name], lazy.arrays()[name])
  order = batches.IndexBatches(len(train), 4, seed=1)
  stream = batches.stream_batches(lazy, order, 3)
  for i, batch in enumerate(stream.to_iter_dataset()):
    np.testing.assert_array_equal(batch["skeleton"], train[order[i]]["skeleton"])
  last = list(batches.padded_batches(lazy, 5))[-1]
  assert last["skeleton"].shape == (5, 2, 8, 25, 3) and last["mask"].sum() == 1


def test_later_actions_make_it_ntu120(tmp_path):
  names = [*ntu_names(actions=(1,)), "S018C001P050R001A100", "S019C001P050R001A100"]
  write_skeletons(tmp_path / "raw", names)
  convert(tmp_path / "raw", tmp_path / "data", workers=1)
  fields = config(folder=str(tmp_path / "data"), length=8, validation=0.0)
  data = skeletons.load_skeletons(fields)
  assert data.name == "ntu120" and len(data.classes) == 120
  with pytest.raises(UserError, match="ntu120 has no protocol 'xview'"):
    skeletons.load_skeletons(config(folder=fields.folder, protocol="xview"))
  old = skeletons.load_skeletons(config(folder=fields.folder, length=8, name="ntu60"))
  assert sum(map(len, old.splits.values())) == 12 and len(old.classes) == 60


def test_kinetics(tmp_path):
  write_kinetics(tmp_path / "raw", train=tuple("abcdefghij"), val=("z",))
  convert(tmp_path / "raw", tmp_path / "data", workers=1)
  fields = config(folder=str(tmp_path / "data"), length=6)
  data = same_plan(fields)
  assert (data.name, data.skeleton, data.normalize) == ("kinetics", "openpose", "none")
  sizes = {name: len(part) for name, part in data.splits.items()}
  assert sizes == {"train": 9, "val": 1, "test": 1}
  assert data.classes == ("abseil", "juggle")
  fields.normalize = "frame"
  with pytest.raises(UserError, match="needs NTU's 25 joints"):
    skeletons.load_skeletons(fields)


@pytest.mark.parametrize(
  "fields, words",
  [
    ({"limit": -1}, "data.limit=-1"),
    ({"length": 0}, "data.length=0"),
    ({"persons": 0}, "data.persons=0"),
    ({"validation": 2.5}, "data.validation=2.5"),
    ({"stream": "bones"}, "data.stream='bones'"),
    ({"normalize": "yes"}, "data.normalize='yes'"),
    ({"name": "ntu"}, "generated or ntu60 or ntu120 or kinetics"),
    ({"name": "ntu60", "protocol": "xset"}, "xsub or xview"),
    ({"augment": {"window": 301}}, "augment.window=301"),
    ({"augment": {"flip": 1.5}}, "augment.flip=1.5"),
    ({"augment": {"rotate": -0.1}}, "augment.rotate=-0.1"),
    ({"generated": {"test": 0}}, "generated.test=0"),
    ({"generated": {"noise": -1.0}}, "noise=-1"),
    ({"folder": "nowhere"}, "nowhere holds no index.json"),
    ({"folder": "nowhere.pkl"}, r"no file nowhere\.pkl"),
  ],
)
def test_mistakes_name_the_field(fields, words):
  with pytest.raises(UserError, match=words):
    skeletons.load_skeletons(config(**fields))


def test_no_clip_to_train_on(tmp_path):
  write_skeletons(tmp_path / "raw", ntu_names(performers=(3,)))
  convert(tmp_path / "raw", tmp_path / "data", workers=1)
  with pytest.raises(UserError, match=r"no clip to train on .*protocol=xsub"):
    skeletons.load_skeletons(config(folder=str(tmp_path / "data")))


def test_expected_files():
  assert skeletons.expected_files(config())[0].startswith("generated: no files")
  known = skeletons.expected_files(config(name="ntu60"))
  assert "skeleton_convert" in known[0] and "missing" in known[1]
  assert len(skeletons.expected_files(config(name="kinetics", folder="x"))) == 1


def test_examples_copy():
  rng = np.random.default_rng(0)
  clips = rng.normal(size=(3, 1, 2, 25, 3)).astype(np.float32)
  examples = SkeletonExamples(clips, np.arange(3, dtype=np.int32), tuple("abc"))
  batch = examples[np.array([2, 0])]
  batch["skeleton"][:] = 0
  assert clips[2].any() and batch["label"].tolist() == [2, 0]
