"""Momentum that may rise over time and may be dampened."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxvision.typing import Array, Int, PyTree


class TraceState(NamedTuple):
  """Velocity and the number of updates so far."""

  count: Int[Array, ""]
  velocity: PyTree


def scheduled_trace(
  schedule: optax.Schedule, *, nesterov: bool = False, dampened: bool = False
) -> optax.GradientTransformation:
  """Accumulates gradients: v <- m v + d g, with momentum m = schedule(count).

  `optax.trace` with a constant momentum, and two things it lacks: a momentum that
  changes, and d = 1 - m (`dampened`), as in Hinton et al. (2012), appendix A.1.

  Args:
    schedule: update count -> momentum in [0, 1).
    nesterov: return m v + d g instead of v.
    dampened: d = 1 - m; otherwise d = 1.
  """

  def init(params: PyTree) -> TraceState:
    return TraceState(jnp.int32(0), jax.tree.map(jnp.zeros_like, params))

  def update(grads: PyTree, state: TraceState, params: PyTree = None):
    del params
    m = jnp.asarray(schedule(state.count))
    scale = 1.0 - m if dampened else jnp.ones_like(m)

    def accumulate(v: Array, g: Array) -> Array:
      return (m * v + scale * g).astype(v.dtype)

    velocity = jax.tree.map(accumulate, state.velocity, grads)
    out = jax.tree.map(accumulate, velocity, grads) if nesterov else velocity
    return out, TraceState(optax.safe_increment(state.count), velocity)

  return optax.GradientTransformation(init, update)
