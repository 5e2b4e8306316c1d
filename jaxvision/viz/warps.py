"""Images or feature maps before and after a warp."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxvision.typing import Array, Float
from jaxvision.viz import figures


def draw_warps(
  before: Float[np.ndarray | Array, "n h w c"],
  after: Float[np.ndarray | Array, "m i j c"],
  path: Path,
  *,
  names: Sequence[str] = (),
  title: str = "",
  count: int = 8,
) -> Path:
  """Draws two rows: what went into a warp, and below each what came out.

  Args:
    before: images, of 1 channel (any values; one grey scale for the whole figure) or 3
      (in [0, 1]). Feature maps "h w c" of one image, to be seen one by one, need
      `maps.transpose(2, 0, 1)[..., None]`.
    after: as many; they may have another size.
    path: of the PNG.
    names: titles of the columns, one an image.
    title: of the figure.
    count: most columns to draw; the title says how many there are.

  Raises:
    ValueError: no image, neither 1 nor 3 channels, numbers that do not match, NaN or
      infinity.
  """
  n, channels = before.shape[0], before.shape[-1]
  if len(after) != n or (names and len(names) != n):
    raise ValueError(f"there are {n} images, {len(after)} warped, {len(names)} names.")
  if channels not in (1, 3):
    raise ValueError(f"images have {channels} channels; only 1 or 3 can be shown.")
  rows = {
    name: figures.finite(name, images[:count])
    for name, images in {"before": before, "after": after}.items()
  }
  low, high = (0.0, 1.0) if channels == 3 else _scale(list(rows.values()))
  columns = len(rows["before"])
  figure, axes = figures.grid(2, columns, (1.5, 1.6))
  for panels, (row, images) in zip(axes, rows.items(), strict=True):
    for k, (panel, image) in enumerate(zip(panels, images, strict=True)):
      panel.imshow(image.clip(low, high), cmap="gray", vmin=low, vmax=high)
      figures.bare(panel, title=names[k] if names and row == "before" else "")
    panels[0].set_ylabel(row, fontsize=figures.TEXT, color=figures.INK)
  shown = f"first {columns} of {n}" if columns < n else ""
  figures.headline(figure, ": ".join(filter(None, (title, shown))))
  return figures.save(figure, path)


def _scale(rows: Sequence[np.ndarray]) -> tuple[float, float]:
  """Least and largest value; 0 is among them, since it is what enters from outside."""
  low = min(0.0, *(float(images.min()) for images in rows))
  high = max(0.0, *(float(images.max()) for images in rows))
  return low, high if high > low else low + 1.0
