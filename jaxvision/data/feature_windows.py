"""Features of a fixed length: resized whole videos, and sliding windows."""

import math
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64

from jaxvision.errors import UserError

POINTS = 3  # that a bin's mean is of


class Window(NamedTuple):
  """A stretch of a video and the segments in it.

  Attributes:
    start: of the window, on the axis of the video.
    end: start + size, perhaps beyond a video that is shorter than a window.
    index: which segments it keeps.
    segments: their (start, end), cut to the window and counted from its start.
  """

  start: float
  end: float
  index: Int64[np.ndarray, " n"]
  segments: Float64[np.ndarray, "n 2"]


def resize_features(
  x: Float[np.ndarray, "t d"],
  length: int,
  *,
  mode: Literal["linear", "bin_mean"] = "linear",
) -> Float32[np.ndarray, "l d"]:
  """Resamples features in time, the whole video to `length` steps.

  Step k of the input stands for the time (k + 1/2) / t of the video, step i of the
  output for the i-th of `length` equal bins. Between the times of two steps features
  are interpolated linearly, before the first and after the last they are constant.

  - "linear" takes the middle of each bin: `align_corners=False` without
    antialiasing, so that steps may be passed over when shortening.
  - "bin_mean" takes the mean at the two ends and the middle of each bin, the bin first
    being cut to the times of the first and last step: the pooling of BSN, BMN and
    AherNet. Where a bin lies wholly before the first or after the last step, which
    takes more than two bins a step, their code gives zeros; we give that step.

  Args:
    x: features, one row a step.
    length: steps of the result, at least 1.
    mode: see above.

  Returns:
    float32 [length, d].
  """
  if length < 1 or not len(x):
    raise ValueError(f"cannot resize {len(x)} steps to {length}.")
  edges = np.arange(length + 1) * (len(x) / length) - 0.5  # on the axis of row numbers
  if mode == "linear":
    points = ((edges[:-1] + edges[1:]) / 2)[:, None]
  else:
    edges = edges.clip(0, len(x) - 1)
    points = np.linspace(edges[:-1], edges[1:], POINTS, axis=1)
  points = points.clip(0, len(x) - 1)
  low = np.floor(points).astype(np.int64)
  high = np.minimum(low + 1, len(x) - 1)
  weight = (points - low)[..., None]
  values = x[low] * (1 - weight) + x[high] * weight
  return values.mean(1).astype(np.float32)


def sliding_windows(
  length: float,
  *,
  size: float,
  stride: float,
  segments: Float[np.ndarray, "n 2"] | None = None,
  keep: float = 0.9,
) -> list[Window]:
  """Cuts a video into windows of one size and shares out its segments.

  Windows start at 0, stride, 2 stride, ... as long as they fit; one more ends with the
  video if the last of them does not. A video that is no longer than a window gives one
  window at 0, to be padded. Every point of the video is in a window if the stride is
  not above the size.

  Args:
    length: of the video, in steps or seconds.
    size: of a window, in the same unit.
    stride: from window to window.
    segments: (start, end) of each segment; None is no segments.
    keep: a window keeps a segment if at least this share of the segment's length is
      inside; 0.9 as in SSAD's code for THUMOS14. Segments of no length are not kept.

  Returns:
    The windows from left to right.

  Raises:
    UserError: if size, stride or length is not positive, or keep not in (0, 1].
  """
  values = {"length": length, "size": size, "stride": stride}
  for name, value in values.items():
    if not value > 0 or math.isinf(value):
      raise UserError(f"{name}={value}: windows need a positive number.")
  if not 0 < keep <= 1:
    raise UserError(f"keep={keep}: the share kept is above 0 and at most 1.")
  if segments is None:
    segments = np.zeros((0, 2))
  last = max(length - size, 0)
  starts = [i * stride for i in range(int(last // stride) + 1)]
  if starts[-1] < last:
    starts.append(last)
  return [_window(start, size, segments, keep) for start in starts]


def _window(
  start: float, size: float, segments: Float[np.ndarray, "n 2"], keep: float
) -> Window:
  cut = segments.clip(start, start + size)
  inside, whole = (s[:, 1] - s[:, 0] for s in (cut, segments))
  # a hair less: 0.9 of a length is not exact in floating point
  index = np.flatnonzero((whole > 0) & (inside >= keep * whole * (1 - 1e-9)))
  return Window(start, start + size, index, np.float64(cut[index] - start))
