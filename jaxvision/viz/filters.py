"""Filters of a first layer as tiles."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jaxvision.typing import Array, Float
from jaxvision.viz import figures

if TYPE_CHECKING:
  import matplotlib.axes


def draw_filters(
  weights: Float[np.ndarray | Array, "n h w c"],
  path: Path,
  *,
  columns: int = 16,
  count: int = 64,
) -> Path:
  """Draws the first filters of a layer that reads pixels.

  One channel: a diverging scale, symmetric around 0 and shared by all tiles. Three:
  each filter is stretched to [0, 1] by itself, so only shapes and hues compare.

  Args:
    weights: filters first; a Flax kernel "h w c n" needs `transpose(3, 0, 1, 2)`, the
      one of a dense layer `kernel.T.reshape(n, h, w, c)`.
    path: of the PNG.
    columns: tiles a row.
    count: most tiles to draw; the title says how many there are.

  Raises:
    ValueError: no filter, neither 1 nor 3 channels, NaN or infinity.
  """
  n, channels = weights.shape[0], weights.shape[-1]
  if channels not in (1, 3):
    raise ValueError(f"weights have {channels} channels; only 1 or 3 are pixels.")
  tiles = figures.finite("weights", weights[:count])
  shown = len(tiles)
  columns = min(columns, shown)
  if channels == 3:
    tiles = _stretched(tiles)
  image = montage(tiles, columns, fill=1.0 if channels == 3 else np.nan)
  width = max(3.0, 0.6 * columns)
  height = width * image.shape[0] / image.shape[1]
  figure, [[axes]] = figures.grid(1, 1, (width + 1.0, height + 0.5))
  title = f"first {shown} of {n} filters" if shown < n else f"{n} filters"
  figures.bare(axes, title=title)
  if channels == 3:
    axes.imshow(image, interpolation="nearest")
  else:
    _show_weights(axes, image[..., 0], limit=float(np.abs(tiles).max()))
  return figures.save(figure, path)


def _show_weights(
  axes: "matplotlib.axes.Axes", image: Float[np.ndarray, "y x"], *, limit: float
) -> None:
  """One channel by a scale that is symmetric around 0, and the scale beside it."""
  limit = max(limit, np.finfo(np.float32).tiny)  # all weights may be 0
  shades = axes.imshow(
    image, cmap=figures.DIVERGING, vmin=-limit, vmax=limit, interpolation="nearest"
  )
  bar = axes.figure.colorbar(shades, ax=axes, shrink=0.9, aspect=15)
  bar.set_label("weight", fontsize=figures.TEXT)
  bar.ax.tick_params(labelsize=figures.SMALL)


def montage(
  tiles: Float[np.ndarray, "n h w c"], columns: int, *, fill: float
) -> Float[np.ndarray, "y x c"]:
  """Lays tiles out in rows of `columns`, one pixel of `fill` between them."""
  n, h, w, c = tiles.shape
  rows = -(-n // columns)
  image = np.full((rows * (h + 1) - 1, columns * (w + 1) - 1, c), fill, tiles.dtype)
  for index, tile in enumerate(tiles):
    y, x = (h + 1) * (index // columns), (w + 1) * (index % columns)
    image[y : y + h, x : x + w] = tile
  return image


def _stretched(tiles: np.ndarray) -> np.ndarray:
  low = tiles.min(axis=(1, 2, 3), keepdims=True)
  span = tiles.max(axis=(1, 2, 3), keepdims=True) - low
  # A constant filter has no contrast to show: grey.
  return np.where(span > 0, (tiles - low) / np.where(span > 0, span, 1.0), 0.5)
