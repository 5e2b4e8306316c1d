"""The closed-form gradient of batch normalization against autodiff's."""

import chex
import jax
import jax.numpy as jnp
import jax.test_util
import numpy as np
import pytest

from jaxvision.ops.batch_norm import batch_normalize

KEYS = jax.random.split(jax.random.key(0), 3)
X = 2 + 3 * jax.random.normal(KEYS[0], (4, 3, 5))
SCALE, BIAS = jax.random.normal(KEYS[1], (2, 5))


def literal(x, scale, bias):
  mean = x.mean((0, 1))
  var = jnp.square(x - mean).mean((0, 1))
  return (x - mean) / jnp.sqrt(var + 1e-5) * scale + bias


def ours(x, scale, bias):
  return batch_normalize(x, scale, bias, epsilon=1e-5)[0]


@pytest.mark.parametrize("variant", [lambda f: f, jax.jit], ids=["eager", "jit"])
def test_values_and_gradients_are_those_of_the_literal_form(variant):
  g = jax.random.normal(KEYS[2], X.shape)

  def both(function):
    y, pullback = jax.vjp(variant(function), X, SCALE, BIAS)
    return y, pullback(g)

  chex.assert_trees_all_close(both(ours), both(literal), rtol=1e-4, atol=1e-5)


def test_features_far_from_zero_keep_their_gradients():
  x, g = (
    100 + jax.random.normal(KEYS[0], (1000, 5)),
    jax.random.normal(KEYS[2], (1000, 5)),
  )
  found = jax.vjp(ours, x, SCALE, BIAS)[1](g)[:2]
  x, g, scale = (np.asarray(a, np.float64) for a in (x, g, SCALE))
  inverse = 1 / np.sqrt(x.var(0) + 1e-5)
  normalized = (x - x.mean(0)) * inverse
  by_scale = (g * normalized).sum(0)
  by_x = scale * inverse * (g - g.mean(0) - normalized * by_scale / len(x))
  chex.assert_trees_all_close(found, (by_x, by_scale), rtol=1e-4, atol=2e-3)


def test_both_modes_agree_with_finite_differences():
  loss = jax.jit(lambda *args: jnp.sum(jnp.sin(ours(*args))))
  jax.test_util.check_grads(loss, (X, SCALE, BIAS), 1, atol=2e-2, rtol=2e-2)


def test_second_derivatives_exist():
  def steepness(function):
    slope = jax.grad(lambda x: jnp.sum(jnp.sin(function(x, SCALE, BIAS))))
    return jax.jit(jax.grad(lambda x: jnp.sum(slope(x) ** 2)))(X)

  chex.assert_trees_all_close(steepness(ours), steepness(literal), rtol=1e-3, atol=1e-4)


def test_statistics_of_the_batch_get_no_gradient():
  _, mean, var = batch_normalize(X, SCALE, BIAS, epsilon=1e-5)
  np.testing.assert_allclose(mean, X.mean((0, 1)), rtol=1e-6)
  np.testing.assert_allclose(var, X.var((0, 1)), rtol=1e-5)
  total = lambda x: sum(
    jnp.sum(part) for part in batch_normalize(x, SCALE, BIAS, epsilon=1e-5)[1:]
  )
  assert not jax.grad(total)(X).any()


def test_low_precision_is_normalized_in_float32():
  low = X.astype(jnp.bfloat16)
  y, mean, var = batch_normalize(low, SCALE, BIAS, epsilon=1e-5)
  assert {part.dtype for part in (y, mean, var)} == {jnp.dtype("float32")}
  np.testing.assert_allclose(
    y, literal(low.astype(jnp.float32), SCALE, BIAS), atol=1e-5
  )
  slope = jax.grad(lambda x: ours(x, SCALE, BIAS).sum())(low)
  assert slope.dtype == jnp.bfloat16
