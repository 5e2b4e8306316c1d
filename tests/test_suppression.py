"""Suppression equals a plain loop; limits, classes, videos, edge cases."""

import functools
import math

import chex
import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from suppression_support import assert_selected

from jaxvision.ops import segments as ops


@pytest.fixture(params=[lambda f: f, jax.jit], ids=["eager", "jit"])
def variant(request):
  return request.param


def candidates(seed, n=12):
  """Segments with ends that float32 holds exactly, and distinct scores."""
  rng = np.random.default_rng(seed)
  start = rng.integers(0, 48, n)
  end = start + rng.integers(1, 17, n)
  scores = rng.permutation(np.linspace(0.1, 0.97, n))
  return jnp.float32(np.stack([start, end], -1) / 64), jnp.float32(scores)


def plain_loop(segments, scores, factor, min_score):
  """Soft-NMS in float64 lists; `factor` of (IoU, length of the selected)."""
  left = {i: float(s) for i, s in enumerate(scores) if s >= min_score}
  segments = np.float64(segments)
  selected = []
  while left:
    best = max(left, key=left.get)
    selected.append((best, left.pop(best)))
    start, end = segments[best]
    for i, score in list(left.items()):
      common = max(0, min(end, segments[i, 1]) - max(start, segments[i, 0]))
      iou = common / (end - start + segments[i, 1] - segments[i, 0] - common)
      left[i] = score * factor(iou, end - start)
      if left[i] < min_score:
        del left[i]
  return selected


@functools.partial(jax.jit, static_argnames="kind")
def suppress_twelve(segments, scores, kind):
  decay = {
    "gaussian": ops.gaussian_decay(sigma=0.31, low=0.21, high=0.67),
    "linear": ops.linear_decay(threshold=0.2113),
    "opentad": ops.opentad_decay(sigma=0.31, low=0.21, slope=0.33),
  }[kind]
  return ops.suppress(segments, scores, decay, max_keep=15, min_score=0.07)


FACTORS = {
  "gaussian": lambda o, w: math.exp(-o * o / 0.31) if o > 0.21 + 0.46 * w else 1,
  "linear": lambda o, w: 1 - o if o >= 0.2113 else 1,
  "opentad": lambda o, w: math.exp(-o * o / 0.31) if o >= 0.21 + 0.33 * w else 1,
}


@hypothesis.settings(max_examples=25, deadline=None)
@hypothesis.given(st.integers(0, 10**6), st.sampled_from(sorted(FACTORS)))
def test_soft_suppression_equals_a_plain_loop(seed, kind):
  segments, scores = candidates(seed)
  expected = plain_loop(segments, scores, FACTORS[kind], 0.07)
  index, score = zip(*expected, strict=True)
  assert_selected(suppress_twelve(segments, scores, kind), index, score, rtol=1e-5)


IOU = jax.jit(ops.segment_iou)


@functools.partial(jax.jit, static_argnames="max_keep")
def keep(segments, scores, classes=None, max_keep=12):
  return ops.nms(segments, scores, threshold=0.2113, max_keep=max_keep, classes=classes)


@hypothesis.settings(max_examples=25, deadline=None)
@hypothesis.given(st.integers(0, 10**6))
def test_what_greedy_suppression_keeps_and_drops(seed):
  segments, scores = candidates(seed)
  index, scores = np.asarray(keep(segments, scores)), np.asarray(scores)
  kept = index[index >= 0]
  iou = np.array(IOU(segments, segments))
  assert np.all(np.diff(scores[kept]) < 0)
  np.fill_diagonal(iou, 0)
  assert iou[np.ix_(kept, kept)].max(initial=0) < 0.2113
  for lost in set(range(12)) - set(kept.tolist()):
    assert any(iou[lost, i] >= 0.2113 and scores[i] > scores[lost] for i in kept)


def test_classes_are_suppressed_as_if_alone():
  segments, scores = candidates(3, n=24)
  classes = jnp.arange(24) % 3
  together, score = ops.soft_nms(
    segments, scores, sigma=0.3, max_keep=24, classes=classes
  )
  hard = keep(segments, scores, classes, max_keep=24)
  for label in range(3):
    mine = np.flatnonzero(classes == label)
    index, alone = ops.soft_nms(segments[mine], scores[mine], sigma=0.3, max_keep=8)
    of_label = classes[together] == label
    np.testing.assert_array_equal(together[of_label], mine[index])
    np.testing.assert_allclose(score[of_label], alone, rtol=1e-6)
    greedy = keep(segments[mine], scores[mine], max_keep=8)
    hard_of_label = hard[(hard >= 0) & (classes[hard] == label)]
    np.testing.assert_array_equal(hard_of_label, mine[greedy[greedy >= 0]])


def test_limits_of_sigma():
  segments, scores = candidates(1)
  order = np.argsort(-scores)
  index, score = ops.soft_nms(segments, scores, sigma=1e9, max_keep=12)
  assert_selected((index, score), order, scores[order], rtol=1e-6)
  index, score = ops.soft_nms(segments, scores, sigma=1e-9, min_score=1e-6, max_keep=12)
  apart = ops.nms(segments, scores, threshold=1e-6, max_keep=12)
  np.testing.assert_array_equal(index, apart)
  np.testing.assert_allclose(score, ops.take_kept(scores, apart), rtol=1e-6)


def test_an_iou_equal_to_the_threshold():
  segments = jnp.array([[0.0, 2.0], [1.0, 2.0]])
  f = functools.partial(ops.nms, segments, jnp.array([0.9, 0.8]), max_keep=2)
  np.testing.assert_array_equal(f(threshold=0.5), [0, -1])
  np.testing.assert_array_equal(f(threshold=0.5, strict=True), [0, 1])


