"""Temporal metrics against plain loops on random data, and what leaves them alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from temporal_data import THRESHOLDS, random_segments, segments

from experiments.benchmarks import temporal_loops
from jaxvision.metrics import temporal

seeds = st.integers(0, 2**31)


@st.composite
def problems(draw, *, grid=None):
  """Truth and predictions; some classes and videos are in one of them only."""
  rng = np.random.default_rng(draw(seeds))
  videos, classes = draw(st.sampled_from([1, 6, 10**9])), draw(st.integers(1, 4))
  sizes = draw(st.tuples(st.integers(1, 40), st.integers(1, 90)))
  return tuple(
    random_segments(
      rng, n, scored=scored, videos=videos, classes=classes + scored, grid=grid
    )
    for n, scored in zip(sizes, (False, True), strict=True)
  )


def scores(truth, predictions):
  """All metrics as one vector, of ids in any coding."""
  _, recall, auc = temporal.average_recall(truth, predictions, THRESHOLDS)
  ap = temporal.detection_average_precision(truth, predictions, THRESHOLDS)
  thumos = temporal.thumos_average_precision(truth, predictions, 0.3)
  return np.concatenate([ap.ravel(), thumos, recall.ravel(), [auc]])


@pytest.mark.parametrize("grid", [None, 6], ids=["distinct", "tied"])
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_they_are_what_the_loops_say(grid, data):
  truth, predictions = data.draw(problems(grid=grid))
  thresholds = np.array([0.75, 0.25, 0.5])
  np.testing.assert_allclose(
    temporal.detection_average_precision(truth, predictions, thresholds),
    temporal_loops.detection_average_precision(truth, predictions, thresholds),
    atol=1e-12,
  )
  limit = data.draw(st.sampled_from([1.5, 7, 100]))
  mine = temporal.average_recall(truth, predictions, thresholds, max_proposals=limit)
  loop = temporal_loops.average_recall(
    truth, predictions, thresholds, max_proposals=limit
  )
  np.testing.assert_allclose(mine[0], loop[0], rtol=1e-12)
  np.testing.assert_allclose(mine[1], loop[1], atol=1e-12)


@pytest.mark.parametrize("grid", [None, 6], ids=["distinct", "tied"])
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_thumos_is_what_the_loop_says(grid, data):
  truth, predictions = data.draw(problems(grid=grid))
  unclear, _ = data.draw(problems())
  threshold = data.draw(st.sampled_from([0.0, 0.25, 0.5]))
  np.testing.assert_allclose(
    temporal.thumos_average_precision(truth, predictions, threshold, ambiguous=unclear),
    temporal_loops.thumos_average_precision(truth, predictions, threshold, unclear),
    atol=1e-12,
  )


@settings(max_examples=30, deadline=None)
@given(problems(), seeds)
def test_the_order_of_the_predictions_does_not_matter(problem, seed):
  truth, predictions = problem
  order = np.random.default_rng(seed).permutation(len(predictions.video))
  shuffled = predictions.take(order)
  np.testing.assert_array_equal(scores(truth, predictions), scores(truth, shuffled))


@settings(max_examples=30, deadline=None)
@given(problems(), st.sampled_from([1, 17, 10**12]), seeds)
def test_videos_can_have_any_ids(problem, gap, seed):
  old = np.unique(np.concatenate([part.video for part in problem]))
  new = np.random.default_rng(seed).permutation(len(old)) * gap - 5
  renamed = [p._replace(video=new[np.searchsorted(old, p.video)]) for p in problem]
  np.testing.assert_allclose(scores(*problem), scores(*renamed), atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(problems())
def test_only_the_ranking_of_the_scores_matters(problem):
  truth, predictions = problem
  moved = predictions._replace(score=np.exp(3 * predictions.score) - 7)
  np.testing.assert_array_equal(scores(truth, predictions), scores(truth, moved))


@settings(max_examples=30, deadline=None)
@given(problems(), st.floats(0.1, 50), st.floats(-20, 20))
def test_the_unit_of_time_does_not_matter(problem, scale, shift):
  moved = [
    p._replace(start=scale * p.start + shift, end=scale * p.end + shift)
    for p in problem
  ]
  np.testing.assert_allclose(scores(*problem), scores(*moved), atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(problems(grid=8))
def test_recall_grows_with_proposals_and_falls_with_the_threshold(problem):
  number, recall, auc = temporal.average_recall(*problem, THRESHOLDS)
  assert np.all(np.diff(recall, axis=1) >= 0)
  assert np.all(np.diff(recall, axis=0) <= 0)
  assert 0 <= auc <= 1 and np.all(np.diff(number) >= 0)


@settings(max_examples=30, deadline=None)
@given(problems(), seeds)
def test_the_truth_finds_itself(problem, seed):
  truth, _ = problem
  n = len(truth.video)
  perfect = truth._replace(score=np.random.default_rng(seed).random(n))
  ap = temporal.detection_average_precision(truth, perfect, [0.5, 1.0])
  np.testing.assert_allclose(ap, 1.0, rtol=1e-12)
  ap = temporal.thumos_average_precision(truth, perfect, 0.99)
  np.testing.assert_allclose(ap, 1.0, rtol=1e-12)
  _, recall, _ = temporal.average_recall(truth, perfect, [1.0], max_proposals=None)
  assert recall[0, -1] == 1.0


@settings(max_examples=30, deadline=None)
@given(problems())
def test_a_worse_false_positive_costs_nothing(problem):
  """Behind the last detection it is in no precision, wherever it is."""
  truth, predictions = problem
  last = segments([(2, int(truth.label[0]), 90, 91, -1)], scored=True)
  more = type(last)(*map(np.append, predictions, last))
  np.testing.assert_array_equal(
    temporal.detection_average_precision(truth, predictions, THRESHOLDS),
    temporal.detection_average_precision(truth, more, THRESHOLDS),
  )


@st.composite
def apart(draw):
  """Instances that share no time, and detections around them.

  So no detection reaches two instances by more than half.
  """
  rng = np.random.default_rng(draw(seeds))
  n, m = draw(st.integers(1, 20)), draw(st.integers(1, 60))
  start = np.arange(n) + 0.4 * rng.random(n)
  video, label = rng.integers(0, 3, n), rng.integers(0, 3, n)
  truth = temporal.Segments(video, label, start, start + rng.uniform(0.1, 0.6, n))
  found = truth.take(rng.integers(0, n, m))
  moved = found._replace(
    start=found.start - rng.uniform(0, 0.1, m), end=found.end + rng.uniform(0, 0.1, m)
  )
  return truth, moved._replace(score=rng.random(m))


def precisions(truth, predictions):
  """AP of both rules at thresholds above a half."""
  ap = temporal.detection_average_precision(truth, predictions, THRESHOLDS[1:])
  thumos = [
    temporal.thumos_average_precision(truth, predictions, t) for t in (0.5, 0.7)
  ]
  return np.concatenate([ap, thumos])


def with_more(predictions, *more):
  return type(predictions)(
    *(np.concatenate(parts) for parts in zip(predictions, *more, strict=True))
  )


@settings(max_examples=40, deadline=None)
@given(apart(), seeds, st.floats(0, 1))
def test_a_duplicate_of_lower_score_never_helps(problem, seed, factor):
  """Whatever it could find, its original has taken."""
  truth, predictions = problem
  row = np.random.default_rng(seed).integers(0, len(predictions.score), 3)
  copy = predictions.take(row)
  more = with_more(predictions, copy._replace(score=factor * copy.score))
  assert np.all(precisions(truth, more) <= precisions(truth, predictions) + 1e-12)


@settings(max_examples=40, deadline=None)
@given(problems(), seeds, st.booleans())
def test_a_false_positive_never_helps(problem, seed, last):
  truth, predictions = problem
  rng = np.random.default_rng(seed)
  wrong = truth.take(rng.integers(0, len(truth.label), 2))
  wrong = wrong._replace(  # where no instance is
    start=wrong.start + 90, end=wrong.end + 90, score=rng.random(2) - 2 * last
  )
  before, after = (
    precisions(truth, p) for p in (predictions, with_more(predictions, wrong))
  )
  assert np.all(after <= before + 1e-12)
  if last:  # it is in no precision that counts
    np.testing.assert_array_equal(after, before)


@settings(max_examples=40, deadline=None)
@given(problems(), seeds)
def test_ambiguous_intervals_only_forgive(problem, seed):
  truth, predictions = problem
  unclear = truth.take(np.random.default_rng(seed).integers(0, len(truth.label), 3))
  ap = lambda intervals: temporal.thumos_average_precision(
    truth, predictions, 0.4, ambiguous=intervals
  )
  assert np.all(ap(unclear) >= ap(None) - 1e-12)
  videos = np.unique(np.concatenate([truth.video, predictions.video]))
  whole = segments([(v, 0, -9, 99) for v in videos])
  hits = ap(whole) * np.unique(truth.label, return_counts=True)[1]
  # with all others forgiven each detection that counts is right: AP is the recall
  np.testing.assert_allclose(hits, np.round(hits), atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(problems(), st.floats(0.5, 50), st.floats(1, 3))
def test_recall_grows_with_the_proposals_allowed(problem, limit, factor):
  at_most = lambda n: temporal.average_recall(*problem, THRESHOLDS, max_proposals=n)
  assert np.all(at_most(limit)[1][:, -1] <= at_most(limit * factor)[1][:, -1])
