"""A strip of a video's frames above what was found in it."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32

from jaxvision.typing import Float
from jaxvision.viz import figures, timeline
from jaxvision.viz.timeline_rows import Bars, Kernels

if TYPE_CHECKING:
  import matplotlib.axes

WIDTH, MARGIN = 9.0, 0.2  # inches of all panels; above and below the strip
GAP = 0.06  # between frames, as a part of one


def draw_film(
  frames: Float32[np.ndarray, "t h w 1"],
  path: Path,
  *,
  rows: Sequence[Bars | Kernels],
  duration: float,
  title: str = "",
  classes: Sequence[str] = (),
  xlabel: str = "seconds",
  count: int = 22,
  top: int = 5,
) -> Path:
  """Draws every k-th frame of a video above its time, and the timeline below.

  A frame is as wide as the time until the next one that is shown, and is taken from
  the middle of that time.

  Args:
    frames: of the whole video, equally spaced, grey values in [0, 1].
    path: of the PNG.
    rows: of the timeline, see `jaxvision.viz.timeline.draw_timeline`.
    duration: end of the axis.
    title: of the figure.
    classes: names, in the order of the labels.
    xlabel: unit of the times.
    count: most frames to show.
    top: most predictions a row, those of the highest scores.

  Raises:
    ValueError: no frame, values that are not in [0, 1], or rows that cannot be drawn.
  """
  pixels = figures.finite("frames", frames)
  if pixels.min() < 0 or pixels.max() > 1:
    raise ValueError("frames have values outside [0, 1].")
  lines, height = timeline.lay_out(rows, duration=duration, classes=classes, top=top)
  every = math.ceil(len(frames) / count)
  strip = WIDTH * every / len(frames) * frames.shape[1] / frames.shape[2] + MARGIN
  size = (WIDTH, (height + strip) / 2)
  figure, [[upper], [lower]] = figures.grid(2, 1, size)
  lower.get_gridspec().set_height_ratios((strip, height))
  _draw_strip(upper, pixels[..., 0], every, duration)
  timeline.draw_lines(lower, lines, duration=duration, xlabel=xlabel)
  figures.headline(figure, title)
  timeline.name_classes(figure, lines.styles, classes)
  return figures.save(figure, path)


def _draw_strip(
  axes: "matplotlib.axes.Axes",
  frames: Float[np.ndarray, "t h w"],
  every: int,
  duration: float,
) -> None:
  """Every k-th frame where its time is; the last one may be cut off by the end."""
  step = duration / len(frames)
  wide = every * step * (1 - GAP)
  high = wide * frames.shape[1] / frames.shape[2]
  for first in range(0, len(frames), every):
    middle = min(first + every // 2, len(frames) - 1)
    left = first * step
    axes.imshow(
      frames[middle],
      cmap="gray",
      vmin=0,
      vmax=1,
      extent=(left, left + wide, 0, high),
    )
  axes.set_xlim(0, duration)
  axes.set_ylim(0, high)
  axes.set_anchor("S")
  figures.bare(axes)
