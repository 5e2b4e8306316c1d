"""The kernels of one anchor layer of GTAN: which there are, what they see, their boxes.

Long et al. (2019), "Gaussian Temporal Awareness Networks for Action Localization",
CVPR. Batched compositions of `ops.gaussian`.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxvision.ops import gaussian
from jaxvision.typing import Array, Bool, Float

POOLINGS = ("gaussian", "mean", "max", "none")


class Kernels(NamedTuple):
  """Gaussian kernels of one layer: one a cell, then the merged ones, if any.

  Attributes:
    centers: [b, n], fractions of the window.
    sigmas: [b, n], standard deviations in the same unit.
    valid: [b, n], False for slots without a kernel.
  """

  centers: Float[Array, "b n"]
  sigmas: Float[Array, "b n"]
  valid: Bool[Array, "b n"]


def cell_kernels(sigmas: Float[Array, "b t"]) -> Kernels:
  """One kernel at the center of every cell."""
  centers = jnp.broadcast_to(gaussian.cell_centers(sigmas.shape[1]), sigmas.shape)
  return Kernels(centers, sigmas, jnp.ones(sigmas.shape, bool))


def grouped_kernels(
  sigmas: Float[Array, "b t"], *, threshold: float, keep_originals: bool
) -> Kernels:
  """Kernels of the cells and, in as many slots again, those merged from them.

  GTAN, section 3.3 and equation 3, see `ops.gaussian.group_kernels`. Slots without a
  merged kernel repeat their cell's own, so that nothing divides by a width of 0.

  Args:
    sigmas: standard deviations of the cells' kernels.
    threshold: IoU above which kernels merge.
    keep_originals: whether members of merged kernels stay valid; unknown of the paper.
  """
  group = functools.partial(gaussian.group_kernels, threshold=threshold)
  centers, _, everywhere = cell_kernels(sigmas)
  merged_centers, merged_sigmas, merged, number = jax.vmap(group)(centers, sigmas)
  size = (number[:, :, None] == number[:, None, :]).sum(axis=-1)
  original = everywhere if keep_originals else size == 1
  return Kernels(
    jnp.concatenate([centers, jnp.where(merged, merged_centers, centers)], axis=1),
    jnp.concatenate([sigmas, jnp.where(merged, merged_sigmas, sigmas)], axis=1),
    jnp.concatenate([original, merged], axis=1),
  )


def pool_features(
  x: Float[Array, "b t d"], kernels: Kernels, *, kind: str
) -> Float[Array, "b n d"]:
  """What each kernel sees of its layer: GTAN, equation 4, and its ablations.

  Args:
    x: features of the cells.
    kernels: the cells' kernels and, after them, any others.
    kind: "gaussian", "mean" or "max" of the cells within one standard deviation, or
      "none", the feature of the cell in which the center lies.
  """
  if kind not in POOLINGS:
    raise ValueError(f"kind is {kind!r}; choose one of {', '.join(POOLINGS)}.")
  cells = x.shape[1]
  centers, sigmas, _ = kernels
  grid = gaussian.cell_centers(cells)
  if kind == "none":
    nearest = jnp.clip((centers[:, cells:] * cells).astype(jnp.int32), 0, cells - 1)
    others = jnp.take_along_axis(x, nearest[..., None], axis=1)
    return jnp.concatenate([x, others], axis=1)
  if kind == "gaussian":
    weights = gaussian.gaussian_weights(centers, sigmas, grid)
    return gaussian.gaussian_pool(x, weights.astype(x.dtype))
  inside = gaussian.cells_inside(jnp.stack([centers, 2 * sigmas], axis=-1), grid)
  if kind == "mean":
    return gaussian.gaussian_pool(x, gaussian.mean_weights(inside).astype(x.dtype))
  return gaussian.max_pool_inside(x, inside)


def anchor_boxes(kernels: Kernels, ratios: Sequence[float]) -> Float[Array, "b m 2"]:
  """Default boxes (center, width) of kernels: GTAN, equation 2; a kernel's adjacent."""
  boxes = gaussian.default_boxes(kernels.sigmas, ratios=ratios)
  boxes = boxes.at[..., 0].set(kernels.centers[..., None])  # merged ones are off cells
  return boxes.reshape(boxes.shape[0], -1, 2)
