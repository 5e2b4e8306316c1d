"""Fitted quantizers: scales, k-means and rules for thresholds."""

import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from quantization_support import each_case, each_set, read, sample

from jaxvision.ops import quantization as q
from jaxvision.ops.clustering import kmeans_1d


@each_case
def test_initial_scales_are_the_authors(golden, case):
  g, levels = read(golden, case)
  fitted = q.init_quantizer(g["x"], levels)
  np.testing.assert_allclose(fitted.beta, g["init_beta"], rtol=1e-6)
  np.testing.assert_allclose(fitted.alpha, g["init_alpha"], rtol=1e-6)
  largest = max(abs(level) for level in levels)
  reach = float(jnp.abs(fitted.beta * g["x"]).max())
  np.testing.assert_allclose(reach, 1.25 * largest, rtol=1e-6)
  if "init_soft_T5" in g:
    scales = {"alpha": fitted.alpha, "beta": fitted.beta, "biases": g["biases"]}
    y = q.soft_quantize(g["x"], **scales, levels=levels, temperature=5.0)
    most = 4.54e-5 * float(fitted.alpha) * (levels[-1] - levels[0])
    assert np.abs(y - g["init_soft_T5"]).max() <= most + 1e-6


def inertia(values, centres):
  distances = np.asarray(values)[:, None] - np.asarray(centres)
  return float((distances.astype(np.float64) ** 2).min(1).sum())


@pytest.mark.parametrize("case", ["w2", "w3pm2", "w3pm4", "a2"])
def test_kmeans_finds_the_optimum(golden, case):
  g, levels = read(golden, f"kmeans/{case}")
  x = golden("quantization")["kmeans/act_x" if case == "a2" else "kmeans/w"]
  fitted = q.init_quantizer(jnp.asarray(x), levels, method="kmeans")
  np.testing.assert_allclose(fitted.beta, g["beta"], rtol=1e-6)
  np.testing.assert_allclose(fitted.biases, g["optimal_thresholds"], atol=1e-5)
  scaled = fitted.beta * jnp.asarray(x)
  centres = kmeans_1d(scaled, len(levels))
  np.testing.assert_allclose(centres, g["optimal_centres"], atol=1e-5)
  found = inertia(scaled, centres)
  np.testing.assert_allclose(found, g["optimal_inertia"], rtol=1e-5)
  assert found <= g.get("authors_inertia", np.inf)


def test_kmeans_of_many_values_is_nearly_optimal():
  x = jax.random.normal(jax.random.key(0), (50_000,))
  centres = jax.jit(lambda x: kmeans_1d(x, 3))(x)
  moved = centres
  for _ in range(50):  # Lloyd's iterations on all values improve nothing
    nearest = np.abs(np.asarray(x)[:, None] - np.asarray(moved)).argmin(1)
    moved = np.asarray([np.asarray(x)[nearest == k].mean() for k in range(3)])
  assert inertia(x, centres) <= 1.0001 * inertia(x, moved)
  np.testing.assert_allclose(centres, [-1.2240, 0.0, 1.2240], atol=0.02)


def test_kmeans_with_ties_and_with_too_few_values():
  x = jnp.asarray([0.0] * 7 + [1.0] * 2 + [5.0])
  np.testing.assert_allclose(kmeans_1d(x, 3), [0.0, 1.0, 5.0], atol=1e-6)
  np.testing.assert_allclose(kmeans_1d(x, 1), [0.7], rtol=1e-6)
  with pytest.raises(ValueError, match="2 values cannot form 3 clusters"):
    kmeans_1d(x[:2], 3)


@each_set
def test_linear_thresholds_are_mid_points(levels):
  x, _ = sample(levels)
  biases = q.init_quantizer(x, levels, method="linear").biases
  expected = [(a + b) / 2 for a, b in itertools.pairwise(levels)]
  np.testing.assert_allclose(biases, expected)


def test_the_papers_thresholds():
  x = jax.random.normal(jax.random.key(0), (100,))
  fit = lambda name, **kw: q.init_quantizer(x, q.LEVELS[name], **kw).biases
  np.testing.assert_allclose(fit("w1", method="paper"), [0.0])
  np.testing.assert_allclose(fit("w2", method="paper"), [-0.05, 0.05])
  np.testing.assert_allclose(fit("a1", method="paper"), [0.05])
  chex.assert_trees_all_equal(fit("a2", method="paper"), fit("a2"))
  paper, plain = fit("w3pm2", method="paper"), fit("w3pm2")
  np.testing.assert_allclose(paper[1:3], [-0.05, 0.05])
  chex.assert_trees_all_equal(paper[::3], plain[::3])
  chex.assert_trees_all_equal(paper, fit("w3pm2", central=0.05))
  wide = fit("w3pm2", central=50.0)
  assert np.all(np.diff(wide) > 0)  # in order although the pair passed its neighbours


def test_no_gradient_flows_through_the_fit():
  x, _ = sample((-1, 0, 1))
  slope = jax.grad(lambda x: sum(jnp.sum(v) for v in q.init_quantizer(x, (-1, 0, 1))))
  assert not slope(x).any()
