"""Which videos are trained and tested on, by the names of the subsets."""

import numpy as np
import pytest
from annotation_support import sentence
from temporal_support import config

from jaxvision.data.annotations import Annotations, Segments
from jaxvision.data.temporal_splits import split_videos


def annotations(*subsets, annotated=True):
  """One video a subset, with a segment each, or only those of some subsets."""
  n = len(subsets)
  rows = [i for i in range(n) if annotated is True or subsets[i] in annotated]
  row = np.array(rows, np.int64)
  segments = Segments(row, 0 * row, 0.0 * row, 0.0 * row + 1)
  blank, videos = np.full(n, 10.0), tuple(f"v{i}" for i in range(n))
  return Annotations(segments, videos, ("run",), blank, subsets, (), blank)


def split(found, **fields):
  result = split_videos(found, config(annotations="FILE", **fields))
  return {name: numbers.tolist() for name, numbers in result.items()}


def test_activitynet():
  found = annotations(
    "training", "validation", "testing", annotated=("training", "validation")
  )
  assert split(found) == {"train": [0], "val": [1], "test": [1]}
  assert split(found, test="testing")["test"] == [2]  # to be predicted on


def test_thumos14_trains_on_validation():
  found = annotations(*["Validation"] * 10, "Test", "test")
  got = split(found, validation=0.2)
  assert got["test"] == [10, 11] and len(got["val"]) == 2
  assert sorted(got["train"] + got["val"]) == list(range(10))
  assert split(found, validation=0.0)["train"] == list(range(10))


def test_own_names_of_all_three():
  found = annotations("train", "val", "test")
  assert split(found) == {"train": [0], "val": [1], "test": [2]}


def test_no_subsets_or_one():
  for name in ("", "training", "Validation"):
    got = split(annotations(*[name] * 20), validation=0.25)
    assert [len(got[k]) for k in ("train", "val", "test")] == [12, 4, 4]
    assert sorted(v for part in got.values() for v in part) == list(range(20))


def test_subsets_of_other_names():
  found = annotations(
    "x", "y", "", "validation", "z", annotated=("x", "", "validation")
  )
  assert split(found) == {"train": [0, 2], "val": [3], "test": [3]}


def test_names_in_the_config_win():
  found = annotations(*["x"] * 10, "y", "z")
  got = split(found, train="X", val="y", test="z")
  assert got == {"train": list(range(10)), "val": [10], "test": [11]}
  got = split(found, val="y")
  assert got == {"train": [*range(10), 11], "val": [10], "test": [10]}
  got = split(found, train="x", validation=0.25)
  assert [len(v) for v in got.values()] == [6, 2, 2]
  assert (
    max(v for part in got.values() for v in part) == 9
  )  # the others are not asked for


def test_limit_takes_a_part_of_the_training_videos():
  found = annotations(*["training"] * 10, "validation")
  few, more = (split(found, limit=n)["train"] for n in (3, 6))
  assert len(few) == 3 and len(more) == 6 and set(few) < set(more)
  assert split(found, limit=3, seed=1)["train"] != few


@pytest.mark.parametrize("name", ["train", "val", "test"])
def test_an_unknown_subset_is_named(name):
  message = sentence(split, annotations("training", "validation"), **{name: "dev"})
  assert message.startswith(f"FILE has no subset --config.data.{name}=dev")
  assert "training, validation" in message


def test_a_video_must_be_left_to_train_on():
  assert "no video to train on" in sentence(split, annotations("x"))
