"""Batch normalization: torch's running variance, otherwise Flax's layer."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.layers.normalization import BatchNorm

X = 2 + 3 * jax.random.normal(jax.random.key(0), (2, 3, 4, 5))
KEY = jax.random.key(1)


def step(layer, variables, x=X):
  return jax.jit(lambda v: layer.apply(v, x, mutable=["batch_stats"]))(variables)


def test_the_kept_variance_is_unbiased():
  layer = BatchNorm(use_running_average=False)
  variables = layer.init(KEY, X)
  for _ in range(2):
    before = variables["batch_stats"]
    y, changed = step(layer, variables)
    expected = {
      "mean": 0.9 * before["mean"] + 0.1 * X.mean((0, 1, 2)),
      "var": 0.9 * before["var"] + 0.1 * X.var((0, 1, 2), ddof=1),
    }
    chex.assert_trees_all_close(changed["batch_stats"], expected, rtol=1e-5)
    variables = {**variables, **changed}
  chex.assert_trees_all_close(
    y.var((0, 1, 2)), jnp.ones(5), rtol=1e-5
  )  # the biased one


@pytest.mark.parametrize("running", [False, True])
def test_outputs_and_gradients_are_those_of_flax(running):
  ours = BatchNorm(use_running_average=running)
  flax = nn.BatchNorm(use_running_average=running, momentum=0.9, epsilon=1e-5)
  variables = flax.init(KEY, X)
  chex.assert_trees_all_equal(ours.init(KEY, X), variables)
  variables = {
    **variables,
    "batch_stats": {"mean": X[0, 0, 0], "var": jnp.full(5, 2.0)},
  }

  def run(layer, x):
    return jnp.sum(jnp.sin(step(layer, variables, x)[0]))

  found, expected = (jax.value_and_grad(run, 1)(layer, X) for layer in (ours, flax))
  chex.assert_trees_all_close(found, expected, rtol=1e-4, atol=1e-5)


def test_the_variance_does_not_cancel():
  layer = BatchNorm(use_running_average=False)
  x = 300 + 0.1 * X
  y, _ = step(layer, layer.init(KEY, x), x)
  exact = np.asarray(x, np.float64)
  exact = (exact - exact.mean((0, 1, 2))) / np.sqrt(exact.var((0, 1, 2)) + 1e-5)
  np.testing.assert_allclose(y, exact, atol=1e-3)


def test_running_statistics_do_not_change_when_used():
  layer = BatchNorm(use_running_average=True)
  variables = layer.init(KEY, X)
  chex.assert_trees_all_equal(
    step(layer, variables)[1]["batch_stats"], variables["batch_stats"]
  )


def test_a_single_value_has_no_variance():
  layer = BatchNorm(use_running_average=False)
  x = X[:1, :1, :1]
  _, changed = step(layer, layer.init(KEY, x), x)
  chex.assert_trees_all_close(changed["batch_stats"]["var"], jnp.full(5, 0.9))
