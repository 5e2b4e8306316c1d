"""Max-norm projection."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops.projections import max_norm


@pytest.fixture(params=[lambda f: f, jax.jit], ids=["eager", "jit"])
def variant(request):
  return request.param


@pytest.mark.parametrize("axis", [0, 1, (0,)])
def test_only_long_units_are_scaled_to_the_limit(variant, axis):
  kernel = jax.random.normal(jax.random.key(0), (20, 20)) * jnp.linspace(0.1, 2.0, 20)
  projected = variant(lambda w: max_norm(w, 15, axis=axis))(kernel)
  before, after = (np.sum(np.float64(w) ** 2, axis=axis) for w in (kernel, projected))
  assert (before > 15).any() and (before < 15).any()
  np.testing.assert_allclose(after, np.minimum(before, 15.0), rtol=1e-5)
  cosine = np.sum(kernel * projected, axis=axis) / np.sqrt(before * after)
  np.testing.assert_allclose(cosine, 1.0, rtol=1e-5)


def test_units_within_the_limit_keep_their_bits():
  kernel = jax.random.normal(jax.random.key(0), (5, 7))
  chex.assert_trees_all_equal(max_norm(kernel, 100.0), kernel)
  chex.assert_trees_all_equal(max_norm(jnp.zeros((5, 7)), 1.0), jnp.zeros((5, 7)))


def test_projection_is_idempotent():
  kernel = 3.0 * jax.random.normal(jax.random.key(0), (9, 4))
  once = max_norm(kernel, 2.0)
  chex.assert_trees_all_close(max_norm(once, 2.0), once, rtol=1e-6)


def test_convolution_kernels_sum_over_three_axes():
  kernel = jnp.ones((3, 3, 2, 5))
  projected = max_norm(kernel, 2.0, axis=(0, 1, 2))
  np.testing.assert_allclose(jnp.sum(projected**2, axis=(0, 1, 2)), 2.0, rtol=1e-6)


def test_gradient_is_finite_and_exact_within_the_limit():
  f = lambda w: max_norm(w, 4.0).sum()
  chex.assert_trees_all_close(jax.grad(f)(jnp.full((2, 3), 0.1)), jnp.ones((2, 3)))
  # Along a long unit's own direction the projection is constant.
  w = jnp.full((4, 1), 2.0)
  assert abs(jnp.vdot(jax.grad(f)(w), w)) < 1e-5


@pytest.mark.parametrize("limit", [0.0, -1])
def test_a_bad_limit_is_refused(limit):
  with pytest.raises(ValueError, match=f"squared_limit is {limit}"):
    max_norm(jnp.ones((2, 2)), limit)
