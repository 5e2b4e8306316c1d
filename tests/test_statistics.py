"""Dependence among detectors."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops import statistics

dependence = jax.jit(statistics.detector_dependence)


@pytest.fixture(params=[lambda f: f, jax.jit], ids=["eager", "jit"])
def variant(request):
  return request.param


def test_dependence_matches_golden(golden, variant):
  g = golden("dropout")
  result = variant(statistics.detector_dependence)(jnp.asarray(g["dependence/h"]))
  expected = {
    "mean_abs_cov": g["dependence/mean_abs_cov_live"],
    "mean_abs_cov_all": g["dependence/mean_abs_cov_all"],
    "mean_abs_corr": g["dependence/mean_abs_corr_live"],
    "n_dead": g["dependence/n_dead"],
  }
  chex.assert_trees_all_close(result, expected, rtol=1e-5)


def test_correlation_matches_numpy():
  h = jax.random.normal(jax.random.key(0), (50, 6)) * jnp.arange(1.0, 7.0) + 3.0
  correlation, live = jax.jit(statistics.correlation_matrix)(h)
  expected = np.corrcoef(np.float64(h), rowvar=False)
  np.testing.assert_allclose(correlation, expected, atol=1e-5)
  assert live.all()
  covariance = jax.jit(statistics.covariance_matrix)(h)
  np.testing.assert_allclose(covariance, np.cov(h, rowvar=False), rtol=1e-4, atol=1e-4)


def test_correlation_ignores_scale_and_shift():
  h = jax.random.normal(jax.random.key(0), (50, 4))
  moved = h * jnp.array([1e-3, 1.0, 10.0, 1e3]) + 0.5
  ours, theirs = dependence(moved), dependence(h)
  np.testing.assert_allclose(ours["mean_abs_corr"], theirs["mean_abs_corr"], rtol=1e-3)


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e6])
def test_constant_units_are_dead(constant):
  # The float mean of many 0.1 is not 0.1, so such a unit's variance is not exactly 0.
  h = jax.random.normal(jax.random.key(0), (1000, 4)).at[:, 1].set(constant)
  correlation, live = jax.jit(statistics.correlation_matrix)(h)
  assert live.tolist() == [True, False, True, True]
  chex.assert_trees_all_equal(correlation[1], jnp.zeros(4))
  result = dependence(h)
  rest = dependence(h[:, jnp.array([0, 2, 3])])
  assert result["n_dead"] == 1 and rest["n_dead"] == 0
  np.testing.assert_allclose(result["mean_abs_corr"], rest["mean_abs_corr"], rtol=1e-5)
  np.testing.assert_allclose(result["mean_abs_cov"], rest["mean_abs_cov"], rtol=1e-5)


def test_no_pairs_give_zero():
  result = dependence(jnp.ones((5, 3)))
  assert result["n_dead"] == 3
  assert result["mean_abs_corr"] == result["mean_abs_cov"] == 0
  assert dependence(jnp.arange(5.0)[:, None])["mean_abs_cov"] == 0


def test_gradient_is_finite_with_dead_units():
  h = jax.random.normal(jax.random.key(0), (20, 4)).at[:, 2].set(0.0)
  f = lambda h: dependence(h)["mean_abs_corr"]
  assert jnp.isfinite(jax.jit(jax.grad(f))(h)).all()


def test_one_row_is_refused():
  with pytest.raises(ValueError, match="h has 1 rows"):
    dependence(jnp.ones((1, 3)))
