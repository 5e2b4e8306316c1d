"""Sums a jitted statistic over the batches of a split."""

from collections.abc import Callable, Iterable

import jax
import jax.numpy as jnp

from jaxvision import interruption
from jaxvision.train import sharding
from jaxvision.typing import PyTree

Sums = dict[str, tuple[jax.Array, jax.Array]]


def sum_over(
  statistic: Callable[..., Sums], state: PyTree, batches: Iterable[PyTree]
) -> dict[str, float]:
  """Returns {name: total sum / total count} of a statistic over all batches.

  Args:
    statistic: jitted (state, batch) -> {name: (sum, count)}.
    state: its first argument, placed on a mesh.
    batches: numpy, of one shape; this process's rows, padding masked.

  Raises:
    Interrupted: SIGTERM arrived between two batches.
  """
  mesh = sharding.mesh_of(state)
  total: Sums | None = None
  for batch in batches:
    if jax.process_count() == 1:
      interruption.check()
    sums = statistic(state, sharding.place_batch(batch, mesh))
    total = sums if total is None else jax.tree.map(jnp.add, total, sums)
    jax.block_until_ready(total)
  found = jax.device_get(total or {})
  return {name: float(s) / max(float(n), 1.0) for name, (s, n) in found.items()}
