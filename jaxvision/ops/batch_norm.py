"""Batch normalization by the batch, with a gradient of few passes over the data."""

import functools

import jax
import jax.numpy as jnp
from jax import lax

from jaxvision.typing import Array, Float

Normalized = tuple[Float[Array, "*s c"], Float[Array, " c"], Float[Array, " c"]]


def batch_normalize(
  x: Float[Array, "*s c"],
  scale: Float[Array, " c"],
  bias: Float[Array, " c"],
  *,
  epsilon: float,
) -> Normalized:
  """Normalizes each channel by the batch: Ioffe & Szegedy (2015), algorithm 1.

  The variance is the mean of (x - mean)^2, which does not cancel, and the gradient is
  the published one, in closed form. Autodiff would make more passes over the data.

  Args:
    x: features in the last axis; statistics are over all others, in float32 or wider.
    scale: of the normalized features.
    bias: added to them.
    epsilon: added to the variance.

  Returns:
    The features, in the wider type; mean and (biased) variance of the batch. No
    gradient flows through these two.
  """
  wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
  y, mean, var = _normalize(wide, scale, bias, epsilon)
  return y, lax.stop_gradient(mean), lax.stop_gradient(var)


@functools.partial(jax.custom_jvp, nondiff_argnums=(3,))
def _normalize(x: Array, scale: Array, bias: Array, epsilon: float) -> Normalized:
  mean, var, inverse = _statistics(x, epsilon)
  return (x - mean) * (inverse * scale) + bias, mean, var


@_normalize.defjvp
def _normalize_jvp(epsilon: float, primals, tangents):
  """The tangent whose transpose is the gradient of Ioffe & Szegedy (2015), section 3.

  Of the features it takes `x` alone, times factors of the channels: a product with the
  normalized features would have them written to memory, and read, once more. The price
  is a rounding error of the scale's gradient that grows with |mean| by the standard
  deviation: 3e-6 of the largest at 10, 3e-5 at 100.
  """
  x, scale, bias = primals
  dx, dscale, dbias = tangents
  mean, var, inverse = _statistics(x, epsilon)
  axes = tuple(range(x.ndim - 1))
  dmean = dx.mean(axes)
  half_dvar = (dx * x).mean(axes) - mean * dmean
  gain = inverse * scale
  slope = inverse * dscale - gain * inverse**2 * half_dvar
  dy = dx * gain + x * slope + (dbias - dmean * gain - mean * slope)
  y = (x - mean) * gain + bias  # as above, to the last bit
  still = jnp.zeros_like(mean)
  return (y, mean, var), (dy, still, still)


def _statistics(x: Array, epsilon: float) -> tuple[Array, Array, Array]:
  """Mean, variance and inverse standard deviation."""
  axes = tuple(range(x.ndim - 1))
  mean = x.mean(axes)
  var = ((x - mean) ** 2).mean(axes)
  return mean, var, lax.rsqrt(var + epsilon)
