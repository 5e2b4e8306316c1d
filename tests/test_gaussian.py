"""Gaussian kernels: the specification's float64 arrays, and what must hold anyway."""

import chex
import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops import gaussian


@pytest.fixture(params=[lambda f: f, jax.jit], ids=["eager", "jit"])
def variant(request):
  return request.param


def pool(features, sigmas):
  """Equations 1 and 4 for the cells of a layer."""
  grid = gaussian.cell_centers(features.shape[-2])
  return gaussian.gaussian_pool(features, gaussian.gaussian_weights(grid, sigmas, grid))


def random_layer(seed=0, t=9, d=3):
  keys = jax.random.split(jax.random.key(seed))
  sigmas = jax.random.uniform(keys[0], (2, t), minval=0.03, maxval=0.5)
  return jax.random.normal(keys[1], (2, t, d)), sigmas


def close_to_the_largest(actual, expected, rtol=1e-5):
  atol = rtol * np.abs(expected).max()
  np.testing.assert_allclose(actual, expected, rtol=rtol, atol=atol)


CASES = ("pool0", "pool1", "pool2")


@pytest.mark.parametrize(
  ("case", "run"), [*((case, jax.jit) for case in CASES), ("pool2", lambda f: f)]
)
def test_weights_pooling_and_gradients_match_the_specification(golden, case, run):
  g = {k: jnp.float32(v) for k, v in golden("gaussian_pooling").items() if case in k}

  def layer(features, sigmas, cotangent):
    grid = gaussian.cell_centers(features.shape[-2])
    weights = gaussian.gaussian_weights(grid, sigmas, grid)
    pooled, pullback = jax.vjp(pool, features, sigmas)
    return weights, pooled, *pullback(cotangent)

  inputs = (g[f"{case}/{name}"] for name in ("features", "sigma", "cotangent"))
  names = ("weights", "pooled", "grad_features", "grad_sigma")
  for result, name in zip(run(layer)(*inputs), names, strict=True):
    close_to_the_largest(result, g[f"{case}/{name}"])


@pytest.mark.parametrize("case", CASES)
def test_default_boxes_match_the_specification(golden, case):
  g = golden("gaussian_pooling")
  sigmas = jnp.float32(g[f"{case}/sigma"])
  for unit in ("window", "cell"):
    boxes = gaussian.default_boxes(gaussian.window_sigmas(sigmas, unit=unit))
    close_to_the_largest(boxes[..., 1], g[f"{case}/box_width_{unit}"])
    centers = np.broadcast_to(g[f"{case}/box_center"][:, None], boxes.shape[:-1])
    close_to_the_largest(boxes[..., 0], centers)
  fixed = gaussian.default_boxes(gaussian.fixed_sigmas(sigmas.shape[-1]))
  close_to_the_largest(fixed[..., 1], g[f"{case}/box_width_fixed"])
  assert gaussian.default_boxes(sigmas, ratios=(1.0,)).shape == (*sigmas.shape, 1, 2)
  with pytest.raises(ValueError, match="frame"):
    gaussian.window_sigmas(sigmas, unit="frame")


def test_kernels_with_free_centers_match_the_specification(golden):
  g = {k: jnp.float32(v) for k, v in golden("gaussian_pooling").items() if "free" in k}
  grid = gaussian.cell_centers(12)
  weights = gaussian.gaussian_weights(g["free/center"], g["free/sigma"], grid)
  close_to_the_largest(weights, g["free/weights"])
  pooled = gaussian.gaussian_pool(g["free/features"], weights)
  close_to_the_largest(pooled, g["free/pooled"])


def test_limits_of_sigma(golden):
  g = golden("gaussian_pooling")
  features = jnp.float32(g["limit/features"])
  for sigma, name in [(1e-3, "0.001"), (1e3, "1000")]:
    pooled = pool(features, jnp.full((1, 9), sigma))
    close_to_the_largest(pooled, g[f"limit/pooled_sigma_{name}"])
  chex.assert_trees_all_close(pool(features, jnp.zeros((1, 9))), features)
  mean = jnp.broadcast_to(features.mean(axis=1, keepdims=True), features.shape)
  chex.assert_trees_all_close(pool(features, jnp.full((1, 9), 1e6)), mean, atol=1e-6)


