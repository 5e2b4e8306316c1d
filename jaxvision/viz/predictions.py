"""Predicted classes beside their images."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Shaped

from jaxvision.typing import Array, Float
from jaxvision.viz import figures

if TYPE_CHECKING:
  import matplotlib.axes

Image = Shaped[np.ndarray | Array, "_ _ _"]  # h w c; each has its own size
Probabilities = Float[np.ndarray | Array, " k"]

_PER_ROW = 3
_LONGEST = 22  # characters of a class name or a file name


def draw_predictions(
  images: Mapping[str, Image],
  probabilities: Mapping[str, Probabilities],
  classes: Sequence[str],
  path: Path,
  *,
  top: int = 5,
  count: int = 24,
) -> Path:
  """Draws images with bars of their most probable classes.

  Args:
    images: {name: pixels}, uint8, or float in [0, 1]; 1 or 3 channels.
    probabilities: {the same names: one value in [0, 1] a class}.
    classes: names of the k classes.
    path: of the PNG.
    top: classes an image.
    count: most images to draw, the first ones; the title says how many there are.

  Raises:
    ValueError: no image, names or numbers that do not match, values out of range.
  """
  if not images or set(images) != set(probabilities):
    raise ValueError("images and probabilities need the same names, at least one.")
  names = list(images)[:count]
  columns = min(_PER_ROW, len(names))
  rows = math.ceil(len(names) / columns)
  figure, axes = figures.grid(rows, 2 * columns, (2.1, 1.9))
  pairs = axes.reshape(-1, 2)
  for (left, right), name in zip(pairs, names, strict=False):
    left.imshow(_pixels(name, images[name]), cmap="gray", vmin=0, vmax=1)
    left.set_anchor("NW")
    figures.bare(left, title=_tail(name))
    _draw_bars(right, name, probabilities[name], classes, top)
  for unused in pairs[len(names) :].flat:
    unused.remove()
  if count < len(images):
    figures.headline(figure, f"first {count} of {len(images)} images")
  return figures.save(figure, path)


def _pixels(name: str, image: Image) -> np.ndarray:
  x = np.asarray(image)
  if x.ndim != 3 or x.shape[-1] not in (1, 3):
    raise ValueError(f"image {name!r} has shape {x.shape}; need [h, w, 1 or 3].")
  x = figures.finite(f"image {name!r}", x / 255 if x.dtype == np.uint8 else x)
  if x.min() < 0 or x.max() > 1:
    raise ValueError(f"image {name!r} has values outside [0, 1].")
  return x[..., 0] if x.shape[-1] == 1 else x


def _draw_bars(
  axes: "matplotlib.axes.Axes",
  name: str,
  probabilities: Probabilities,
  classes: Sequence[str],
  top: int,
) -> None:
  p = figures.finite(f"probabilities of {name!r}", probabilities)
  if p.shape != (len(classes),):
    raise ValueError(f"{name!r} has {p.size} probabilities for {len(classes)} classes.")
  if p.min() < 0 or p.max() > 1:
    raise ValueError(f"probabilities of {name!r} are not within [0, 1].")
  best = np.argsort(-p, kind="stable")[:top]
  colours = [figures.PALETTE[0]] + [figures.PALETTE[5]] * (len(best) - 1)
  bars = axes.barh(range(len(best)), p[best], color=colours)
  axes.bar_label(bars, [f"{v:.0%}" for v in p[best]], padding=2, fontsize=8)
  figures.dress(axes, xlabel="probability")
  figures.name_rows(axes, [_head(classes[k]) for k in best])
  axes.set_xlim(0, 1.25)
  axes.set_xticks([0, 0.5, 1])


def _head(text: str) -> str:
  return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _tail(text: str) -> str:
  """File names differ at their ends."""
  return text if len(text) <= _LONGEST else "…" + text[1 - _LONGEST :]
