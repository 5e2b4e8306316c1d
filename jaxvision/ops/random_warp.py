"""Draws of random affine matrices."""

from collections.abc import Mapping, Sequence
from numbers import Real

import jax
import jax.numpy as jnp
from jax import lax

from jaxvision.ops.affine import affine_matrix, determinant
from jaxvision.ops.warp_spec import ANGLE_LIMIT, SCALE_LIMITS, SHIFT_LIMIT, WarpSpec
from jaxvision.typing import Array, Float, PRNGKey

SMALLEST_DETERMINANT = 1e-6  # of an affine matrix; below, it has no useful inverse


def sample_affine(
  key: PRNGKey, spec: WarpSpec, shape: tuple[int, int], count: int
) -> Float[Array, "count 3 3"]:
  """Draws `count` independent matrices for images of `shape` (height, width).

  Invertible: where affine noise has made a matrix singular it is replaced by the
  identity (the authors abort). They are constants to differentiation.
  """
  draw_key, keep_key, skip_key = jax.random.split(key, 3)
  if spec.is_affine:
    matrix = _noisy_identity(draw_key, spec, shape, count)
  else:
    drawn = _draw_types(draw_key, spec, shape, count)
    if spec.alternate:
      drawn = _keep_some(keep_key, drawn)
    matrix = jnp.broadcast_to(affine_matrix(**drawn), (count, 3, 3))
  if spec.alternate and (spec.is_affine or len(spec.types) > 1):
    skip = jax.random.bernoulli(skip_key, 0.5, (count, 1, 1))
    matrix = jnp.where(skip, jnp.eye(3), matrix)
  return lax.stop_gradient(matrix.astype(jnp.float32))


def _draw_types(
  key: PRNGKey, spec: WarpSpec, shape: Sequence[int], count: int
) -> Mapping[str, Array]:
  """Values of the enabled types, as arguments of `affine_matrix`."""
  keys = dict(zip(("angle", "scale", "shift"), jax.random.split(key, 3), strict=True))
  draw = _draw_uniform if spec.distribution == "uniform" else _draw_gaussian
  drawn = {
    name: draw(keys[name], name, getattr(spec, name), count) for name in spec.types
  }
  if "shift" in drawn:
    drawn["shift"] *= jnp.array(shape, jnp.float32)
  return drawn


def _draw_uniform(
  key: PRNGKey, name: str, value: tuple[Real, Real], count: int
) -> Array:
  if name == "shift":
    largest = jnp.array(value, jnp.float32)
    return jax.random.uniform(key, (count, 2), minval=-largest, maxval=largest)
  return jax.random.uniform(key, (count,), minval=value[0], maxval=value[1])


def _draw_gaussian(
  key: PRNGKey, name: str, std: tuple[Real, Real] | Real, count: int
) -> Array:
  if name == "shift":
    noise = jax.random.normal(key, (count, 2)) * jnp.array(std, jnp.float32)
    return jnp.clip(noise, -SHIFT_LIMIT, SHIFT_LIMIT)
  noise = std * jax.random.normal(key, (count,))
  if name == "scale":
    return jnp.clip(1 + noise, *SCALE_LIMITS)
  return jnp.clip(noise, -ANGLE_LIMIT, ANGLE_LIMIT)


def _keep_some(key: PRNGKey, drawn: Mapping[str, Array]) -> Mapping[str, Array]:
  """Sets each type to its neutral value with probability 1/2."""
  neutral = {"angle": 0.0, "scale": 1.0, "shift": 0.0}
  kept = {}
  for name, k in zip(drawn, jax.random.split(key, 3), strict=False):
    value = drawn[name]
    keep = jax.random.bernoulli(k, 0.5, (len(value),) + (1,) * (value.ndim - 1))
    kept[name] = jnp.where(keep, value, neutral[name])
  return kept


def _noisy_identity(
  key: PRNGKey, spec: WarpSpec, shape: Sequence[int], count: int
) -> Float[Array, "count 3 3"]:
  if spec.distribution == "affine":
    low, high = spec.noise
    noise = jax.random.uniform(key, (count, 3, 2), minval=low, maxval=high)
  else:
    mean, std = spec.noise
    noise = mean + std * jax.random.normal(key, (count, 3, 2))
  noise = noise.at[:, 2].multiply(jnp.array(shape, jnp.float32))
  matrix = jnp.eye(3) + jnp.pad(noise, ((0, 0), (0, 0), (0, 1)))
  singular = jnp.abs(determinant(matrix)) <= SMALLEST_DETERMINANT
  return jnp.where(singular[:, None, None], jnp.eye(3), matrix)
