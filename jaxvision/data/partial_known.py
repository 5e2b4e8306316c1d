"""Shapes of well-known partially supervised settings, for a plan without files."""

import ml_collections

from jaxvision.data.clips import abstract_clips
from jaxvision.data.partial_examples import PartialDataset, clip_steps
from jaxvision.data.temporal_known import KNOWN, plan_known


def is_known(config: ml_collections.ConfigDict) -> bool:
  """Whether source and target are data sets of `KNOWN`."""
  return config.name in KNOWN and (config.target.name or config.name) in KNOWN


def plan_known_partial(config: ml_collections.ConfigDict) -> PartialDataset:
  """Shapes of a setting of `KNOWN` data sets.

  Only the files tell how many actions a video has: there is one clip a video here. Of
  one data set, videos are shared out as its classes are.

  Args:
    config: the fields of `temporal_defaults.DEFAULTS` and `partial_defaults.PARTIAL`.
  """
  source = plan_known(config)
  if config.target.name in ("", config.name):
    count = round(config.split.share * len(source.classes))
    classes, target_classes = source.classes[:count], source.classes[count:]
    share, target = count / len(source.classes), source
  else:
    other = ml_collections.ConfigDict(config)
    other.name = config.target.name
    target, classes, share = plan_known(other), source.classes, 1.0
    target_classes = target.classes
  train = source.splits["train"]
  clips = len(target.splits["train"])
  steps, width = train.shape
  note = "counts one action a video; only the files tell how many there are"
  return PartialDataset(
    target._replace(classes=target_classes, note=note),
    classes,
    train,
    abstract_clips(clips, (clip_steps(config, steps), width)),
    abstract_clips(round(share * len(train)), (steps, width)),
  )
