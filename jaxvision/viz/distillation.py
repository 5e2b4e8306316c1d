"""Figures of distillation: alignment of parts, and what each part sees."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from jaxvision.typing import Array, Float
from jaxvision.viz import figures

SHADES = "Blues"


def draw_alignment(
  matrix: Float[np.ndarray | Array, "n n"],
  names: Sequence[str],
  path: Path,
  *,
  title: str = "linear CKA",
) -> Path:
  """Draws a matrix of similarities in [0, 1], with its numbers.

  Args:
    matrix: a row and a column for each part.
    names: of the parts.
    path: of the PNG.
    title: what the numbers are.

  Raises:
    ValueError: another number of names; NaN or infinity.
  """
  values = figures.finite("matrix", matrix)
  if len(names) != len(values):
    raise ValueError(
      f"matrix has {len(values)} rows, but there are {len(names)} names."
    )
  figure, [[axes]] = figures.grid(
    1, 1, (2.6 + 0.7 * len(names), 1.6 + 0.6 * len(names))
  )
  shades = axes.imshow(values, cmap=SHADES, vmin=0, vmax=1)
  figures.dress(axes, title=title)
  axes.grid(False)
  axes.set_xticks(range(len(names)), names, parse_math=False)
  figures.name_rows(axes, names)
  axes.set_ylim(len(names) - 0.5, -0.5)
  for (row, column), value in np.ndenumerate(values):
    colour = "white" if value > 0.6 else figures.INK
    axes.text(
      column, row, f"{value:.2f}", ha="center", va="center", color=colour,
      fontsize=figures.SMALL,
    )  # fmt: skip
  bar = figure.colorbar(shades, ax=axes, shrink=0.85)
  bar.ax.tick_params(labelsize=figures.SMALL)
  return figures.save(figure, path)


def draw_gradient_maps(
  images: Float[np.ndarray, "n h w c"],
  maps: Mapping[str, Float[np.ndarray, "n h w"]],
  path: Path,
) -> Path:
  """Draws images and, below each, the maps of several parts.

  Each map is divided by its largest value: the size of a gradient depends on the scale
  of the layer, so only places compare.

  Args:
    images: in [0, 1], of one or three channels.
    maps: {name of the part: non-negative values}.
    path: of the PNG.

  Raises:
    ValueError: no image or no map; NaN or infinity.
  """
  if not len(images) or not maps:
    raise ValueError("there are no images or no maps: nothing to draw.")
  figure, axes = figures.grid(1 + len(maps), len(images), (1.3, 1.3))
  for column, image in enumerate(np.clip(figures.finite("images", images), 0, 1)):
    shown = image[..., 0] if image.shape[-1] == 1 else image
    axes[0, column].imshow(shown, cmap="gray", vmin=0, vmax=1)
    for row, (name, values) in enumerate(maps.items(), start=1):
      seen = figures.finite(name, values[column])
      axes[row, column].imshow(
        seen, cmap="inferno", vmin=0, vmax=max(seen.max(), np.finfo(np.float32).tiny)
      )
  for row, name in enumerate(["image", *maps]):
    for panel in axes[row]:
      figures.bare(panel)
    figures.entitle(axes[row, 0], name)
  return figures.save(figure, path)
