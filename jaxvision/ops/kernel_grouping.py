"""Grouping: neighbouring Gaussian kernels that overlap much become a wider one."""

import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from jaxvision.ops.overlap import pair_iou
from jaxvision.typing import Array, Bool, Float, Int


def group_kernels(
  centers: Float[Array, " t"],
  sigmas: Float[Array, " t"],
  *,
  threshold: ArrayLike,
) -> tuple[Float[Array, " t"], Float[Array, " t"], Bool[Array, " t"], Int[Array, " t"]]:
  """Merges neighbouring kernels that overlap much into wider ones: GTAN, 3.4, eq. 3.

  From left to right a running kernel takes in the next one while the IoU of their
  intervals (center - sigma, center + sigma) is above the threshold; it then covers the
  union. The paper's own rule could not be read in full: this is our reading of it.

  The decisions are constants of the gradient, which flows through the ends of the
  merged interval alone. Use `jax.vmap` for batches.

  Args:
    centers: in the order of time.
    sigmas: standard deviations, in the unit of the centers.
    threshold: IoU above which (not at which) kernels merge; from 1 on none do.

  Returns:
    Centers and sigmas of the merged kernels, whether a slot holds one, and the number
    of every kernel's group (int32, from 0). A merged kernel is in the slot of its last
    member; groups of one are no merged kernels; slots without one hold 0.
  """
  intervals = jnp.stack([centers - sigmas, centers + sigmas], axis=-1)
  running, size = _grow(intervals, threshold)
  starts = size == 1
  ends = jnp.roll(starts, -1).at[-1:].set(True)
  valid = ends & ~starts
  start, end = running[:, 0], running[:, 1]
  group = jnp.cumsum(starts, dtype=jnp.int32) - 1
  merged_centers = jnp.where(valid, (start + end) / 2, 0)
  return merged_centers, jnp.where(valid, (end - start) / 2, 0), valid, group


def _grow(
  intervals: Float[Array, "t 2"], threshold: ArrayLike
) -> tuple[Float[Array, "t 2"], Int[Array, " t"]]:
  """The running interval after each kernel, and how many members it has by then."""

  def step(
    state: tuple[Array, Array], interval: Array
  ) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    running, size = state
    overlap = pair_iou(*lax.stop_gradient((running, interval)))
    merges = (size > 0) & (overlap > threshold)
    start = jnp.minimum(running[0], interval[0])
    end = jnp.maximum(running[1], interval[1])
    running = jnp.where(merges, jnp.stack([start, end]), interval)
    size = jnp.where(merges, size + 1, 1)
    return (running, size), (running, size)

  nothing = jnp.zeros(2, intervals.dtype), jnp.zeros((), jnp.int32)
  return lax.scan(step, nothing, intervals)[1]
