"""Suppression against plain loops, on candidates as the benchmark has them."""

import jax
import numpy as np
import pytest

from experiments.benchmarks import temporal_loops
from jaxvision.ops import suppression


def candidates(seed, n=60):
  rng = np.random.default_rng(seed)
  start, length = rng.random(n), 0.1 + 0.5 * rng.random(n)
  segments = np.stack((start, start + length), axis=-1)
  return segments, rng.integers(0, 3, n), rng.random(n)


@pytest.mark.parametrize("keep", [5, 60])
@pytest.mark.parametrize("threshold", [0.3, 0.7])
def test_greedy(keep, threshold):
  data = [candidates(seed) for seed in range(4)]
  batch = [np.stack(part) for part in zip(*data, strict=True)]
  run = lambda segments, classes, scores: suppression.nms(
    segments, scores, threshold=threshold, max_keep=keep, classes=classes
  )
  for found, one in zip(jax.jit(jax.vmap(run))(*batch), data, strict=True):
    expected = temporal_loops.nms(*one, threshold=threshold, keep=keep)
    assert found.tolist() == expected.tolist() + [-1] * (keep - len(expected))


@pytest.mark.parametrize("keep", [5, 60])
@pytest.mark.parametrize("sigma", [0.1, 0.5])
def test_soft(keep, sigma):
  data = [candidates(seed) for seed in range(4)]
  batch = [np.stack(part) for part in zip(*data, strict=True)]
  run = lambda segments, classes, scores: suppression.soft_nms(
    segments, scores, sigma=sigma, max_keep=keep, classes=classes
  )
  index, score = jax.jit(jax.vmap(run))(*batch)
  for row, one in enumerate(data):
    kept, scores = temporal_loops.soft_nms(*one, sigma=sigma, keep=keep)
    assert index[row].tolist() == kept.tolist()
    np.testing.assert_allclose(score[row], scores, rtol=1e-4)
