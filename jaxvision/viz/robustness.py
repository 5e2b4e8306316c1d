"""Accuracy of several models against the size of a distortion."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from jaxvision.viz import figures

if TYPE_CHECKING:
  import matplotlib.axes


def draw_accuracy_curves(
  curves: Mapping[str, ArrayLike],
  x: ArrayLike,
  path: Path,
  *,
  xlabel: str,
  trained: Sequence[float] | None = None,
  title: str = "",
) -> Path:
  """Draws accuracy against an angle, a shift or a scale, a curve a model.

  Args:
    curves: {model: accuracies in [0, 1], [k] or one row a seed [s, k]}. Of seeds the
      mean is drawn, and a band from the least to the best.
    x: the k values of the distortion.
    path: of the PNG.
    xlabel: as "rotation (degrees)".
    trained: (low, high) of x in training, shaded: outside is extrapolation.
    title: of the panel.

  Raises:
    ValueError: no curve; one that does not match x; NaN, infinity or percentages.
  """
  if not curves:
    raise ValueError("curves is empty: nothing to draw.")
  x = figures.finite("x", x)
  figure, [[axes]] = figures.grid(1, 1, (6.5, 3.8))
  handles = {}
  if trained is not None:
    handles["in training"] = axes.axvspan(*trained, color=figures.LIGHT, linewidth=0)
  for index, (name, accuracy) in enumerate(curves.items()):
    handles[name] = _draw(axes, x, _checked(name, accuracy, len(x)), index)
  figures.dress(axes, title=title, xlabel=xlabel, ylabel="accuracy (%)")
  axes.set_ylim(0, 102)
  figures.legend(figure, handles)
  return figures.save(figure, path)


def _checked(name: str, accuracy: ArrayLike, count: int) -> np.ndarray:
  """Accuracies as [seeds, count]."""
  y = np.atleast_2d(figures.finite(f"accuracy of {name!r}", accuracy))
  if y.ndim != 2 or y.shape[1] != count:
    raise ValueError(f"{name!r} has accuracies of shape {y.shape} for {count} x.")
  if y.min() < 0 or y.max() > 1:
    raise ValueError(f"{name!r} has accuracies outside of [0, 1].")
  return y


def _draw(
  axes: "matplotlib.axes.Axes", x: np.ndarray, accuracy: np.ndarray, index: int
) -> Any:
  colours = len(figures.PALETTE)
  colour = figures.PALETTE[index % colours]
  y = 100 * accuracy
  if len(y) > 1:
    axes.fill_between(x, y.min(0), y.max(0), color=colour, alpha=0.2, linewidth=0)
  style = figures.STYLES[index // colours % len(figures.STYLES)]
  (line,) = axes.plot(x, y.mean(0), style, color=colour, marker="o", markersize=3.5)
  return line
