"""Functions with one value and another gradient, for quantizers."""

import functools

import jax
import jax.numpy as jnp

from jaxvision.typing import Array, Float


@jax.custom_jvp
def straight_through(
  value: Float[Array, "*s"], surrogate: Float[Array, "*s"]
) -> Float[Array, "*s"]:
  """Returns `value`, with the gradient of `surrogate`.

  Bengio, Leonard, Courville (2013), "Estimating or Propagating Gradients Through
  Stochastic Neurons". Unlike `surrogate + stop_gradient(value - surrogate)` it returns
  `value` to the bit.
  """
  del surrogate
  return value


@straight_through.defjvp
def _straight_through_jvp(primals, tangents):
  value, _ = primals
  _, tangent = tangents
  return value, tangent.astype(value.dtype)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def scale_gradient(x: Float[Array, "*s"], scale: float) -> Float[Array, "*s"]:
  """Returns `x`, with `scale` times its gradient."""
  del scale
  return x


@scale_gradient.defjvp
def _scale_gradient_jvp(scale, primals, tangents):
  (x,) = primals
  return x, (scale * tangents[0]).astype(x.dtype)


def round_through(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
  """Rounds, halves to even, with the gradient of the identity."""
  return straight_through(jnp.round(x), x)


def clip_inclusive(
  x: Float[Array, "*s"], low: float, high: float
) -> Float[Array, "*s"]:
  """Clips, with gradient 1 on the closed range and 0 outside.

  `jnp.clip` halves the gradient at the ends.
  """
  return jnp.where(x < low, low, jnp.where(x > high, high, x)).astype(x.dtype)
