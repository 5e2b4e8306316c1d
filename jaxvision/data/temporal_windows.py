"""From segments in seconds to windows with segments in units of the window.

Step k of T feature steps covers the time from origin + k step to origin + (k + 1) step,
its middle being what the features were computed around. Where the config gives no
`step`, the T steps share out the video (or the part of it that an annotation file says
is covered by features) evenly.
"""

import math
from typing import NamedTuple

import ml_collections
import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32, Int64

from jaxvision.data.annotation_table import Annotations
from jaxvision.data.feature_windows import sliding_windows
from jaxvision.data.temporal_examples import Windows
from jaxvision.errors import UserError

WHOLE = -1  # the first step of a window that is a whole video, resized


class Axis(NamedTuple):
  """Time of a video's features, in seconds."""

  origin: float
  end: float
  duration: float  # of the video, behind which nothing can be


class Cut(NamedTuple):
  """One window of a video.

  Attributes:
    video: its number.
    first: step of the features, or `WHOLE`.
    start: of the window in seconds.
    end: of the window in seconds.
    duration: of the video in seconds.
    segments: (start, end) in units of the window.
    label: class of each segment.
  """

  video: int
  first: int
  start: float
  end: float
  duration: float
  segments: Float64[np.ndarray, "s 2"]
  label: Int64[np.ndarray, " s"]


def time_axis(
  annotations: Annotations, video: int, steps: int, config: ml_collections.ConfigDict
) -> Axis:
  """When the features of a video begin and end.

  Args:
    annotations: with the durations.
    video: number of the video.
    steps: T of its features; needed if `config.step` is given.
    config: `step` and `first`, see `jaxvision.data.temporal_defaults.DEFAULTS`.

  Raises:
    UserError: if neither the config nor the annotations tell.
  """
  duration = float(annotations.durations[video])
  if config.step > 0:
    first = config.step / 2 if config.first < 0 else config.first
    origin = first - config.step / 2
    end = origin + steps * config.step
    return Axis(origin, end, end if math.isnan(duration) else duration)
  if math.isnan(duration):
    raise UserError(
      f"{config.annotations} does not say how long the video"
      f" {annotations.videos[video]!r} is: set --config.data.step to the seconds"
      " between two steps of the features."
    )
  return Axis(0.0, float(annotations.covered[video]), duration)


def cut_video(
  annotations: Annotations, video: int, steps: int, config: ml_collections.ConfigDict
) -> list[Cut]:
  """Cuts a video into the windows that the config asks for.

  What of a segment lies outside of the features is cut off; of sliding windows, see
  `sliding_windows`, one keeps a segment of which a share of `config.keep` is inside.

  Args:
    annotations: with the segments.
    video: number of the video.
    steps: T of its features; of no matter for a resized video without `config.step`.
    config: the fields of `jaxvision.data.temporal_defaults.DEFAULTS`.

  Returns:
    The windows from left to right.
  """
  rows = np.flatnonzero(annotations.segments.video == video)
  truth = annotations.segments.take(rows)
  times = np.stack((truth.start, truth.end), -1).astype(np.float64)
  axis = time_axis(annotations, video, steps, config)
  shares = ((times - axis.origin) / (axis.end - axis.origin)).clip(0, 1)
  if config.window == "resize":
    kept = shares[:, 1] > shares[:, 0]
    return [Cut(video, WHOLE, *axis, shares[kept], truth.label[kept])]
  step = (axis.end - axis.origin) / steps
  windows = sliding_windows(
    steps,
    size=config.length,
    stride=config.stride,
    segments=shares * steps,
    keep=config.keep,
  )
  return [
    Cut(
      video,
      int(w.start),
      axis.origin + w.start * step,
      axis.origin + w.end * step,
      axis.duration,
      w.segments / config.length,
      truth.label[w.index],
    )
    for w in windows
  ]


def tabulate(cuts: list[Cut]) -> Windows:
  """Where the windows lie."""
  numbers = np.array([cut.video for cut in cuts], np.int64)
  times = [(cut.start, cut.end, cut.duration) for cut in cuts]
  return Windows(numbers, *np.array(times, np.float64).reshape(-1, 3).T)


def pad_segments(
  cuts: list[Cut], slots: int
) -> tuple[
  Float32[np.ndarray, "n g 2"], Int32[np.ndarray, "n g"], Bool[np.ndarray, "n g"]
]:
  """Lists of segments as arrays of one length g.

  Args:
    cuts: n windows with at most g segments each.
    slots: g.

  Returns:
    (segments, label, valid), 0 and False where padded.
  """
  segments = np.zeros((len(cuts), slots, 2), np.float32)
  label = np.zeros((len(cuts), slots), np.int32)
  valid = np.zeros((len(cuts), slots), bool)
  for row, cut in enumerate(cuts):
    count = len(cut.label)
    segments[row, :count], label[row, :count] = cut.segments, cut.label
    valid[row, :count] = True
  return segments, label, valid
