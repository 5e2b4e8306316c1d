"""Feature maps before and after patch reordering."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jaxvision.typing import Array, Float
from jaxvision.viz import figures

if TYPE_CHECKING:
  import matplotlib.axes

_EDGES = figures.INK  # dark: the maps are red and blue
Maps = Float[np.ndarray | Array, "_ _ _"]  # h w c


def draw_reordering(
  before: Maps,
  after: Maps,
  path: Path,
  *,
  n: int = 2,
  levels: int = 1,
  corner: tuple[int, int] = (0, 0),
  count: int = 6,
) -> Path:
  """Draws channels of one image, before in the upper row and after in the lower one.

  Lines are the grid of patches, the coarser the thicker. A column shares its scale,
  which is symmetric around 0.

  Args:
    before: feature maps.
    after: the same, reordered by `ops.patches.patch_reorder`.
    path: of the PNG.
    n: patches per side at each level.
    levels: of the pyramid.
    corner: top row and left column of the grid, not (0, 0) for a centred remainder.
    count: most channels to draw; the title says how many there are.

  Raises:
    ValueError: shapes differ, no channel, NaN or infinity.
  """
  if before.shape != after.shape:
    raise ValueError(f"before is {before.shape} and after {after.shape}; need equal.")
  first, second = figures.finite("before", before), figures.finite("after", after)
  channels = first.shape[-1]
  shown = min(count, channels)
  height = 1.9 * first.shape[0] / first.shape[1] + 0.25
  figure, axes = figures.grid(2, shown, (1.9, height))
  for channel, (upper, lower) in enumerate(axes.T):
    limit = np.abs(first[..., channel]).max() or 1.0
    for panel, maps in ((upper, first), (lower, second)):
      panel.imshow(
        maps[..., channel],
        cmap=figures.DIVERGING,
        vmin=-limit,
        vmax=limit,
        interpolation="nearest",
      )
      _draw_grid(panel, first.shape, n, levels, corner)
    figures.bare(upper, title=f"channel {channel}")
    figures.bare(lower)
  for panel, name in zip(axes[:, 0], ("before", "after"), strict=True):
    panel.set_ylabel(name, fontsize=figures.TEXT, color=figures.INK)
  if shown < channels:
    figures.headline(figure, f"first {shown} of {channels} channels")
  return figures.save(figure, path)


def _draw_grid(
  axes: "matplotlib.axes.Axes",
  shape: tuple[int, ...],
  n: int,
  levels: int,
  corner: tuple[int, int],
) -> None:
  """Draws the edges of the patches, around what is reordered too."""
  blocks = n**levels
  unit = np.array(shape[:2]) // blocks
  top, left = np.array(corner) - 0.5  # a pixel's edge lies half a pixel before it
  bottom, right = (top, left) + unit * blocks
  for level in reversed(range(levels + 1)):
    edges = np.arange(n**level + 1)
    style = {"color": _EDGES, "linewidth": 2.0 / (1 + level), "clip_on": False}
    rows, columns = np.outer(unit * (blocks // n**level), edges)
    axes.hlines(top + rows, left, right, **style)
    axes.vlines(left + columns, top, bottom, **style)
