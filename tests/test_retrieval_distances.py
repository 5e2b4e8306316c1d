"""Distances between descriptors: the peers' numbers, definitions, limits."""

import numpy as np
import pytest

from jaxvision.metrics import retrieval


def test_distances_are_the_peers(golden):
  arrays = golden("retrieval")
  both = arrays["multi/q_feat"], arrays["multi/g_feat"]
  for kind in ("sqeuclidean", "cosine"):
    found = retrieval.pairwise_distances(*both, kind=kind)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, arrays[f"multi/dist_{kind}"], atol=1e-4)
  root = retrieval.pairwise_distances(*both)
  np.testing.assert_allclose(root**2, arrays["multi/dist_sqeuclidean"], atol=1e-4)


def test_distances_by_definition():
  rng = np.random.default_rng(0)
  a, b = rng.normal(size=(4, 6)), rng.normal(size=(5, 6))
  difference = np.linalg.norm(a[:, None] - b, axis=-1)
  cosine = 1 - (a @ b.T) / np.outer(*(np.linalg.norm(x, axis=1) for x in (a, b)))
  np.testing.assert_allclose(retrieval.pairwise_distances(a, b), difference)
  found = retrieval.pairwise_distances(a, b, kind="cosine")
  np.testing.assert_allclose(found, cosine, atol=1e-12)
  assert np.all(retrieval.pairwise_distances(a, a) >= 0)  # never the root of -1e-16
  zero = retrieval.pairwise_distances(np.zeros((1, 6)), b, kind="cosine")
  np.testing.assert_array_equal(zero, np.ones((1, 5)))


def test_another_kind_is_refused():
  with pytest.raises(ValueError, match="kind of distance"):
    retrieval.pairwise_distances(np.ones((1, 2)), np.ones((1, 2)), kind="manhattan")
