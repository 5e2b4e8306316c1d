"""What the kernels of a layer of GTAN see, and their boxes, against plain loops."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops.temporal_kernels import (
  Kernels,
  anchor_boxes,
  cell_kernels,
  grouped_kernels,
  pool_features,
)

X = jax.random.normal(jax.random.key(0), (2, 8, 3))
SIGMAS = jax.random.uniform(jax.random.key(1), (2, 8), minval=0.05, maxval=0.3)


def with_others(centers, sigmas):
  """The cells' kernels, and the same others in both windows."""
  others = [jnp.broadcast_to(jnp.array(v), (2, len(v))) for v in (centers, sigmas)]
  more = Kernels(*others, jnp.ones((2, len(centers)), bool))
  pairs = zip(cell_kernels(SIGMAS), more, strict=True)
  return Kernels(*(jnp.concatenate(pair, axis=1) for pair in pairs))


def plain_pool(x, center, sigma, kind):
  grid = (np.arange(len(x)) + 0.5) / len(x)
  if kind == "none":
    return x[int(center * len(x))]
  if kind == "gaussian":
    weights = np.exp(-((grid - center) ** 2) / (2 * sigma**2))
    return weights @ x / weights.sum()
  inside = x[abs(grid - center) <= sigma]
  return inside.mean(0) if kind == "mean" else inside.max(0)


@pytest.mark.parametrize("kind", ["gaussian", "mean", "max", "none"])
@pytest.mark.parametrize("variant", [lambda f: f, jax.jit], ids=["eager", "jit"])
def test_pooling_is_that_of_a_plain_loop(kind, variant):
  kernels = with_others([0.3, 0.92], [0.2, 0.11])
  kernels = kernels._replace(sigmas=jnp.maximum(kernels.sigmas, 0.07))  # none is empty
  pooled = variant(functools.partial(pool_features, kind=kind))(X, kernels)
  assert pooled.shape == (2, 10, 3)
  for v, n in np.ndindex(2, 10):
    center, sigma = float(kernels.centers[v, n]), float(kernels.sigmas[v, n])
    expected = plain_pool(np.asarray(X[v]), center, sigma, kind)
    np.testing.assert_allclose(pooled[v, n], expected, rtol=1e-4, atol=1e-6)


def test_an_unknown_pooling_is_refused():
  with pytest.raises(ValueError, match="'sum'; choose one of gaussian, mean"):
    pool_features(X, cell_kernels(SIGMAS), kind="sum")


def test_boxes_of_a_kernel_are_adjacent_and_around_its_center():
  kernels = with_others([0.3], [0.2])
  boxes = anchor_boxes(kernels, (1.0, 1.5)).reshape(2, 9, 2, 2)
  np.testing.assert_allclose(boxes[0, 8], [[0.3, 0.4], [0.3, 0.6]], rtol=1e-6)
  np.testing.assert_allclose(boxes[:, :8, 0, 1], 2 * SIGMAS, rtol=1e-6)
  np.testing.assert_allclose(boxes[1, 2, :, 0], 2.5 / 8, rtol=1e-6)


def test_grouping_marks_what_is_valid():
  wide = jnp.array([[0.05, 0.4, 0.4, 0.05]])  # the middle two: IoU .55 / 1.05
  for keep in (True, False):
    kernels = grouped_kernels(wide, threshold=0.5, keep_originals=keep)
    own = [True, keep, keep, True]
    expected = [[*own, False, False, True, False]]
    np.testing.assert_array_equal(kernels.valid, expected)
    np.testing.assert_allclose(kernels.centers[0, 6], 0.5, rtol=1e-6)
    np.testing.assert_allclose(kernels.sigmas[0, 6], 0.525, rtol=1e-6)
  assert (kernels.sigmas > 0).all()  # empty slots too: boxes divide by them


def test_gradients_of_a_merged_kernel_are_those_of_its_ends():
  def merged(sigmas):
    kernels = grouped_kernels(sigmas, threshold=0.5, keep_originals=True)
    return kernels.sigmas[0, 6]

  gradient = jax.jit(jax.grad(merged))(jnp.array([[0.05, 0.4, 0.4, 0.05]]))
  np.testing.assert_allclose(gradient, [[0, 0.5, 0.5, 0]])
