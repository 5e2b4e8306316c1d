"""The nearest point of a hyperplane inside [0, 1]^n, in the L-infinity norm."""

import jax
import jax.numpy as jnp

from jaxvision.typing import Array, Float


def project_linf_box(
  points: Float[Array, "b n"], w: Float[Array, "b n"], offset: Float[Array, " b"]
) -> Float[Array, "b n"]:
  """Returns the smallest move from `points` onto w.u = offset that stays in [0, 1].

  Croce and Hein (2020), "Minimally distorted adversarial examples with a fast adaptive
  boundary attack", equation 4. Every value moves by min(length, room) against the sign
  of w; where w is 0 it stays. If the hyperplane misses the box, all go to the wall.

  The length solves sum |w| min(length, room) = residual, whose left side is concave
  and piecewise linear: Newton's method from 0 climbs to the solution piece by piece,
  never beyond, and ends exactly there, mostly after a few passes. The authors sort the
  rooms instead, which costs far more here.

  Args:
    points: in [0, 1].
    w: normals.
    offset: of the hyperplanes.

  Returns:
    The moves, not the points.
  """
  residual = jnp.sum(w * points, axis=1) - offset
  w = jnp.where(residual[:, None] < 0, -w, w)
  room = jnp.where(w > 0, points, 1.0 - points)
  length = _length(jnp.abs(w), room, jnp.abs(residual))
  return -jnp.sign(w) * jnp.minimum(length[:, None], room)


def _length(weight: Array, room: Array, residual: Array) -> Array:
  """Solves sum weight * min(length, room) = residual for each row."""

  def climb(length: Array) -> Array:
    free = room > length[:, None]
    slope = jnp.sum(jnp.where(free, weight, 0.0), axis=1)
    rest = residual - jnp.sum(jnp.where(free, 0.0, weight * room), axis=1)
    # Where nothing with a weight is free the residual cannot be met: to the wall.
    reached = jnp.where(slope > 0, rest / jnp.where(slope > 0, slope, 1.0), 1.0)
    return jnp.maximum(length, reached)  # rounding must not lead back

  moving = lambda pair: jnp.any(pair[1] > pair[0])
  first = jnp.zeros_like(residual)
  pair = (first, climb(first))
  return jax.lax.while_loop(moving, lambda pair: (pair[1], climb(pair[1])), pair)[1]
