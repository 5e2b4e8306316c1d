"""The forms of a warp, for few and many channels, shared warps and one an image."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops import warp_sampling
from jaxvision.ops.affine import affine_coordinates, affine_matrix
from jaxvision.ops.warp import affine_warp, warp

FEW = warp_sampling.FEW_CHANNELS
ANGLES = (10.0, 130.0, -50.0)


def images(shape, seed=0):
  return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def coordinates(warps, size, source=None):
  matrix = affine_matrix(jnp.array(ANGLES[:warps]), 1.1, (0.3, -0.7))
  return affine_coordinates(matrix, size, source=source)


def plain(x, q, border="zero", interpolation="bilinear"):
  """A gather for each tap, and whatever automatic differentiation makes of it."""
  rows, columns = warp_sampling._taps(x, q, border, interpolation)
  taps = warp_sampling._one_an_image(len(x), rows, columns)
  return jax.vmap(warp_sampling._sum_of_taps)(x, *taps)


@functools.partial(jax.jit, static_argnames=("border", "interpolation"))
def ours_and_plain(x, gy, q, **modes):
  """Of each: value, product with the transposed Jacobian, product with the Jacobian."""

  def derivatives(function):
    run = functools.partial(function, **modes)
    y, pull = jax.vjp(lambda x: run(x, q), x)
    return y, pull(gy)[0], jax.jvp(lambda x: run(x, q), (x,), (jnp.cos(x),))[1]

  return derivatives(warp), derivatives(plain)


@pytest.mark.parametrize("border", warp_sampling.BORDERS)
@pytest.mark.parametrize("interpolation", warp_sampling.INTERPOLATIONS)
@pytest.mark.parametrize("warps", [1, 3])
def test_value_and_derivatives_equal_those_of_the_plain_form(
  border, interpolation, warps
):
  q = coordinates(warps, (7, 4), source=(6, 5))
  # Nearest sampling has one form for all.
  for channels in (FEW, FEW + 1) if interpolation == "bilinear" else (1,):
    x, gy = images((3, 6, 5, channels)), images((3, 7, 4, channels), 1)
    ours, expected = ours_and_plain(
      x, gy, q, border=border, interpolation=interpolation
    )
    chex.assert_trees_all_close(ours, expected, atol=1e-5)


@pytest.mark.parametrize(
  ("shape", "warps"), [((3, 1, 5, 1), 1), ((3, 1, 5, 1), 3), ((3, 5, 1, 1), 3)]
)
def test_images_of_one_row_or_column_have_the_gradient_of_the_plain_form(shape, warps):
  x, gy = images(shape), images(shape, 1)
  ours, expected = ours_and_plain(x, gy, coordinates(warps, shape[1:3]))
  chex.assert_trees_all_close(ours, expected, atol=1e-5)


def test_few_channels_and_many_scatter_what_they_should():
  def scattered(channels, warps):
    total = lambda x: jnp.sum(warp(x, coordinates(warps, (6, 5))))
    program = jax.make_jaxpr(jax.grad(total))(images((3, 6, 5, channels)))
    return str(program).count("scatter-add[")

  rows_of_a_window, window = 2, 1
  for warps in (1, 3):
    assert scattered(FEW, warps) == rows_of_a_window
    assert scattered(FEW + 1, warps) == window


@pytest.mark.parametrize("warps", [1, 3])
def test_gradient_under_vmap_and_remat(warps):
  x, q = images((2, 3, 6, 5, 1)), coordinates(warps, (6, 5))
  energy = lambda function, x: jnp.sum(jnp.sin(function(x, q)))
  kept = jax.checkpoint(functools.partial(energy, warp))
  gradients = jax.jit(jax.vmap(jax.grad(kept)))(x)
  expected = jax.jit(jax.grad(functools.partial(energy, plain)))(x[1])
  chex.assert_trees_all_close(gradients[1], expected, atol=1e-5)


def test_gradient_of_bfloat16_is_bfloat16():
  x = images((3, 6, 5, 1)).astype(jnp.bfloat16)
  q = coordinates(1, (6, 5))
  gradient = jax.jit(jax.grad(lambda x: jnp.sum(warp(x, q) ** 2)))
  assert gradient(x).dtype == jnp.bfloat16
  chex.assert_trees_all_close(gradient(x), gradient(jnp.float32(x)), atol=0.1)


@pytest.mark.parametrize("channels", [1, FEW + 1])
@pytest.mark.parametrize("shared", [False, True])
def test_a_sharded_batch_stays_sharded(channels, shared):
  mesh = jax.make_mesh((2,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
  sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
  x = jax.device_put(images((4, 6, 6, channels)), sharding)
  angle = 20.0 if shared else jax.device_put(jnp.arange(4.0) * 20, sharding)

  def loss(x, angle):
    return jnp.sum(affine_warp(x, angle=angle) ** 2)

  gradient = jax.jit(jax.grad(loss))
  text = gradient.lower(x, angle).compile().as_text()
  assert "all-gather" not in text and "all-reduce" not in text
  whole = gradient(np.asarray(x), np.asarray(angle))
  chex.assert_trees_all_close(gradient(x, angle), whole, atol=1e-5)
