"""Facts about well-known data sets: runs on them can be planned without files."""

from typing import NamedTuple

import ml_collections

from jaxvision.data.temporal_examples import (
  TemporalDataset,
  abstract_examples,
  window_steps,
)


class Known(NamedTuple):
  """Sizes of a data set.

  Attributes:
    classes: of actions.
    train: number of videos.
    test: number of videos that results are reported on.
    width: of the features that the papers of this package use: P3D's.
    slots: room for the segments of a window. Of ActivityNet the most that a video has;
      of THUMOS14 only a plan, as it depends on the windows.
    own_val: whether the test videos are those that all papers validate on.
  """

  classes: int
  train: int
  test: int
  width: int
  slots: int
  own_val: bool


KNOWN = {
  "activitynet": Known(200, 10_024, 4_926, 2048, 23, True),
  # AherNet's target: moments are of the training clips, tested on untrimmed videos.
  "kinetics600": Known(600, 392_622, 6_459, 2048, 25, True),
  "thumos14": Known(20, 200, 213, 2048, 128, False),
}


def plan_known(config: ml_collections.ConfigDict) -> TemporalDataset:
  """Shapes of a data set of `KNOWN`.

  Args:
    config: the fields of `jaxvision.data.temporal_defaults.DEFAULTS`; its `width`,
      `max_segments`, `limit` and `validation` have the meaning they have with files.

  Returns:
    Abstract splits, one window a video: how many sliding windows there are, only the
    files tell. Classes are numbers.
  """
  from jaxvision.data.splits import validation_size

  known = KNOWN[config.name]
  held = 0 if known.own_val else validation_size(known.train, config.validation)
  train = known.train - held
  counts = {
    "train": min(config.limit or train, train),
    "val": known.test if known.own_val else held,
    "test": known.test,
  }
  shape = (window_steps(config), config.width or known.width)
  slots = config.max_segments or known.slots
  splits = {name: abstract_examples(n, shape, slots) for name, n in counts.items()}
  sliding = config.window == "sliding"
  note = "counts one window a video; only the files tell how many there are" * sliding
  return TemporalDataset(
    config.name, note, tuple(map(str, range(known.classes))), splits
  )
