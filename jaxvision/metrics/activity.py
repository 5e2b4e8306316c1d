"""How many units of a layer do any work."""

import jax.numpy as jnp

from jaxvision.typing import Array, Float, Int


def active_units(h: Float[Array, "n d"], *, share: float = 0.1) -> Int[Array, ""]:
  """Counts units whose mean |activation| is at least `share` of the layer's mean.

  Ours: Huang et al. (2021) count active neurons, but how is not known. This count does
  not change with the scale of the layer.

  Args:
    h: activations, examples first.
    share: of the mean over all units.
  """
  size = jnp.abs(h.astype(jnp.float32)).mean(axis=0)
  return jnp.sum((size >= share * size.mean()) & (size > 0), dtype=jnp.int32)
