"""Adversarial examples, and accuracy against the radius of an attack."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from jaxvision.typing import Array, Float, Int
from jaxvision.viz import figures
from jaxvision.viz.robustness import draw_accuracy_curves

Images = Float[np.ndarray | Array, "_ _ _ _"]  # n h w c
Labels = Int[np.ndarray | Array, " _"]
GREYS = 255  # radii are usually given as multiples of 1 / 255


def draw_adversarial(
  clean: Images,
  adversarial: Images,
  before: Labels,
  after: Labels,
  path: Path,
  *,
  classes: Sequence[str] = (),
  title: str = "",
  count: int = 8,
) -> Path:
  """Draws clean images, what an attack added, and the sums, with both predictions.

  The perturbation is stretched: the figure's largest change becomes black or white, no
  change is grey.

  Args:
    clean: images in [0, 1], of 1 or 3 channels.
    adversarial: as many, of the same size.
    before: predicted labels of the clean images.
    after: predicted labels of the adversarial ones.
    path: of the PNG.
    classes: names of the labels; without them the numbers are shown.
    title: of the figure.
    count: most columns to draw; the title says how many there are.

  Raises:
    ValueError: shapes or numbers that do not match, values outside of [0, 1], neither
      1 nor 3 channels, a label without a name.
  """
  _check(clean, adversarial, before, after, classes)
  name = lambda label: classes[label] if classes else str(label)
  clean, adversarial = (
    _in_range(what, images[:count])
    for what, images in (("clean", clean), ("adversarial", adversarial))
  )
  change = adversarial - clean
  largest = np.abs(change).max()
  columns = len(clean)
  titles = lambda labels: [name(int(label)) for label in labels[:columns]]
  figure, axes = figures.grid(3, columns, (1.5, 1.6))
  _draw_row(axes[0], "clean", clean, titles(before))
  stretched = 0.5 + change / (2 * largest or 1.0)
  _draw_row(axes[1], f"± {largest * GREYS:.1f} / {GREYS}", stretched, [""] * columns)
  _draw_row(axes[2], "adversarial", adversarial, titles(after))
  shown = f"first {columns} of {len(before)}" if columns < len(before) else ""
  figures.headline(figure, ": ".join(filter(None, (title, shown))))
  return figures.save(figure, path)


def _draw_row(
  panels: np.ndarray, row: str, images: np.ndarray, titles: Sequence[str]
) -> None:
  for panel, image, title in zip(panels, images, titles, strict=True):
    panel.imshow(image, cmap="gray", vmin=0, vmax=1)
    figures.bare(panel, title=title)
  panels[0].set_ylabel(row, fontsize=figures.TEXT, color=figures.INK)


def draw_robustness(
  curves: Mapping[str, ArrayLike],
  eps: ArrayLike,
  path: Path,
  *,
  trained: float | None = None,
  title: str = "",
) -> Path:
  """Draws robust accuracy against the radius, a curve a model or an attack.

  A curve that does not come down to 0 at large radii hints at masked gradients.

  Args:
    curves: {name: accuracies in [0, 1], [k] or one row a seed [s, k]}.
    eps: the k radii, in the images' units of [0, 1].
    path: of the PNG.
    trained: the radius of adversarial training; up to there is shaded.
    title: of the panel.

  Raises:
    ValueError: as `viz.robustness.draw_accuracy_curves`.
  """
  return draw_accuracy_curves(
    curves,
    GREYS * figures.finite("eps", eps),
    path,
    xlabel=f"eps (of {GREYS})",
    trained=None if trained is None else (0.0, GREYS * trained),
    title=title,
  )


def _check(
  clean: Images,
  adversarial: Images,
  before: Labels,
  after: Labels,
  classes: Sequence[str],
) -> None:
  if clean.shape != adversarial.shape:
    raise ValueError(f"clean is {clean.shape} and adversarial {adversarial.shape}.")
  if not len(clean) == len(before) == len(after):
    raise ValueError(
      f"there are {len(clean)} images, {len(before)} labels before, {len(after)} after."
    )
  if clean.shape[-1] not in (1, 3):
    raise ValueError(
      f"images have {clean.shape[-1]} channels; only 1 or 3 can be shown."
    )
  largest = max(int(np.max(before)), int(np.max(after))) if len(clean) else 0
  if classes and largest >= len(classes):
    raise ValueError(f"there is a label {largest} and {len(classes)} names of classes.")


def _in_range(name: str, images: Images) -> np.ndarray:
  x = figures.finite(name, images)
  if x.min() < 0 or x.max() > 1:
    raise ValueError(f"{name} has values outside of [0, 1].")
  return x
