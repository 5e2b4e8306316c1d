"""Cross entropy and top-k of classifiers."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.losses.classification import cross_entropy
from jaxvision.metrics.classification import in_top_k

RNG = np.random.default_rng(0)
LOGITS = 3 * RNG.normal(size=(4, 6, 5))
LABELS = RNG.integers(0, 5, (4, 6))


@pytest.fixture(params=[lambda f: f, jax.jit, jax.vmap], ids=["eager", "jit", "vmap"])
def variant(request):
  return request.param


def log_softmax(x):
  return (
    x
    - np.log(np.exp(x - x.max(-1, keepdims=True)).sum(-1, keepdims=True))
    - (x.max(-1, keepdims=True))
  )


def test_cross_entropy_is_minus_the_label_log_probability(variant):
  found = variant(cross_entropy)(jnp.float32(LOGITS), jnp.int32(LABELS))
  expected = -np.take_along_axis(log_softmax(LOGITS), LABELS[..., None], -1)[..., 0]
  np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_cross_entropy_of_half_precision_is_computed_in_single():
  half = jnp.asarray(LOGITS, jnp.bfloat16)
  found = cross_entropy(half, jnp.int32(LABELS))
  assert found.dtype == jnp.float32
  whole = cross_entropy(half.astype(jnp.float32), jnp.int32(LABELS))
  chex.assert_trees_all_equal(found, whole)


def test_cross_entropy_of_uniform_and_of_extreme_logits():
  label = jnp.array([0, 1])
  np.testing.assert_allclose(cross_entropy(jnp.zeros((2, 8)), label), np.log(8.0))
  extreme = jnp.array([[1e4, 0.0], [1e4, 0.0]])
  np.testing.assert_allclose(cross_entropy(extreme, label), [0.0, 1e4])


def test_gradient_is_softmax_minus_one_hot():
  grad = jax.grad(lambda x: cross_entropy(x, jnp.int32(LABELS)).sum())
  expected = np.exp(log_softmax(LOGITS)) - np.eye(5)[LABELS]
  np.testing.assert_allclose(grad(jnp.float32(LOGITS)), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("k", [1, 2, 5])
def test_top_k_is_that_of_a_sort(variant, k):
  found = variant(lambda x, y: in_top_k(x, y, k=k))(
    jnp.float32(LOGITS), jnp.int32(LABELS)
  )
  best = np.argsort(-LOGITS, axis=-1)[..., :k]
  np.testing.assert_array_equal(found, (best == LABELS[..., None]).any(-1))


@pytest.mark.parametrize(
  "row, k, expected",
  [
    ([1.0, 1.0, 0.0], 1, [False, False, False]),  # ties count against the label
    ([1.0, 1.0, 0.0], 2, [True, True, False]),
    ([2.0, 1.0, 1.0], 2, [True, False, False]),
    ([0.0, 0.0, 0.0], 1, [False, False, False]),  # a constant classifier
    ([0.0, 0.0, 0.0], 2, [False, False, False]),
    ([0.0, 0.0, 0.0], 3, [True, True, True]),
    ([np.inf, -np.inf, 0.0], 1, [True, False, False]),
    # What diverged is right nowhere.
    ([np.nan, np.nan, np.nan], 1, [False, False, False]),
    ([2.0, np.nan, 1.0], 1, [False, False, False]),
    ([2.0, np.nan, 1.0], 2, [True, False, False]),
  ],
)
def test_ties_and_what_is_no_number(row, k, expected):
  logits = jnp.tile(jnp.array(row), (3, 1))
  np.testing.assert_array_equal(in_top_k(logits, jnp.arange(3), k=k), expected)
