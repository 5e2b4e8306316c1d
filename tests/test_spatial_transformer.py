"""The sampler of Spatial Transformers: values, and gradients to coordinates."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops import spatial_transformer as ops
from jaxvision.ops import warp_sampling
from jaxvision.ops.affine import affine_coordinates, affine_matrix
from jaxvision.ops.warp_sampling import bilinear_sample, warp

jit_sample = jax.jit(bilinear_sample, static_argnames="border")
jit_transform = jax.jit(ops.spatial_transform, static_argnames="border")


def images(shape, seed=0):
  return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def places(shape, low, high, seed=1):
  """Random coordinates, none near the lines where the slope jumps."""
  rng = np.random.default_rng(seed)
  whole = rng.integers(low, high, shape)
  return jnp.asarray(whole + rng.uniform(0.1, 0.4, shape), jnp.float32)


@pytest.mark.parametrize("prefix", ["set0", "set1"])
def test_outputs_and_gradients_are_those_of_torch(golden, prefix):
  arrays = golden("warp")
  case = lambda name: arrays[f"{prefix}/affine/{name}"]
  x, gy = (jnp.moveaxis(arrays[f"{prefix}/{name}"], 1, -1) for name in ("x", "gy"))
  halves = np.array(x.shape[1:3]) / 2
  for k, inverse in enumerate(np.linalg.inv(case("T"))):
    rows = np.concatenate([inverse[:2, :2].T, (inverse[2, :2] / halves)[:, None]], 1)
    matrix = jnp.asarray(np.tile(rows, (2, 1, 1)), jnp.float32)
    y, pull = jax.vjp(lambda x, matrix=matrix: jit_transform(x, matrix), x)
    expected = [np.moveaxis(case(name)[k], 1, -1) for name in ("zero_y", "zero_gx")]
    np.testing.assert_allclose(y, expected[0], atol=2e-5)
    np.testing.assert_allclose(pull(gy)[0], expected[1], atol=2e-5)


@pytest.mark.parametrize("border", warp_sampling.BORDERS)
def test_values_are_those_of_warp(border):
  x, q = images((2, 5, 4, 3)), places((2, 3, 6, 2), -3, 7)
  chex.assert_trees_all_close(
    jit_sample(x, q, border=border), warp(x, q, border=border), atol=1e-6
  )


@pytest.mark.parametrize("border", warp_sampling.BORDERS)
@pytest.mark.parametrize("shared", [False, True])
def test_gradients_are_finite_differences(border, shared):
  x, q = images((2, 5, 4, 2)), places((1 if shared else 2, 3, 4, 2), -2, 6)
  weights = images((2, 3, 4, 2), 2)

  def loss(x, q):
    return jnp.vdot(weights, bilinear_sample(x, q, border=border))

  gx, gq = jax.jit(jax.grad(loss, (0, 1)))(x, q)
  # Bilinear in each: differences are exact within a cell, whatever the step.
  both = jax.jit(jax.vmap(loss, (None, 0)))
  step = 0.05 * jnp.eye(q.size).reshape(-1, *q.shape)
  np.testing.assert_allclose(
    gq.ravel(), (both(x, q + step) - both(x, q - step)) / 0.1, atol=2e-3
  )
  assert jnp.abs(gq).max() > 0.1
  linear = jax.vjp(lambda x: warp(x, q, border=border), x)[1]
  chex.assert_trees_all_close(gx, linear(weights)[0], atol=1e-5)


def test_the_slope_is_that_between_neighbours_and_0_outside():
  x = jnp.array([1.0, 4.0, 2.0]).reshape(1, 1, 3, 1)
  q = jnp.array([-2.0, -0.3, 0.5, 1.2, 2.3, 9.0, jnp.inf])

  def sample(q):
    coordinates = jnp.stack([jnp.zeros_like(q), q])[None, None, None]
    return bilinear_sample(x, coordinates)[0, 0, 0, 0]

  slopes = jax.jit(jax.vmap(jax.grad(sample)))(q)
  np.testing.assert_allclose(slopes, [0, 0, 3, -2, 0, 0, 0], atol=1e-6)


@pytest.mark.parametrize("kind", ops.IDENTITY)
def test_the_identity_changes_nothing(kind):
  x = images((2, 5, 8, 2))
  parameters = jnp.tile(jnp.array(ops.IDENTITY[kind]), (2, 1))
  matrix = ops.transformer_matrix(parameters, kind=kind)
  chex.assert_trees_all_equal(matrix, jnp.tile(jnp.eye(2, 3), (2, 1, 1)))
  chex.assert_trees_all_equal(jit_transform(x, matrix), x)
  assert jit_transform(x.astype(jnp.bfloat16), matrix).dtype == jnp.bfloat16


def test_kinds_are_rotations_scales_and_shifts():
  size = (7, 10)
  turn = np.deg2rad(20.0)
  cos, sin = 0.5 * np.cos(turn), 0.5 * np.sin(turn)
  similar = ops.transformer_matrix(
    jnp.array([[cos, sin, 0.0, 0.0]], jnp.float32), kind="similarity"
  )
  expected = affine_coordinates(affine_matrix(20.0, 2.0)[None], size)
  chex.assert_trees_all_close(
    ops.transformer_coordinates(similar, size), expected, atol=1e-5
  )
  shifted = ops.transformer_matrix(jnp.array([[-2.0, 0.4]]), kind="translation")
  moved = affine_matrix(shift=(7.0, -2.0))[None]  # halves of 7 and 10
  chex.assert_trees_all_close(
    ops.transformer_coordinates(shifted, size), affine_coordinates(moved, size)
  )
  affine = ops.transformer_matrix(jnp.arange(6.0)[None])
  np.testing.assert_array_equal(affine[0], [[0, 1, 2], [3, 4, 5]])


def test_mistakes_are_named():
  with pytest.raises(ValueError, match="'shear'; choose one of affine"):
    ops.transformer_matrix(jnp.zeros((1, 6)), kind="shear")
  with pytest.raises(ValueError, match="similarity has 4 parameters; 6"):
    ops.transformer_matrix(jnp.zeros((1, 6)), kind="similarity")
  with pytest.raises(ValueError, match="3 warps for 2 images"):
    bilinear_sample(images((2, 4, 4, 1)), jnp.zeros((3, 2, 2, 2)))
