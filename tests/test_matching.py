"""Matching of anchors with true segments, hard negatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops import matching

ANCHORS = jnp.array([[0.0, 2.0], [2.0, 4.0], [4.0, 6.0], [6.0, 8.0]])
TRUTH = jnp.array([[0.0, 4.0], [4.0, 7.0], [6.0, 8.0]])


@pytest.fixture(params=[lambda f: f, jax.jit], ids=["eager", "jit"])
def variant(request):
  return request.param


def test_each_anchor_gets_the_segment_that_overlaps_it_most(variant):
  valid = jnp.array([True, True, True])
  iou, index = variant(matching.match)(ANCHORS, TRUTH, valid)
  np.testing.assert_allclose(iou, [0.5, 0.5, 2 / 3, 1], rtol=1e-6)
  np.testing.assert_array_equal(index, [0, 0, 1, 2])
  assert index.dtype == jnp.int32


def test_padding_matches_nothing():
  iou, index = matching.match(ANCHORS, TRUTH, jnp.array([True, False, False]))
  np.testing.assert_allclose(iou, [0.5, 0.5, 0, 0])
  np.testing.assert_array_equal(index, 0)
  nothing = jnp.zeros(3, bool)
  iou, index = matching.match(ANCHORS, TRUTH, nothing)
  np.testing.assert_array_equal(iou, 0)
  np.testing.assert_array_equal(index, 0)
  assert not matching.best_anchors(ANCHORS, TRUTH, nothing).any()
  with pytest.raises(ValueError, match="0 true segments"):
    matching.match(ANCHORS, jnp.zeros((0, 2)), jnp.zeros(0, bool))


def test_videos_are_matched_alone():
  truth = jnp.stack([TRUTH, TRUTH[::-1]])
  valid = jnp.array([[True, True, False], [True, False, True]])
  iou, index = matching.match(ANCHORS, truth, valid)
  for video in range(2):
    alone = matching.match(ANCHORS, truth[video], valid[video])
    np.testing.assert_array_equal(iou[video], alone[0])
    np.testing.assert_array_equal(index[video], alone[1])
  mapped = jax.vmap(matching.match, (None, 0, 0))(ANCHORS, truth, valid)
  np.testing.assert_array_equal(mapped[0], iou)


def test_matching_has_no_gradient():
  total = lambda a: matching.match(a, TRUTH, jnp.ones(3, bool))[0].sum()
  np.testing.assert_array_equal(jax.grad(total)(ANCHORS), 0)


def test_every_true_segment_marks_its_best_anchor_unless_another_owns_it(variant):
  best = variant(matching.best_anchors)
  np.testing.assert_array_equal(
    best(ANCHORS, TRUTH, jnp.ones(3, bool)), [True, False, True, True]
  )
  # Both segments overlap the only anchor; it stays with the one it overlaps more.
  truth = jnp.array([[0.0, 1.0], [0.0, 1.5]])
  anchors = jnp.array([[0.0, 2.0], [5.0, 6.0]])
  np.testing.assert_array_equal(best(anchors, truth, jnp.ones(2, bool)), [True, False])


@pytest.mark.parametrize(
  ("ratio", "extra", "expected"),
  [(1.0, 0, [2, 5]), (1.5, 0, [2, 3, 5]), (0.0, 1, [5]), (9.0, 0, [1, 2, 3, 5])],
)
def test_the_hardest_negatives_are_chosen(ratio, extra, expected, variant):
  hardness = jnp.array([0.95, 0.1, 0.8, 0.3, 0.99, 0.9])
  positive = jnp.array([True, False, False, False, True, False])
  negative = ~positive
  choose = lambda *x: matching.hard_negatives(*x, ratio=ratio, extra=extra)
  chosen = variant(choose)(hardness, positive, negative)
  np.testing.assert_array_equal(np.flatnonzero(chosen), expected)


def test_each_row_chooses_for_itself_and_ignored_anchors_are_never_chosen():
  hardness = jnp.array([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0]])
  positive = jnp.array([[True, False, False], [False, False, False]])
  negative = jnp.array([[False, False, True], [True, True, True]])
  chosen = matching.hard_negatives(hardness, positive, negative)
  np.testing.assert_array_equal(chosen, [[False, False, True], [False] * 3])
