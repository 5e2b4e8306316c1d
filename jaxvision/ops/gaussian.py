"""Gaussian kernels over time: weights, pooling, default boxes, grouping.

Long et al. (2019), "Gaussian Temporal Awareness Networks for Action Localization",
CVPR. Its authors published no code. Equations are implemented as they are quoted by
others; what is not known of the paper is an argument here and says so.

Centers, widths and standard deviations are fractions of the window.
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jaxvision.ops.kernel_grouping import group_kernels
from jaxvision.typing import Array, Bool, Float

__all__ = [
  "MIN_SIGMA",
  "RATIOS",
  "cell_centers",
  "cells_inside",
  "default_boxes",
  "fixed_sigmas",
  "gaussian_pool",
  "gaussian_weights",
  "group_kernels",
  "max_pool_inside",
  "mean_weights",
  "sigma_bias",
  "window_sigmas",
]

# 2^0, 2^(1/3) and 2^(2/3), as rounded in the code of the authors' later AherNet.
RATIOS = (1.0, 1.26, 1.587)
MIN_SIGMA = 1e-3


def cell_centers(length: int) -> Float[Array, " t"]:
  """The centers (i + 1/2) / length of the cells of a window, in (0, 1)."""
  return (jnp.arange(length) + 0.5) / length


def window_sigmas(
  sigmas: Float[Array, "*s t"], *, unit: str = "window"
) -> Float[Array, "*s t"]:
  """Converts the standard deviations that a layer predicts to fractions of the window.

  The paper's unit is not known. Equation 1 reads as "window", where the layers of a
  pyramid all start at the same scale unless their biases are set.

  Args:
    sigmas: one a cell.
    unit: "window", as they are, or "cell", in cells: divided by t.
  """
  if unit not in ("window", "cell"):
    raise ValueError(f"unit is {unit!r}; choose window or cell.")
  return sigmas if unit == "window" else sigmas / sigmas.shape[-1]


def gaussian_weights(
  centers: Float[Array, "*#s n"],
  sigmas: Float[Array, "*#s n"],
  grid: Float[Array, " t"],
  *,
  min_sigma: float = MIN_SIGMA,
) -> Float[Array, "*s n t"]:
  """The values of Gaussian kernels at the grid, each kernel's summing to 1.

  GTAN, equation 1. The equation measures from i/t to j/t, which is the same as from
  cell center to cell center. The density's own factor 1 / (sigma sqrt(2 pi)) would
  scale the pooled features by 1 / sigma and is not used.

  Args:
    centers: centers of the kernels.
    sigmas: standard deviations, in the unit of the centers; broadcast.
    grid: where the features are, `cell_centers(t)` for the cells of a layer.
    min_sigma: smaller ones count as this, and get no gradient: 1 / sigma^2 overflows.

  Returns:
    Weights; one-hot at the nearest cell as sigma approaches 0, all 1/t as it grows.
  """
  distance = grid - centers[..., None]
  width = jnp.maximum(sigmas, min_sigma)[..., None]
  # A softmax, since exp alone is 0 at every cell when a narrow kernel lies between two.
  return jax.nn.softmax(-0.5 * (distance / width) ** 2, axis=-1)


def gaussian_pool(
  features: Float[Array, "*#s t d"], weights: Float[Array, "*#s n t"]
) -> Float[Array, "*s n d"]:
  """Weighted sums of the features over time: GTAN, equation 4.

  Args:
    features: features of the cells.
    weights: one row a kernel, from `gaussian_weights` or, for averages, `mean_weights`.
  """
  return weights @ features


def mean_weights(inside: Bool[Array, "*s n t"]) -> Float[Array, "*s n t"]:
  """Equal weights for the cells inside and 0 outside, each row summing to 1."""
  return inside / inside.sum(axis=-1, keepdims=True)


def max_pool_inside(
  features: Float[Array, "*#s t d"], inside: Bool[Array, "*#s n t"]
) -> Float[Array, "*s n d"]:
  """Maxima over the cells inside, each feature for itself."""
  masked = jnp.where(inside[..., None], features[..., None, :, :], -jnp.inf)
  return masked.max(axis=-2)


def cells_inside(
  boxes: Float[Array, "*s n 2"], grid: Float[Array, " t"]
) -> Bool[Array, "*s n t"]:
  """Which cells' centers lie in a box: the windows of GTAN's mean and max pooling.

  Args:
    boxes: (center, width).
    grid: centers of the cells.

  Returns:
    True inside, bounds included, and at the nearest cell, so that no row is empty.
  """
  distance = jnp.abs(grid - boxes[..., :1])
  nearest = jnp.argmin(distance, axis=-1, keepdims=True) == jnp.arange(grid.size)
  return nearest | (distance <= boxes[..., 1:] / 2)


def default_boxes(
  sigmas: Float[Array, "*s t"], *, ratios: Sequence[float] = RATIOS
) -> Float[Array, "*s t r 2"]:
  """The boxes that the cells predict offsets from: GTAN, equation 2.

  Args:
    sigmas: fractions of the window, see `window_sigmas`; `fixed_sigmas(t)` gives the
      ablation with one fixed scale, boxes of one cell times the ratio.
    ratios: widths as multiples of 2 sigma.

  Returns:
    Boxes (center, width) around the centers of the cells, not clipped to the window.
  """
  widths = 2 * sigmas[..., None] * jnp.asarray(ratios)
  centers = cell_centers(sigmas.shape[-1])[:, None]
  return jnp.stack([jnp.broadcast_to(centers, widths.shape), widths], axis=-1)


def fixed_sigmas(length: int) -> Float[Array, " t"]:
  """Half a cell for every cell: kernels whose intervals tile the window."""
  return jnp.full(length, 0.5 / length)


def sigma_bias(length: int) -> float:
  """The bias before the sigmoid at which a layer starts at `fixed_sigmas`.

  For the unit "window"; our choice, since without it every layer of a pyramid starts at
  half the window and the layers are redundant.
  """
  start = 0.5 / length
  return math.log(start / (1 - start))