@hypothesis.settings(max_examples=30, deadline=None)
@hypothesis.given(
  st.floats(-0.5, 1.5, width=32), st.floats(0, 2, width=32, allow_subnormal=False)
)
def test_weights_sum_to_one_and_fall_off_as_a_gaussian(center, sigma):
  grid = gaussian.cell_centers(9)
  weights = jax.jit(gaussian.gaussian_weights)(
    jnp.float32([center]), jnp.float32([sigma]), grid
  )[0]
  np.testing.assert_allclose(weights.sum(), 1, rtol=1e-5)
  # w[i] / w[i + 1] is exp of the difference of the exponents, in closed form.
  exponent = -0.5 * ((np.float64(grid) - center) / max(sigma, 1e-3)) ** 2
  ratio = weights[:-1] / jnp.where(weights[1:] > 1e-20, weights[1:], jnp.nan)
  defined = np.isfinite(ratio) & (weights[:-1] > 1e-20)
  expected = np.exp(np.where(defined, exponent[:-1] - exponent[1:], 0))
  np.testing.assert_allclose(ratio[defined], expected[defined], rtol=1e-3)


def test_constant_features_stay_and_time_may_be_reversed():
  features, sigmas = random_layer()
  constant = jnp.broadcast_to(features[:, :1], features.shape)
  chex.assert_trees_all_close(pool(constant, sigmas), constant, rtol=1e-5)
  backwards = pool(features[:, ::-1], sigmas[:, ::-1])[:, ::-1]
  chex.assert_trees_all_close(backwards, pool(features, sigmas), rtol=1e-4, atol=1e-5)


def test_gradient_of_sigma_against_finite_differences():
  features, sigmas = random_layer(t=5)
  f = jax.jit(lambda s: jnp.sum(jnp.sin(pool(features, s))))
  jax.test_util.check_grads(f, (sigmas,), order=1, modes=("rev",), eps=1e-3, rtol=0.01)


def test_tiny_sigmas_have_finite_weights_and_gradients():
  centers = jnp.array([0.0, 0.21, 0.5, 3.0])
  grid = gaussian.cell_centers(8)
  f = jax.jit(lambda s: gaussian.gaussian_weights(centers, s, grid))
  jacobian = jax.jit(jax.jacobian(f))
  for sigma in (0.0, 1e-30, 1e-3):
    sigmas = jnp.full(4, sigma)
    np.testing.assert_allclose(f(sigmas).sum(axis=-1), 1, rtol=1e-6)
    assert np.all(np.isfinite(jacobian(sigmas)))


def test_leading_axes_and_vmap():
  features, sigmas = random_layer()
  chex.assert_trees_all_close(
    jax.vmap(pool)(features, sigmas), pool(features, sigmas), rtol=1e-5, atol=1e-6
  )
  chex.assert_shape(pool(jnp.zeros((0, 9, 3)), jnp.zeros((0, 9))), (0, 9, 3))


def test_the_bias_starts_a_layer_at_the_fixed_scale():
  for t in (1, 2, 128):
    start = jax.nn.sigmoid(jnp.float32(gaussian.sigma_bias(t)))
    np.testing.assert_allclose(start, gaussian.fixed_sigmas(t)[0], rtol=1e-5)


def test_mean_and_max_over_the_cells_of_a_box(variant):
  grid = gaussian.cell_centers(4)  # .125, .375, .625, .875
  boxes = jnp.array([[0.5, 0.5], [0.5, 0.24], [0.3, 0.01], [0.875, 9.0]])
  inside = variant(gaussian.cells_inside)(boxes, grid)
  np.testing.assert_array_equal(
    inside, [[0, 1, 1, 0], [0, 1, 0, 0], [0, 1, 0, 0], [1, 1, 1, 1]]
  )
  features = jnp.array([[1.0, -1.0], [2.0, -6.0], [4.0, -3.0], [9.0, -2.0]])
  mean = gaussian.gaussian_pool(features, variant(gaussian.mean_weights)(inside))
  np.testing.assert_allclose(mean, [[3, -4.5], [2, -6], [2, -6], [4, -3]])
  largest = variant(gaussian.max_pool_inside)(features, inside)
  np.testing.assert_array_equal(largest, [[4, -3], [2, -6], [2, -6], [9, -1]])
