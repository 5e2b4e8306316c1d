"""Max-pooling equals Flax's in value and gradient, ties and remainders included."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops import pooling


def reference(x, size):
  return nn.max_pool(x, (size, size), (size, size))


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("shape", [(2, 4, 4, 3), (1, 7, 9, 2), (2, 5, 4, 1)])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_value_and_gradient_are_those_of_flax(shape, size, ties):
  x = jax.random.normal(jax.random.key(0), shape)
  x = jnp.round(x) if ties else x  # many equal values
  g = jax.random.normal(jax.random.key(1), reference(x, size).shape)
  y, back = jax.vjp(lambda x: pooling.max_pool(x, size), x)
  expected, expected_back = jax.vjp(lambda x: reference(x, size), x)
  chex.assert_trees_all_equal(y, expected)
  chex.assert_trees_all_equal(back(g), expected_back(g))


def test_jit_forward_mode_and_vmap():
  x = jax.random.normal(jax.random.key(0), (3, 2, 4, 4, 2))
  plain = jnp.stack([pooling.max_pool(image) for image in x])
  chex.assert_trees_all_equal(jax.jit(jax.vmap(pooling.max_pool))(x), plain)
  _, tangent = jax.jvp(pooling.max_pool, (x[0],), (x[0],))
  np.testing.assert_allclose(tangent, plain[0], rtol=1e-6)  # a maximum is homogeneous


def test_gradient_of_the_gradient_is_zero():
  x = jax.random.normal(jax.random.key(0), (1, 4, 4, 1))
  once = jax.grad(lambda x: pooling.max_pool(x).sum())
  np.testing.assert_array_equal(jax.grad(lambda x: (once(x) * x).sum())(x), once(x))
