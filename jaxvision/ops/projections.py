"""Projections of parameters onto sets, for use after an optimizer step."""

from collections.abc import Sequence
from numbers import Real

import jax.numpy as jnp

from jaxvision.typing import Array, Float


def max_norm(
  kernel: Float[Array, "*s"],
  squared_limit: Real,
  *,
  axis: int | Sequence[int] = 0,
) -> Float[Array, "*s"]:
  """Scales down each unit's incoming weights if their squared norm exceeds a limit.

  Hinton et al. (2012), "Improving neural networks by preventing co-adaptation of
  feature detectors"; 15 is usual for MNIST. The Theano code of Shen et al. (2018) sums
  over the outgoing weights of each input instead, which is `axis=1` here.

  Args:
    kernel: weights; the last axis of a Linen kernel counts the units.
    squared_limit: largest allowed sum of squares, above 0.
    axis: the axes of one unit's weights: 0 for dense, (0, 1, 2) for 2-D convolutions.
  """
  if squared_limit <= 0:
    raise ValueError(f"squared_limit is {squared_limit}; it must be above 0.")
  axes = axis if isinstance(axis, int) else tuple(axis)
  squared = jnp.sum(kernel**2, axis=axes, keepdims=True)
  # Within the limit the ratio is exactly 1, so such weights keep their bits.
  return kernel * jnp.sqrt(squared_limit / jnp.maximum(squared, squared_limit))
