"""What a partially supervised data set of actions in time holds."""

from typing import NamedTuple

import ml_collections

from jaxvision.data.clips import Clips
from jaxvision.data.partial_defaults import OWN_FILES
from jaxvision.data.temporal_examples import TemporalDataset, TemporalExamples


class PartialDataset(NamedTuple):
  """Untrimmed videos of source classes, clips of target classes.

  Attributes:
    target: untrimmed videos of the target classes, "val", "test" and, annotated for an
      oracle to train on, "train", which may be missing.
    source_classes: names, in the order of the source's labels.
    source: untrimmed training videos of the source classes.
    moments: trimmed clips of the target classes.
    foreground: actions cut out of the source videos, as long as a window.
  """

  target: TemporalDataset
  source_classes: tuple[str, ...]
  source: TemporalExamples
  moments: Clips
  foreground: Clips

  @property
  def splits(self) -> dict[str, TemporalExamples]:
    """Those of the target's videos."""
    return self.target.splits

  @property
  def name(self) -> str:
    """What was really loaded."""
    return self.target.name

  @property
  def note(self) -> str:
    """What was left out or mended, in one line, or ""."""
    return self.target.note


def clip_steps(config: ml_collections.ConfigDict, steps: int) -> int:
  """Steps of a moment; half a window's if `config.moments.length` is 0."""
  return config.moments.length or steps // 2


def section_config(
  config: ml_collections.ConfigDict, section: str
) -> ml_collections.ConfigDict:
  """The config with the files, and the facts of them, of one of its sections.

  Args:
    config: the fields of `temporal_defaults.DEFAULTS` and `partial_defaults.PARTIAL`.
    section: "target" or "moments"; without files it has those of `config` itself.
  """
  own, merged = config[section], ml_collections.ConfigDict(config)
  if own.annotations:
    merged.update({key: own[key] for key in OWN_FILES})
    if section == "target":
      merged.update({key: own[key] for key in ("train", "val", "test")})
  merged.update({key: own[key] for key in ("name", "window") if own.get(key)})
  return merged