@pytest.mark.parametrize(
  ("decay", "expected"),
  [
    (ops.gaussian_decay(sigma=0.5), np.exp(-0.5)),
    (ops.gaussian_decay(sigma=0.5, low=0.25, high=1.25), 1.0),
    (ops.opentad_decay(sigma=0.5, low=0.25, slope=1.0), np.exp(-0.5)),
    (ops.opentad_decay(sigma=0.5, low=0.25, slope=1.1), 1.0),
    (ops.linear_decay(threshold=0.5), 0.5),
    (ops.linear_decay(threshold=0.51), 1.0),
  ],
)
def test_factors_at_the_gate(decay, expected):
  # An IoU of .5 with a segment of length .25: BMN's gate at it is closed, others open.
  iou, length = jnp.array([0.0, 0.5]), jnp.float32(0.25)
  np.testing.assert_allclose(decay(iou, length), [1, expected], rtol=1e-6)


def test_a_score_equal_to_the_minimum():
  segments, scores = jnp.array([[0.0, 1.0], [2.0, 3.0]]), jnp.array([0.5, 0.25])
  index, _ = ops.soft_nms(segments, scores, sigma=1, max_keep=2, min_score=0.25)
  np.testing.assert_array_equal(index, [0, 1])
  index = ops.nms(segments, scores, threshold=0.5, max_keep=2, min_score=0.25)
  np.testing.assert_array_equal(index, [0, -1])


def test_equal_scores_are_taken_in_order():
  segments = jnp.array([[4.0, 5.0], [0.0, 1.0], [2.0, 3.0]])
  index = ops.nms(segments, jnp.ones(3), threshold=0.5, max_keep=3)
  np.testing.assert_array_equal(index, [0, 1, 2])


def test_nothing_to_select(variant):
  segments, scores = candidates(0)
  soft = functools.partial(ops.soft_nms, sigma=0.5, max_keep=3, min_score=0.98)
  hard = functools.partial(ops.nms, threshold=0.5, max_keep=3, min_score=0.98)
  none = jnp.zeros((0, 2)), jnp.zeros(0)
  for x in [(segments, scores), none, (segments, jnp.full(12, -jnp.inf))]:
    assert_selected(variant(soft)(*x), [], [], rtol=0)
    np.testing.assert_array_equal(variant(hard)(*x), [-1, -1, -1])


def test_more_slots_than_candidates_and_padding():
  segments, scores = candidates(2)
  plain = ops.soft_nms(segments, scores, sigma=0.5, max_keep=14)
  assert jnp.all(plain[0][:12] >= 0) and jnp.all(plain[0][12:] == -1)
  for padding in (-jnp.inf, -1.0, jnp.nan):
    more = jnp.concatenate([segments, jnp.ones((3, 2))])
    padded = jnp.concatenate([scores, jnp.full(3, padding)])
    result = ops.soft_nms(more, padded, sigma=0.5, max_keep=14)
    chex.assert_trees_all_equal(result, plain)


def test_segments_without_length_are_kept_and_suppress_nothing():
  segments = jnp.array([[0.5, 0.5], [0.5, 0.5], [0.0, 1.0]])
  scores = jnp.array([0.9, 0.8, 0.7])
  np.testing.assert_array_equal(
    ops.nms(segments, scores, threshold=0.1, max_keep=3), [0, 1, 2]
  )
  _, score = ops.soft_nms(segments, scores, sigma=0.1, max_keep=3)
  np.testing.assert_array_equal(score, scores)


def test_videos_are_mapped():
  segments, scores = (
    jnp.stack(x) for x in zip(candidates(4), candidates(5), strict=True)
  )
  soft = functools.partial(ops.soft_nms, sigma=0.4, max_keep=7, min_score=0.05)
  hard = functools.partial(ops.nms, threshold=0.3, max_keep=7)
  for f in (soft, hard):
    mapped = jax.jit(jax.vmap(f))(segments, scores)
    for video in range(2):
      alone = f(segments[video], scores[video])
      chex.assert_trees_all_close(jax.tree.map(lambda x, i=video: x[i], mapped), alone)


def test_decayed_scores_have_a_finite_gradient():
  segments, scores = candidates(6)
  scores = scores.at[3].set(-jnp.inf)
  total = lambda s, x: ops.soft_nms(s, x, sigma=1e-3, max_keep=12, min_score=0.05)[
    1
  ].sum()
  for gradient in jax.grad(total, (0, 1))(segments, scores):
    assert jnp.all(jnp.isfinite(gradient))


def test_a_segment_that_nothing_votes_for_stays():
  kept = jnp.array([[0.0, 1.0], [5.0, 6.0], [0.0, 0.0]])
  others = jnp.array([[0.0, 1.0], [0.0, 1.2], [0.0, 9.0]])
  voted = ops.vote(kept, others, jnp.array([0.6, 0.2, -jnp.inf]), threshold=0.8)
  np.testing.assert_allclose(voted, [[0, 1.05], [5, 6], [0, 0]], rtol=1e-6)


def test_taking_what_is_kept():
  values = jnp.arange(6).reshape(3, 2)
  index = jnp.array([2, -1, 0], jnp.int32)
  np.testing.assert_array_equal(ops.take_kept(values, index), [[4, 5], [0, 0], [0, 1]])
  np.testing.assert_array_equal(ops.take_kept(values[:, 0], index, fill=7), [4, 7, 0])
  nothing = ops.take_kept(jnp.zeros((0, 2)), jnp.full(3, -1))
  np.testing.assert_array_equal(nothing, jnp.zeros((3, 2)))
