"""Every way of ranking and of moving patches against the general one."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from patch_support import maps

from jaxvision.ops import patch_moves, patch_sorting, patches

ROUTES = [patch_sorting.order_by_counting, patch_sorting.order_by_packing]


def general(keys):
  return jnp.argsort(keys, -2, stable=True, descending=True)


@pytest.mark.parametrize("route", [*ROUTES, patch_sorting.descending_order])
@pytest.mark.parametrize("count", [1, 4, 25, 26])
def test_orders_are_those_of_a_stable_sort(route, count):
  keys = jnp.round(maps((2, 3, count, 5)))  # many ties, -0 and 0 among them
  keys = keys.at[0, 0, 0].set(jnp.inf)
  for f in (route, jax.jit(route), jax.vmap(jax.jit(route))):
    order = f(keys)
    assert order.dtype == jnp.int32
    np.testing.assert_array_equal(order, general(keys))


@pytest.mark.parametrize("count", [256, 257])
def test_many_keys(count):
  keys = jnp.round(maps((2, count, 3)), 1)
  order = jax.jit(patch_sorting.descending_order)(keys)
  np.testing.assert_array_equal(order, general(keys))
  assert not jax.config.jax_enable_x64 and jnp.ones(1).dtype == jnp.float32


def plain_gather(x, source):
  """The permutation by indexing, with JAX's own gradient."""
  b, h, w, c = x.shape
  k = source.shape[1]
  split = x.reshape(b, k, h // k, k, w // k, c).swapaxes(2, 3)
  split = split.reshape(b, k * k, h // k, w // k, c)
  source = jnp.broadcast_to(source, (b, k, k, c)).reshape(b, k * k, 1, 1, c)
  moved = jnp.take_along_axis(split, source, 1)
  moved = moved.reshape(b, k, k, h // k, w // k, c).swapaxes(2, 3)
  return moved.reshape(x.shape)


def permutation(k, channels):
  number = jnp.tile(jnp.arange(k * k).reshape(1, -1, 1), (2, 1, channels))
  number = jax.random.permutation(jax.random.key(2), number, 1, independent=True)
  return number.reshape(2, k, k, channels).astype(jnp.int32)


@pytest.mark.parametrize("k", [2, 4, 6])
@pytest.mark.parametrize("channels", [1, 3])
def test_values_and_gradients_are_those_of_plain_indexing(k, channels):
  x, g, source = maps((2, 12, 12, 3)), maps((2, 12, 12, 3), 1), permutation(k, channels)
  apply = lambda x: patches.apply_permutation(x, source)
  y, pull_back = jax.vjp(jax.jit(apply), x)
  expected, expected_back = jax.vjp(lambda x: plain_gather(x, source), x)
  chex.assert_trees_all_equal(y, expected)
  chex.assert_trees_all_equal(pull_back(g), expected_back(g))
  inverse = patches.invert_permutation(source)
  chex.assert_trees_all_equal(patches.apply_permutation(y, inverse), x)
  chex.assert_trees_all_equal(patches.invert_permutation(inverse), source)


@pytest.mark.parametrize("k", [2, 6])
def test_gradients_can_be_differentiated_again(k):
  x, v, source = maps((2, 12, 12, 3)), maps((2, 12, 12, 3), 1), permutation(k, 3)
  f = lambda x: (patches.apply_permutation(x, source) ** 3).sum()
  for product in (
    jax.jvp(jax.grad(f), (x,), (v,))[1],
    jax.grad(lambda x: (jax.grad(f)(x) * v).sum())(x),
  ):
    np.testing.assert_allclose(product, 6 * x * v, rtol=1e-5)


@pytest.mark.parametrize("g, n", [(4, 2), (8, 4), (6, 3)])
def test_selection_is_gathering(g, n):
  x = maps((2, 24, 24, 3))
  keys = maps((2, g // n, g // n, n * n, 3), 1)
  order = patch_sorting.descending_order(keys).reshape(2, g // n, g // n, n, n, 3)
  order = order.swapaxes(2, 3).reshape(2, g, g, 3)
  chex.assert_trees_all_equal(
    patch_moves.move_blocks(x, order, n), patch_moves.gather_blocks(x, order, n)
  )
