"""Feature maps to compare: at one resolution, or as unit vectors."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from jaxvision.typing import Array, Float

# Below this norm a feature counts as zero. Torch divides by 1e-12 instead, and then
# the gradient at an all-zero map, which a dead ReLU layer makes, is 1e12.
EPS = 1e-6


def l2_normalize_flat(x: Float[Array, "b ..."], *, eps: float = EPS) -> Array:
  """Flattens each example and scales it to length 1.

  n(F) = vec(F) / ||vec(F)||, the factor that Huang et al. (2021) compare. An example
  shorter than `eps` becomes 0 and has gradient 0: its direction means nothing.

  Args:
    x: features, batch first.
    eps: the smallest norm that is not 0.

  Returns:
    [b, d] in float32.
  """
  flat = x.reshape(x.shape[0], -1).astype(jnp.float32)
  square = jnp.sum(flat**2, axis=1, keepdims=True)
  real = square > eps**2
  # Selected before and after: the branch not taken must not make a NaN of 0 * inf.
  scale = jax.lax.rsqrt(jnp.where(real, square, 1.0))
  return jnp.where(real, flat, 0.0) * scale


def adaptive_average_pool(
  x: Float[Array, "b ... c"], positions: tuple[int, ...]
) -> Float[Array, "b ... c"]:
  """Averages windows that cover a map evenly, as torch's adaptive pooling does.

  Output i of n averages the inputs from floor(i m / n) to ceil((i + 1) m / n) of m.

  Args:
    x: a map over any number of axes between batch and channels.
    positions: the sizes of these axes in the output, not larger than those of `x`.
  """
  for axis, size in enumerate(positions, start=1):
    if x.shape[axis] != size:
      weights = jnp.asarray(_windows(x.shape[axis], size), x.dtype)
      x = jnp.moveaxis(jnp.tensordot(x, weights, ((axis,), (1,))), -1, axis)
  return x


def _windows(inputs: int, outputs: int) -> np.ndarray:
  """Weights [outputs, inputs] of the averages."""
  weights = np.zeros((outputs, inputs), np.float32)
  for i in range(outputs):
    start, end = i * inputs // outputs, math.ceil((i + 1) * inputs / outputs)
    weights[i, start:end] = 1 / (end - start)
  return weights


def same_resolution(
  a: Float[Array, "b ... c"], b: Float[Array, "b ... d"]
) -> tuple[Array, Array]:
  """Pools whichever map is finer, axis by axis, until both have the same positions.

  Raises:
    ValueError: one has more axes than the other.
  """
  if a.ndim != b.ndim:
    raise ValueError(
      f"features of shape {a.shape} and {b.shape} have no positions in common."
    )
  shape = tuple(map(min, zip(a.shape[1:-1], b.shape[1:-1], strict=True)))
  return adaptive_average_pool(a, shape), adaptive_average_pool(b, shape)
