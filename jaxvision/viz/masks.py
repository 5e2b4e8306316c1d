"""Distributions of masks: what is sampled against the closed forms."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvision.ops.masks import (
  MaskSpec,
  mask_atoms,
  mask_density,
  mask_moments,
  noise_strength,
  sample_mask,
)
from jaxvision.viz import figures

if TYPE_CHECKING:
  import matplotlib.axes

_SAMPLED, _DENSITY = figures.PALETTE[5], figures.PALETTE[0]
_FREQUENCY, _PROBABILITY = "#F2B48C", figures.PALETTE[1]


def draw_masks(
  specs: Mapping[str, MaskSpec], path: Path, *, samples: int = 200_000, seed: int = 0
) -> Path:
  """Draws each mask's samples against its density and its atoms, one panel a mask.

  Shen et al. (2018), "Continuous Dropout". A clipped Gaussian has both parts: the
  density is read on the left axis and integrates to 1 - P(atoms); the probability of
  single values is read on the right one. Moments in the titles are exact.

  Args:
    specs: {label: distribution}.
    path: of the PNG.
    samples: draws a mask.
    seed: of the draws, which are independent between masks.

  Raises:
    ValueError: no mask, no samples, or a mask of mean 0.
  """
  if not specs or samples < 1:
    raise ValueError(f"{len(specs)} masks of {samples} samples: nothing to draw.")
  figure, axes = figures.panels(len(specs), size=(4.2, 3.4))
  keys = jax.random.split(jax.random.key(seed), len(specs))
  handles = {}
  for panel, key, (label, spec) in zip(axes, keys, specs.items(), strict=True):
    values = np.asarray(sample_mask(key, (samples,), spec))
    handles |= _draw_mask(panel, spec, values)
    figures.entitle(panel, _title(label, spec))
  figures.legend(figure, handles)
  return figures.save(figure, path)


def _title(label: str, spec: MaskSpec) -> str:
  mean, variance = mask_moments(spec)
  strength = noise_strength(spec)
  moments = f"mean {mean:.3f}, variance {variance:.4f}"
  return f"{label}\n{moments}\nnoise strength {strength:.3f}"


def _draw_mask(
  axes: "matplotlib.axes.Axes", spec: MaskSpec, values: np.ndarray
) -> dict[str, Any]:
  """Draws the parts that the mask has; returns their handles for the legend."""
  atoms = [(value, p) for value, p in mask_atoms(spec) if p > 0]
  single = np.array([value for value, _ in atoms], values.dtype)
  margin = 0.08 * max(1.0, np.ptp(values))
  axes.set_xlim(min(0, values.min()) - margin, max(1, values.max()) + margin)
  spread = values[~np.isin(values, single)]
  handles = {}
  if spread.size:
    handles |= _draw_density(axes, spec, spread, values.size)
    figures.dress(axes, xlabel="mask value", ylabel="density")
  if not atoms:
    return handles
  right = axes.twinx() if spread.size else axes
  figures.dress(right, xlabel="mask value", ylabel="probability")
  if spread.size:
    right.grid(False)  # of two grids that do not coincide
    right.spines["right"].set(visible=True, color=figures.MUTED)
  frequencies = [np.mean(values == value) for value in single]
  return handles | _draw_atoms(right, atoms, frequencies)


def _draw_density(
  axes: "matplotlib.axes.Axes", spec: MaskSpec, spread: np.ndarray, samples: int
) -> dict[str, Any]:
  counts, edges = np.histogram(spread, bins=50)
  # Over all samples, so that what the atoms hold is missing here as in the density.
  heights = counts / (samples * np.diff(edges))
  steps = axes.stairs(heights, edges, fill=True, color=_SAMPLED)
  grid = np.linspace(edges[0], edges[-1], 400, dtype=np.float32)
  density = mask_density(spec, jnp.asarray(grid))
  (line,) = axes.plot(grid, density, color=_DENSITY, linewidth=1.8)
  axes.set_ylim(bottom=0)
  return {"density, sampled": steps, "density, exact": line}


def _draw_atoms(
  axes: "matplotlib.axes.Axes",
  atoms: list[tuple[float, float]],
  frequencies: list[float],
) -> dict[str, Any]:
  values, probabilities = zip(*atoms, strict=True)
  bars = axes.bar(values, frequencies, 0.06, color=_FREQUENCY)
  axes.vlines(values, 0, probabilities, color=_PROBABILITY, linewidth=1.6)
  (dots,) = axes.plot(values, probabilities, "o", color=_PROBABILITY, markersize=5)
  for value, p in atoms:
    axes.annotate(
      f"{p:.3g}",
      (value, p),
      (0, 7),
      textcoords="offset points",
      ha="center",
      fontsize=figures.SMALL,
      bbox={"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.7},
    )
  axes.set_ylim(0, 1.15)
  return {"single value, sampled": bars, "single value, exact": dots}
