"""Which videos are for training, validation and testing.

Data sets call these subsets differently: ActivityNet trains on "training", reports on
"validation" and keeps the truth of "testing" to itself; THUMOS14 trains on "validation"
and reports on "test". So, where the config does not say,

- "test" is the annotated "testing" (or "test"), else "validation" is tested on, else a
  fifth of the videos, always the same ones;
- "train" is the annotated "training" (or "train"), else "validation" if something else
  is tested on, else all other annotated subsets;
- "val" is "validation" if it is not trained on, else held out of the training videos.
"""

import ml_collections
import numpy as np
from jaxtyping import Int64

from jaxvision.data.annotation_table import Annotations
from jaxvision.data.splits import ORDER, PART, TEST_SEED, validation_size
from jaxvision.errors import UserError

Videos = Int64[np.ndarray, "_"]
NAMES = {"train": "training", "val": "validation", "test": "testing"}


def split_videos(
  annotations: Annotations, config: ml_collections.ConfigDict
) -> dict[str, Videos]:
  """Shares out the videos among the splits; whole videos, never parts of them.

  Args:
    annotations: of all subsets, with at least one segment.
    config: the fields of `jaxvision.data.temporal_defaults.DEFAULTS`.

  Returns:
    {"train", "val", "test": sorted numbers of videos}. "val" and "test" may be the
    same; "val" is empty if it has to be held out and `config.validation` is 0.

  Raises:
    UserError: if there is no subset of a given name, or no video to train on.
  """
  subsets = _subsets(annotations)
  named = {
    split: subset_videos(annotations, config[split], split, config)
    if config[split]
    else None
    for split in NAMES
  }
  annotated = set(annotations.segments.video.tolist())
  usable = {k: v for k, v in subsets.items() if annotated & set(v.tolist())}
  validation = usable.get("validation")
  others = [videos for name, videos in usable.items() if name != "validation"]
  test = _first(named["test"], usable.get("testing"))
  train = _first(
    named["train"],
    usable.get("training"),
    validation if test is not None else None,
    np.sort(np.concatenate(others or [validation])),
  )
  free = validation is not None and not np.isin(validation, train).any()
  val = _first(named["val"], validation if free else None)
  if named["train"] is None:  # who is named for two splits is in both
    train = _without(train, test, val)
  if test is None:
    test = _first(val, _fifth(train))
    train = train if val is not None else _without(train, test)
  return _finish(train, val, test, config)


def evaluated_videos(
  annotations: Annotations, config: ml_collections.ConfigDict
) -> dict[str, Videos]:
  """Shares out videos that are for evaluation only.

  Args:
    annotations: of all subsets.
    config: `test` and `val` name subsets; "" tests on all videos, and validates on
      those that are tested on.
  """
  test = subset_videos(annotations, config.test, "test", config)
  val = subset_videos(annotations, config.val, "val", config) if config.val else test
  return {"val": val, "test": test}


def subset_videos(
  annotations: Annotations, name: str, field: str, config: ml_collections.ConfigDict
) -> Videos:
  """Numbers of the videos of a subset, of all videos if the name is "".

  Args:
    annotations: of all subsets.
    name: of the subset, short or long.
    field: of `config` that says so, for the message.
    config: the fields of `jaxvision.data.temporal_defaults.DEFAULTS`.

  Raises:
    UserError: there is no such subset.
  """
  subsets = _subsets(annotations)
  if not name:
    return np.arange(len(annotations.videos))
  if _fold(name) not in subsets:
    names = ", ".join(sorted(set(annotations.subsets) - {""}))
    raise UserError(
      f"{config.annotations} has no subset --config.data.{field}={name}, but"
      f" {names or 'no subsets at all'}: choose another one, or none."
    )
  return subsets[_fold(name)]


def _finish(
  train: Videos, val: Videos | None, test: Videos, config: ml_collections.ConfigDict
) -> dict[str, Videos]:
  """Holds out validation videos where there are none, and limits the training ones."""
  order = np.random.default_rng((config.seed, ORDER)).permutation(train)
  if val is None:
    held = validation_size(len(train), config.validation)
    val, order = np.sort(order[:held]), order[held:]
  train = np.sort(order[: config.limit or None])
  if not len(train):
    raise UserError(
      f"{config.annotations} leaves no video to train on: name its subset with"
      " --config.data.train=NAME, or hold fewer out with --config.data.validation."
    )
  return {"train": train, "val": val, "test": test}


def _subsets(annotations: Annotations) -> dict[str, Videos]:
  """{name: numbers of videos}; "train", "Val" and such become the long names."""
  names = np.array([_fold(name) for name in annotations.subsets])
  return {name: np.flatnonzero(names == name) for name in dict.fromkeys(names.tolist())}


def _fold(name: str) -> str:
  folded = name.casefold()
  return NAMES.get(folded, folded)


def _first(*choices: Videos | None) -> Videos | None:
  return next((x for x in choices if x is not None), None)


def _without(videos: Videos, *others: Videos | None) -> Videos:
  gone = [x for x in others if x is not None]
  return np.setdiff1d(videos, np.concatenate(gone)) if gone else videos


def _fifth(videos: Videos) -> Videos:
  """Drawn with a seed of its own: all runs are tested on the same videos."""
  order = np.random.default_rng(TEST_SEED).permutation(videos)
  return np.sort(order[: max(len(videos) // PART, 1)])
