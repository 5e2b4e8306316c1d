"""Fast forms of graph convolution against literal einsums, values and gradients."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops import graph_convolution as ops

B, V, T, C, K = 2, 5, 4, 6, 3
KEYS = jax.random.split(jax.random.key(0), 4)
X = jax.random.normal(KEYS[0], (B, V, T, C))


def graph(*shape):
  return jax.random.normal(KEYS[1], shape)


def literal_branches(x, graphs):
  """Channels of a branch together, a graph each; [n, k, v, w]."""
  x = x.reshape(B, V, T, K, C // K)
  graphs = jnp.broadcast_to(graphs, (B, *graphs.shape[-3:]))
  return jnp.einsum("nvtkd,nkvw->nwtkd", x, graphs).reshape(B, -1, T, C)


CASES = {
  "shared": (ops.aggregate, "nvtc,vw->nwtc", graph(V, V)),
  "own": (ops.aggregate, "nvtc,nvw->nwtc", graph(B, V, V)),
  "to_fewer_joints": (ops.aggregate, "nvtc,vw->nwtc", graph(V, 3)),
  "channels": (ops.aggregate_channels, "nvtc,nvwc->nwtc", graph(B, V, V, C)),
  "branches": (ops.aggregate_branches, literal_branches, graph(K, V, V)),
  "own_branches": (ops.aggregate_branches, literal_branches, graph(B, K, V, V)),
}


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients(name):
  fast, literal, matrix = CASES[name]
  if isinstance(literal, str):
    literal = lambda x, g, spec=literal: jnp.einsum(spec, x, g)
  found, expected = (jax.jit(fn)(X, matrix) for fn in (fast, literal))
  chex.assert_trees_all_close(found, expected, rtol=1e-5, atol=1e-5)
  chex.assert_trees_all_close(fast(X, matrix), expected, rtol=1e-5, atol=1e-5)
  weights = jax.random.normal(KEYS[2], expected.shape)
  gradients = [
    jax.jit(jax.grad(lambda x, g, fn=fn: (fn(x, g) * weights).sum(), (0, 1)))
    for fn in (fast, literal)
  ]
  found, expected = (gradient(X, matrix) for gradient in gradients)
  chex.assert_trees_all_close(found, expected, rtol=1e-4, atol=1e-5)


def test_projection_and_aggregation_commute():
  """The fast order, projected first, is the authors', aggregated first."""
  kernels = jax.random.normal(KEYS[3], (K, C, C // K))
  graphs = graph(B, K, V, V)
  first = jnp.einsum("nvtc,kcd->nvtkd", X, kernels).reshape(B, V, T, C)
  found = ops.aggregate_branches(first, graphs)
  expected = jnp.einsum("nvtc,nkvw,kcd->nwtkd", X, graphs, kernels)
  chex.assert_trees_all_close(found, expected.reshape(found.shape), atol=1e-4)


def test_low_precision_stays_low():
  x = X.astype("bfloat16")
  assert ops.aggregate(x, graph(V, V)).dtype == jnp.bfloat16
  assert ops.aggregate_branches(x, graph(K, V, V)).dtype == jnp.bfloat16
  assert ops.attention_graph(x, x).dtype == jnp.float32


@pytest.mark.parametrize("scale", [1.0, 5.0])
def test_attention_graph(scale):
  theta, phi = scale * X, scale * jax.random.normal(KEYS[2], X.shape)
  found = jax.jit(ops.attention_graph)(theta, phi)
  logits = np.einsum("nvtc,nwtc->nvw", theta, phi) / (T * C)
  shares = np.exp(logits)
  np.testing.assert_allclose(found, shares / shares.sum(1, keepdims=True), rtol=1e-4)
  np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)
  assert jnp.abs(found.sum(2) - 1).max() > 0.01  # over sources, not targets


def test_motion_of_still_and_steady_sequences():
  still = jnp.broadcast_to(X[:, :, :1], X.shape)
  assert not ops.temporal_difference(still).any()
  steady = jnp.arange(T, dtype=jnp.float32)[:, None] * X[:, :, :1]
  motion = ops.temporal_difference(steady)
  np.testing.assert_allclose(
    motion[:, :, :-1], jnp.broadcast_to(X[:, :, :1], (B, V, T - 1, C)), atol=1e-5
  )
  assert not motion[:, :, -1].any()


@pytest.mark.parametrize("frames", [4, 7])
def test_halved_time(frames):
  x = jax.random.normal(KEYS[0], (frames, 1))
  found = ops.halve_time(x)[:, 0]
  assert found.tolist() == [max(x[i, 0], x[i + 1, 0]) for i in range(0, frames - 1, 2)]
  tied = jax.grad(lambda x: ops.halve_time(x).sum())(jnp.zeros((frames, 1)))
  expected = [1, 0] * (frames // 2) + [0] * (frames % 2)
  np.testing.assert_array_equal(tied[:, 0], expected)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("frames", [4, 7])
def test_maxima_of_three(frames, stride):
  x = -jnp.abs(jax.random.normal(KEYS[0], (frames, 1)))  # padding would win, if zero
  found = ops.max_of_three(x, stride=stride)[:, 0]
  expected = [x[max(i - 1, 0) : i + 2].max() for i in range(0, frames, stride)]
  np.testing.assert_array_equal(found, expected)
  tied = jax.grad(lambda x: ops.max_of_three(x).sum())(jnp.zeros((4, 1)))
  np.testing.assert_array_equal(tied[:, 0], [2, 1, 1, 0])
