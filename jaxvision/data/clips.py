"""Trimmed clips, each with one class: cut out of windows or files, and resized."""

import dataclasses
import math

import numpy as np
from jaxtyping import Int32

from jaxvision.data.feature_windows import resize_features
from jaxvision.data.temporal_examples import (
  FLOAT,
  AbstractFeatures,
  Batch,
  FeatureArray,
  Indices,
  TemporalExamples,
)


@dataclasses.dataclass(frozen=True, eq=False)
class Clips:
  """Clips with their classes.

  Attributes:
    features: float32 [n, t, d].
    label: class from 0.
  """

  features: FeatureArray
  label: Int32[np.ndarray, " n"]

  def __len__(self) -> int:
    """The number of clips n."""
    return len(self.label)

  @property
  def shape(self) -> tuple[int, int]:
    """(steps t, width d) of every clip."""
    return self.features.shape[1], self.features.shape[2]

  @property
  def nbytes(self) -> int:
    """Size of all features as float32, read or not."""
    return int(np.prod(self.features.shape)) * FLOAT.itemsize

  @property
  def spec(self) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """{key of a batch: (shape without its first axis, type)}, also of abstract data."""
    return {"features": (self.shape, FLOAT), "label": ((), self.label.dtype)}

  def arrays(self) -> Batch:
    """All clips as one batch, to be put on the device as a whole."""
    if isinstance(self.features, np.ndarray):
      return {"features": self.features, "label": self.label}
    return self[np.arange(len(self))]

  def __getitem__(self, indices: Indices) -> Batch:
    """A copy of the clips at `indices`; reads them if they are in files."""
    return {"features": self.features[indices], "label": self.label[indices]}


def abstract_clips(count: int, shape: tuple[int, int]) -> Clips:
  """Clips without data."""
  return Clips(AbstractFeatures((count, *shape)), np.zeros(count, np.int32))


def cut_clips(examples: TemporalExamples, *, length: int, least: int) -> Clips:
  """Cuts the segments out of windows in memory.

  Args:
    examples: n windows with segments.
    length: steps to which the clips are resized.
    least: steps that a segment needs, or it is left out.
  """
  steps = examples.shape[0]
  row, slot = np.nonzero(examples.valid)
  segments = examples.segments[row, slot] * steps
  pieces = [whole_steps(*pair) for pair in segments.tolist()]
  kept = [i for i, (first, end) in enumerate(pieces) if end - first >= least]
  shape = (len(kept), length, examples.shape[1])
  features = np.empty(shape, np.float32)
  for i, k in enumerate(kept):
    first, end = pieces[k]
    features[i] = resize_features(
      examples.features[row[k : k + 1]][0, first:end], length
    )
  return Clips(features, examples.label[row, slot][kept])


def whole_steps(start: float, end: float) -> tuple[int, int]:
  """The steps that a segment covers at least in part, as (first, behind the last)."""
  first = math.floor(start + 1e-4)  # times in float32 may fall short of their step
  return first, max(math.ceil(end - 1e-4), first + 1)
