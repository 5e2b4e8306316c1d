"""Facts about well-known data sets: runs on them can be planned without files."""

from typing import NamedTuple

import ml_collections

from jaxvision.data.ntu_classes import NTU_CLASSES
from jaxvision.data.skeleton_examples import SkeletonDataset, abstract_examples
from jaxvision.data.splits import validation_size


class Known(NamedTuple):
  """Sizes of a data set.

  Attributes:
    skeleton: name of the tree of joints, see `jaxvision.ops.graphs.skeleton`.
    joints: v.
    classes: names, or numbers where there are none here.
    counts: protocol -> clips for (training, testing); "" where there is only one.
    note: "", or what is not exact.
  """

  skeleton: str
  joints: int
  classes: tuple[str, ...]
  counts: dict[str, tuple[int, int]]
  note: str = ""


# The counts are without the 302 and 535 recordings of the lists of missing skeletons.
KNOWN = {
  "ntu60": Known(
    "ntu",
    25,
    NTU_CLASSES[:60],
    {"xsub": (40_091, 16_487), "xview": (37_646, 18_932)},
  ),
  "ntu120": Known(
    "ntu",
    25,
    NTU_CLASSES,
    {"xsub": (63_026, 50_919), "xset": (54_468, 59_477)},
  ),
  "kinetics": Known(
    "openpose",
    18,
    tuple(map(str, range(400))),
    {"": (240_000, 20_000)},
    "numbers of clips are approximate",
  ),
}


def plan_known(config: ml_collections.ConfigDict) -> SkeletonDataset:
  """Shapes of a data set of `KNOWN`.

  Args:
    config: the fields of `jaxvision.data.skeleton_defaults.DEFAULTS`.

  Returns:
    Abstract splits, of as many clips as are known.
  """
  known = KNOWN[config.name]
  train, test = known.counts.get(config.protocol) or known.counts[""]
  held = validation_size(train, config.validation)
  train = min(config.limit or train - held, train - held)
  shape = (config.persons, config.length, known.joints, 3)
  counts = {"train": train, "val": held, "test": test}
  splits = {name: abstract_examples(n, shape) for name, n in counts.items()}
  return SkeletonDataset(config.name, known.note, known.classes, splits, known.skeleton)
