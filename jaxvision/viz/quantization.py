"""Weights against the levels they move to, and quantizers as they sharpen."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float

from jaxvision.viz import figures

if TYPE_CHECKING:
  import matplotlib.axes


class Weights(NamedTuple):
  """Histograms of one layer's weights, in units of beta * w.

  Attributes:
    name: of the layer.
    edges: of the bins.
    counts: {when: number of weights in each bin}.
    thresholds: of the quantizer.
    levels: of the quantizer, as multiples of alpha.
  """

  name: str
  edges: Float[np.ndarray, " e"]
  counts: Mapping[str, Float[np.ndarray, " bins"]]
  thresholds: Float[np.ndarray, " n"]
  levels: Float[np.ndarray, " m"]


class Functions(NamedTuple):
  """One quantizer as a function.

  Attributes:
    name: of the layer.
    x: inputs.
    soft: {temperature: outputs}.
    hard: outputs at inference.
  """

  name: str
  x: Float[np.ndarray, " x"]
  soft: Mapping[float, Float[np.ndarray, " x"]]
  hard: Float[np.ndarray, " x"]


def draw_weights(layers: Sequence[Weights], path: Path) -> Path:
  """Draws histograms: one row a layer, one column a time.

  Yang et al. (2019), "Quantization Networks": as the temperature rises, weights leave
  the thresholds.

  Args:
    layers: with the same times.
    path: of the PNG.

  Raises:
    ValueError: no layer, no weight, NaN or infinity.
  """
  if not layers:
    raise ValueError("there is no layer: nothing to draw.")
  times = list(layers[0].counts)
  figure, axes = figures.grid(len(layers), len(times), (3.6, 2.3))
  handles: dict[str, Any] = {}
  for row, layer in zip(axes, layers, strict=True):
    for panel, time in zip(row, times, strict=True):
      handles = _draw_histogram(panel, layer, layer.counts[time])
      figures.dress(panel, title=f"{layer.name}, {time}", xlabel="beta w")
    row[0].set_ylabel("share of the weights", fontsize=figures.TEXT)
  figures.legend(figure, handles)
  return figures.save(figure, path)


def _draw_histogram(
  axes: "matplotlib.axes.Axes", layer: Weights, counts: np.ndarray
) -> dict[str, Any]:
  counts = figures.finite(layer.name, counts)
  shares = counts / max(counts.sum(), 1.0)
  edges = figures.finite(layer.name, layer.edges)
  steps = axes.stairs(shares, edges, fill=True, color=figures.PALETTE[5])
  lines = [
    axes.axvline(b, color=figures.PALETTE[1], linewidth=0.9, linestyle="--")
    for b in layer.thresholds
  ]
  (dots,) = axes.plot(
    layer.levels,
    np.zeros(len(layer.levels)),
    "^",
    color=figures.PALETTE[0],
    markersize=5,
    clip_on=False,
    linestyle="none",
    zorder=5,
  )
  axes.set_xlim(edges[0], edges[-1])
  axes.set_ylim(bottom=0)
  return {"weights": steps, "threshold": lines[0], "level": dots}


def draw_functions(curves: Functions, path: Path) -> Path:
  """Draws a soft quantizer at several temperatures, and the steps it becomes.

  Args:
    curves: of one layer.
    path: of the PNG.

  Raises:
    ValueError: no value, NaN or infinity.
  """
  figure, [[axes]] = figures.grid(1, 1, (5.6, 3.8))
  hard = figures.finite("hard", curves.hard)
  (line,) = axes.plot(curves.x, hard, color=figures.PALETTE[1], linewidth=2.2)
  handles: dict[str, Any] = {}
  shades = np.linspace(0.75, 0.0, max(len(curves.soft), 2))
  for shade, (temperature, y) in zip(shades, sorted(curves.soft.items()), strict=False):
    color = _mixed(figures.PALETTE[0], shade)
    values = figures.finite("soft", y)
    (soft,) = axes.plot(curves.x, values, color=color, linewidth=1.4)
    handles[f"T = {temperature:g}"] = soft
  figures.dress(axes, title=curves.name, xlabel="w", ylabel="quantized w")
  figures.legend(figure, {**handles, "inference": line})
  return figures.save(figure, path)


def _mixed(color: str, white: float) -> tuple[float, ...]:
  """A colour with a share of white in it."""
  own = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
  return tuple(white + (1.0 - white) * part for part in own)
