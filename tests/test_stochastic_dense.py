"""Standout and DropConnect: the authors' layers, closed forms."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops import stochastic_dense as dense

KEY = jax.random.key(0)
ACTIVATIONS = (jax.nn.relu, jax.nn.sigmoid)  # as numbered in the golden arrays


@pytest.fixture(params=[lambda f: f, jax.jit], ids=["eager", "jit"])
def variant(request):
  return request.param


def layer(g, case):
  """x, kernel (inputs, units) and bias of a golden case."""
  names = ("x", "params/weight", "params/bias")
  x, weight, bias = (jnp.asarray(g[f"{case}/{name}"]) for name in names)
  return x, weight.T, bias


def random_layer(n=5, units=4, batch=3):
  keys = jax.random.split(jax.random.key(7), 3)
  shapes = ((batch, n), (n, units), (units,))
  return [jax.random.normal(k, s) for k, s in zip(keys, shapes, strict=True)]


def assert_matches_training_pass(g, case, f, variables):
  y, pullback = jax.vjp(f, *variables)
  gx, gkernel, gbias = pullback(jnp.asarray(g[f"{case}/gy"]))
  expected = {name: g[f"{case}/{name}"] for name in ("y", "gx", "gweight", "gbias")}
  ours = {"y": y, "gx": gx, "gweight": gkernel.T, "gbias": gbias}
  chex.assert_trees_all_close(ours, expected, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("i", range(4))
def test_standout_matches_the_authors_layer(golden, variant, i):
  g, case = golden("dropout"), f"standout/case{i}"
  alpha, beta, act = (float(v) for v in g["standout/settings"][i])
  options = {"alpha": alpha, "beta": beta, "act": ACTIVATIONS[int(act)]}
  variables, mask = layer(g, case), jnp.asarray(g[f"{case}/mask"])

  train = lambda *a: dense.standout_dense(None, *a, mask=mask, **options)
  assert_matches_training_pass(g, case, variant(train), variables)
  test = lambda *a: dense.standout_dense(None, *a, deterministic=True, **options)
  chex.assert_trees_all_close(
    variant(test)(*variables), g[f"{case}/test_y"], rtol=2e-6, atol=1e-6
  )


@pytest.mark.parametrize("i", range(4))
def test_standout_probability_matches_both_forms(golden, i):
  g, case = golden("dropout"), f"standout/case{i}"
  alpha, beta, _ = (float(v) for v in g["standout/settings"][i])
  names = {"bias": "prob", "weight": "prob_beta_on_weights"}
  for mode, name in names.items():
    p = dense.standout_probability(
      *layer(g, case), alpha=alpha, beta=beta, beta_mode=mode
    )
    chex.assert_trees_all_close(p, g[f"{case}/{name}"], rtol=2e-6, atol=1e-6)


def test_standout_passes_no_gradient_through_the_probability():
  x, kernel, bias = random_layer()
  f = lambda bias: dense.standout_dense(None, x, kernel, bias, deterministic=True).sum()
  s = x @ kernel + bias
  expected = jnp.where(s > 0, jax.nn.sigmoid(s), 0.0).sum(0)
  chex.assert_trees_all_close(jax.grad(f)(bias), expected, rtol=1e-5)


def test_standout_without_slope_is_dropout_of_a_half():
  x, kernel, bias = random_layer(batch=1)
  x = jnp.broadcast_to(x, (20_000, 5))
  y = dense.standout_dense(KEY, x, kernel, bias, alpha=0.0)
  h = jax.nn.relu(x @ kernel + bias)
  assert jnp.all((y == 0) | (y == h))
  live = h > 0
  np.testing.assert_allclose((y == h)[live].mean(), 0.5, atol=0.01)


def test_standout_keeps_with_the_stated_probability():
  x, kernel, bias = random_layer(batch=1)
  copies = jnp.broadcast_to(x, (20_000, 5))
  y = dense.standout_dense(KEY, copies, kernel, bias, alpha=0.7, beta=0.2)
  expected = dense.standout_dense(
    None, x, kernel, bias, alpha=0.7, beta=0.2, deterministic=True
  )
  chex.assert_trees_all_close(y.mean(0), expected[0], atol=0.05)


@pytest.mark.parametrize("i", range(2))
def test_dropconnect_matches_the_authors_layer(golden, variant, i):
  g, case = golden("dropout"), f"dropconnect/case{i}"
  rate = float(g["dropconnect/rates"][i])
  variables, mask = layer(g, case), jnp.asarray(g[f"{case}/mask"]).T

  train = lambda *a: dense.dropconnect_dense(None, *a, rate=rate, mask=mask)
  assert_matches_training_pass(g, case, variant(train), variables)
  test = lambda *a: dense.dropconnect_dense(None, *a, rate=rate, deterministic=True)
  chex.assert_trees_all_close(
    variant(test)(*variables), g[f"{case}/test_y"], rtol=2e-6, atol=1e-6
  )


@pytest.mark.parametrize("i", range(2))
def test_dropconnect_moments_match_exact_and_sampled(golden, i):
  g, case = golden("dropout"), f"dropconnect/case{i}"
  rate = float(g["dropconnect/rates"][i])
  mean, variance = dense.dropconnect_moments(*layer(g, case), rate=rate)
  chex.assert_trees_all_close(mean, g[f"{case}/preact_mean"], rtol=1e-5, atol=1e-6)
  chex.assert_trees_all_close(variance, g[f"{case}/preact_var"], rtol=1e-5)
  chex.assert_trees_all_close(mean, g[f"{case}/preact_mean_mc"], atol=0.04)
  chex.assert_trees_all_close(variance, g[f"{case}/preact_var_mc"], rtol=0.03)


def test_dropconnect_per_example_has_the_stated_moments():
  x, kernel, bias = random_layer(batch=1)
  mean, variance = dense.dropconnect_moments(x, kernel, bias, rate=0.3)
  copies = jnp.broadcast_to(x, (100_000, 5))
  u = dense.dropconnect_dense(KEY, copies, kernel, bias, rate=0.3, per_example=True)
  np.testing.assert_allclose(u.mean(0), mean[0], atol=0.03)
  np.testing.assert_allclose(u.var(0), variance[0], rtol=0.03)


def test_dropconnect_of_one_hot_inputs_is_the_masked_kernel():
  _, kernel, _ = random_layer()
  bias = jnp.zeros(4)
  rows = dense.dropconnect_dense(KEY, jnp.eye(5), kernel, bias, rate=0.5)
  assert jnp.all((rows == 0) | jnp.isclose(rows, kernel / 0.5))
  assert 0 < jnp.sum(rows == 0) < rows.size
  twice = jnp.concatenate([jnp.eye(5)] * 2)
  one, two = jnp.split(dense.dropconnect_dense(KEY, twice, kernel, bias), 2)
  chex.assert_trees_all_equal(one, two)  # one mask for the batch
  per_example = dense.dropconnect_dense(KEY, twice, kernel, bias, per_example=True)
  assert not jnp.array_equal(*jnp.split(per_example, 2))


def test_dropconnect_never_drops_the_bias():
  _, kernel, bias = random_layer()
  y = dense.dropconnect_dense(KEY, jnp.zeros((2, 5)), kernel, bias, rate=0.9)
  chex.assert_trees_all_equal(y, jnp.stack([bias, bias]))


def test_gaussian_inference_approaches_the_average_over_masks():
  x, kernel, bias = random_layer(n=30, batch=1)
  y = dense.dropconnect_dense(
    KEY, x, kernel, bias, act=jax.nn.relu, deterministic=True, gaussian_samples=20_000
  )
  copies = jnp.broadcast_to(x, (20_000, 30))
  masked = dense.dropconnect_dense(
    KEY, copies, kernel, bias, act=jax.nn.relu, per_example=True
  )
  sd = dense.dropconnect_moments(x, kernel, bias)[1] ** 0.5
  np.testing.assert_allclose(y[0], masked.mean(0), atol=0.05 * sd.max())


def test_gaussian_inference_is_differentiable_at_zero_inputs():
  _, kernel, bias = random_layer()
  f = lambda x: dense.dropconnect_gaussian(KEY, x, kernel, bias, samples=3).sum()
  assert jnp.isfinite(jax.grad(f)(jnp.zeros((2, 5)))).all()


@pytest.mark.parametrize(
  ("f", "options", "named"),
  [
    (dense.standout_dense, {"beta_mode": "both"}, "both"),
    (dense.standout_dense, {}, "key is None"),
    (dense.dropconnect_dense, {}, "key is None"),
    (dense.dropconnect_dense, {"rate": 1}, "rate is 1"),
    (dense.dropconnect_dense, {"mask": jnp.ones((4, 5))}, r"\(4, 5\)"),
    (dense.dropconnect_dense, {"deterministic": True, "gaussian_samples": 2}, "key"),
  ],
)
def test_a_bad_call_is_refused(f, options, named):
  with pytest.raises(ValueError, match=named):
    f(None, *random_layer(), **options)
