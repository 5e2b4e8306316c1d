"""Windows of videos with the segments in them: in memory, in files, or as a shape.

The arrays are host arrays (numpy); nothing here computes with JAX.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

import ml_collections
import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int, Int32, Int64

from jaxvision.data.temporal_defaults import WINDOW
from jaxvision.metrics.segments import Segments

Indices = Int[np.ndarray, " b"]
# {"features": float32 [b, t, d], "segments": float32 [b, g, 2], "label": int32 [b, g],
#  "valid": bool [b, g]}; no "mask", which `padded_batches` adds for whole examples
Batch = dict[str, np.ndarray]

FLOAT = np.dtype(np.float32)


@runtime_checkable
class FeatureArray(Protocol):
  """Features of n windows that can be read in any order: an array, or files."""

  @property
  def shape(self) -> tuple[int, ...]:
    """(windows n, steps t, width d)."""

  def __getitem__(self, indices: Indices) -> np.ndarray:
    """float32 [b, t, d], a copy."""


@dataclasses.dataclass(frozen=True)
class AbstractFeatures:
  """A shape and no data: enough to plan a run."""

  shape: tuple[int, ...]

  def __getitem__(self, indices: Indices) -> np.ndarray:
    """There is nothing to read: a `TypeError`."""
    raise TypeError("abstract features have a shape, but no data")


class Windows(NamedTuple):
  """Where each of n windows lies; times in seconds.

  Attributes:
    video: its number in the names of the videos.
    start: time at the beginning of the first step.
    end: time at the end of the last step; a padded window ends after its video.
    duration: of the whole video, behind which nothing can be.
  """

  video: Int64[np.ndarray, " n"]
  start: Float64[np.ndarray, " n"]
  end: Float64[np.ndarray, " n"]
  duration: Float64[np.ndarray, " n"]

  def take(self, indices: Indices) -> "Windows":
    """The windows at `indices`."""
    return Windows(*(x[indices] for x in self))

  def to_seconds(
    self, segments: Float[np.ndarray, "n k 2"]
  ) -> Float64[np.ndarray, "n k 2"]:
    """Brings segments from units of their window to seconds of their video.

    Args:
      segments: such as a detector's, k of each window.

    Returns:
      (start, end) in seconds, cut to the video.
    """
    start, end, duration = (x[:, None, None] for x in self[1:])
    return (start + segments.astype(np.float64) * (end - start)).clip(0, duration)


@dataclasses.dataclass(frozen=True, eq=False)
class TemporalExamples:
  """Windows of videos, each with a list of segments, padded to one length.

  Attributes:
    features: of the windows, float32 [n, t, d].
    segments: (start, end) in units of the window, in [0, 1]; 0 where padded.
    label: class from 0; 0 where padded. There is no class for the background, which
      is the business of the losses.
    valid: which of the segments there are.
    windows: where the windows lie in their videos.
    truth: all segments of the split's videos in seconds, for the evaluation; also
      those that no window keeps.
    ambiguous: segments that count neither way, of THUMOS14; mostly none.
    videos: names behind the numbers of `windows.video` and of the segments.
  """

  features: FeatureArray
  segments: Float32[np.ndarray, "n g 2"]
  label: Int32[np.ndarray, "n g"]
  valid: Bool[np.ndarray, "n g"]
  windows: Windows
  truth: Segments
  ambiguous: Segments
  videos: tuple[str, ...]

  def __len__(self) -> int:
    """The number of windows n."""
    return len(self.label)

  @property
  def shape(self) -> tuple[int, int]:
    """(steps t, width d) of every window."""
    return self.features.shape[1], self.features.shape[2]

  @property
  def nbytes(self) -> int:
    """Size of all features as float32, read or not."""
    return int(np.prod(self.features.shape)) * FLOAT.itemsize

  @property
  def spec(self) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """{key of a batch: (shape without its first axis, type)}, also of abstract data."""
    return {
      "features": (self.shape, FLOAT),
      "segments": (self.segments.shape[1:], self.segments.dtype),
      "label": (self.label.shape[1:], self.label.dtype),
      "valid": (self.valid.shape[1:], self.valid.dtype),
    }

  def arrays(self) -> Batch:
    """All windows as one batch, to be put on the device as a whole."""
    if isinstance(self.features, np.ndarray):
      return {"features": self.features, **self._targets(slice(None))}
    return self[np.arange(len(self))]

  def __getitem__(self, indices: Indices) -> Batch:
    """A copy of the windows at `indices`; reads them if they are in files."""
    return {"features": self.features[indices], **self._targets(indices)}

  def _targets(self, rows: Indices | slice) -> Batch:
    return {
      "segments": self.segments[rows],
      "label": self.label[rows],
      "valid": self.valid[rows],
    }


class TemporalDataset(NamedTuple):
  """A data set of temporal action localisation.

  Attributes:
    name: what was really loaded.
    note: "", or one line on what was left out or mended.
    classes: names of the classes, in the order of the labels.
    splits: "train", "val" and "test".
    frames: number of a test window -> its frames, float32 [t, h, w, 1] in [0, 1];
      None where the features were not made of frames here.
  """

  name: str
  note: str
  classes: tuple[str, ...]
  splits: dict[str, TemporalExamples]
  frames: Callable[[int], np.ndarray] | None = None


def window_steps(config: ml_collections.ConfigDict) -> int:
  """Steps of a window of data that come without files; `config` is `config.data`."""
  return config.length or WINDOW


def no_segments() -> Segments:
  """An empty list of segments."""
  number, time = np.zeros(0, np.int64), np.zeros(0, np.float64)
  return Segments(number, number, time, time)


def abstract_examples(
  count: int, shape: tuple[int, int], segments: int
) -> TemporalExamples:
  """Windows without data.

  Args:
    count: number of windows n.
    shape: (steps t, width d) of each.
    segments: slots g for the segments of a window.
  """
  zeros = np.zeros(count)
  return TemporalExamples(
    AbstractFeatures((count, *shape)),
    np.zeros((count, segments, 2), np.float32),
    np.zeros((count, segments), np.int32),
    np.zeros((count, segments), bool),
    Windows(np.zeros(count, np.int64), zeros, zeros, zeros),
    no_segments(),
    no_segments(),
    (),
  )
