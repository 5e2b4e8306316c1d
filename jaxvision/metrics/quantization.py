"""How far soft quantizers are from steps, as sums that add over tensors."""

import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxvision.typing import Array, Float


def saturated(
  x: Float[Array, "*s"],
  *,
  beta: ArrayLike,
  biases: Float[Array, " n"],
  temperature: ArrayLike,
  margin: float = 5.0,
) -> tuple[Float[Array, ""], int]:
  """Counts the values of a tensor that a soft quantizer no longer moves.

  A value is saturated if |T (beta x - b_i)| is above the margin for all thresholds: its
  sigmoids are within sigmoid(-5) = .7 % of steps, and the gradient that it gets is at
  most 2.7 % of the largest.

  Args:
    x: weights.
    beta: scalar, scale of the input.
    biases: thresholds in units of beta * x.
    temperature: T.
    margin: of the sigmoids' arguments.

  Returns:
    (number of saturated values, number of values).
  """
  scaled = jnp.asarray(beta) * x
  distance = jnp.full(x.shape, jnp.inf)
  for i in range(biases.shape[0]):
    distance = jnp.minimum(distance, jnp.abs(scaled - biases[i]))
  return jnp.sum(jnp.asarray(temperature) * distance > margin, dtype=jnp.float32), (
    x.size
  )


def occupancy(
  x: Float[Array, "*s"], edges: Float[Array, " e"]
) -> Float[Array, " bins"]:
  """Counts values between edges; the outer two bins take what lies beyond.

  Args:
    x: values.
    edges: increasing, one more than there are bins.
  """
  number = jnp.searchsorted(edges[1:-1], x.reshape(-1), side="right")
  return jnp.zeros(edges.shape[0] - 1).at[number].add(1.0)
