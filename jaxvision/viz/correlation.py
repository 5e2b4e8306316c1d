"""Correlation among the units of a layer: the matrix, and histograms to compare."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxvision.typing import Array, Bool, Float
from jaxvision.viz import figures

if TYPE_CHECKING:
  import matplotlib.axes
  import matplotlib.figure

Matrix = Float[np.ndarray | Array, "d d"]
Live = Bool[np.ndarray | Array, " d"]
# Layers differ in d.
Layer = tuple[Float[np.ndarray | Array, "_ _"], Bool[np.ndarray | Array, " _"]]

_MOST = 200  # units that a matrix shows with at least one pixel each
_BINS = 80


def draw_correlation(corr: Matrix, live: Live, path: Path, *, title: str = "") -> Path:
  """Draws one layer's correlation matrix and the histogram of its pairs.

  `jaxvision.ops.statistics.correlation_matrix` returns both arguments.

  Args:
    corr: correlations in [-1, 1]; rows and columns of dead units are not read.
    live: which units vary at all.
    path: of the PNG.
    title: what `corr` is of: the layer, activations or weights.

  Raises:
    ValueError: fewer than two live units; NaN or infinity among them.
  """
  matrix = _live_part("corr", corr, live)
  figure, [[left, right]] = figures.grid(1, 2, (5.0, 4.2))
  _draw_matrix(figure, left, matrix)
  pairs = _pairs(matrix)
  _draw_histogram(right, pairs, _span(pairs), index=0)
  figures.entitle(right, _summary(pairs))
  dead = int(live.size - live.sum())
  note = f" ({dead} dead units)" if dead else ""
  figures.headline(figure, f"{title}{note}".strip())
  return figures.save(figure, path)


def draw_correlations(
  layers: Mapping[str, Layer], path: Path, *, title: str = ""
) -> Path:
  """Overlays the histograms of several layers or arms of an experiment.

  Args:
    layers: {label: (corr, live)} as in `draw_correlation`.
    path: of the PNG.
    title: of the panel.

  Raises:
    ValueError: no layer; fewer than two live units; NaN or infinity among them.
  """
  if not layers:
    raise ValueError("layers is empty: nothing to draw.")
  pairs = {k: _pairs(_live_part(k, *layer)) for k, layer in layers.items()}
  span = _span(np.concatenate(list(pairs.values())))
  figure, [[axes]] = figures.grid(1, 1, (7.5, 4.0))
  handles = {}
  for index, (label, values) in enumerate(pairs.items()):
    handle = _draw_histogram(axes, values, span, index=index)
    handles[f"{label}\n{_summary(values)}"] = handle
  figures.entitle(axes, title)
  figures.legend(figure, handles)
  return figures.save(figure, path)


def _live_part(name: str, corr: Matrix, live: Live) -> np.ndarray:
  live = np.asarray(live)
  if live.sum() < 2:
    raise ValueError(f"{name} has {live.sum()} live units; a pair needs two.")
  return figures.finite(name, np.asarray(corr)[live][:, live])


def _pairs(matrix: np.ndarray) -> np.ndarray:
  """Every pair of units once; the diagonal is 1 by definition."""
  return matrix[np.triu_indices(len(matrix), 1)]


def _summary(pairs: np.ndarray) -> str:
  return f"mean |corr| {np.abs(pairs).mean():.3f}"


def _span(pairs: np.ndarray) -> tuple[float, float]:
  """A range that holds 0 and all pairs, and is wide enough to have bins at all."""
  return min(-0.01, float(pairs.min())), max(0.01, float(pairs.max()))


def _draw_matrix(
  figure: "matplotlib.figure.Figure", axes: "matplotlib.axes.Axes", matrix: np.ndarray
) -> None:
  units = len(matrix)
  shades = axes.imshow(
    matrix[:_MOST, :_MOST],
    cmap=figures.DIVERGING,
    vmin=-1,
    vmax=1,
    interpolation="nearest",
  )
  which = f"first {_MOST} of {units}" if units > _MOST else f"{units}"
  figures.dress(axes, title=f"{which} live units", xlabel="unit", ylabel="unit")
  axes.grid(False)
  bar = figure.colorbar(shades, ax=axes, shrink=0.85)
  bar.set_label("correlation", fontsize=figures.TEXT)
  bar.ax.tick_params(labelsize=figures.SMALL)


def _draw_histogram(
  axes: "matplotlib.axes.Axes",
  pairs: np.ndarray,
  span: tuple[float, float],
  *,
  index: int,
) -> Any:
  heights, edges = np.histogram(pairs, _BINS, span, density=True)
  colour = figures.PALETTE[index % len(figures.PALETTE)]
  style = figures.STYLES[index // len(figures.PALETTE) % len(figures.STYLES)]
  figures.dress(axes, xlabel="correlation of two units", ylabel="density of pairs")
  return axes.stairs(heights, edges, color=colour, linestyle=style, linewidth=1.6)
