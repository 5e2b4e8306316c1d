"""The flat forms behind the temporal metrics: ranks, pairs and turns."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from temporal_data import random_segments

from jaxvision.metrics import temporal, temporal_matching, temporal_pairs
from jaxvision.metrics.temporal_pairs import Spans

seeds = st.integers(0, 2**31)


@pytest.mark.parametrize("gap", [1, 10**15], ids=["table", "search"])
def test_positions_of_known_and_unknown_ids(gap):
  known = np.array([-2, 3, 4, 9]) * gap
  values = np.array([9, -3, -2, 5, 4, 10, 3, 0]) * gap
  found = temporal_pairs.positions(values, known)
  np.testing.assert_array_equal(found, [3, 4, 0, 4, 2, 4, 1, 4])
  nowhere = temporal_pairs.positions(values, known[:0])
  np.testing.assert_array_equal(nowhere, np.zeros(8))


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(0, 200), st.integers(1, 70_000), st.sampled_from([3, 10**9]))
def test_ranks_are_those_of_a_stable_sort(seed, n, groups, values):
  rng = np.random.default_rng(seed)
  group, score = rng.integers(0, groups, n), rng.integers(0, values, n) / values
  order = temporal_pairs.ranked_by_group(group, score)
  np.testing.assert_array_equal(order, np.lexsort((-score, group)))


@pytest.mark.parametrize("block", [1, 7, 10_000])
def test_pairs_are_those_of_a_dense_matrix(block, monkeypatch):
  monkeypatch.setattr(temporal_pairs, "_BLOCK", block)
  rng = np.random.default_rng(0)
  owners, members = (random_segments(rng, n, scored=False) for n in (23, 40))
  first = rng.integers(0, 40, 23)
  count = rng.integers(0, 40 - first + 1)
  pairs = temporal_pairs.overlapping_pairs(
    Spans.of(owners), Spans.of(members), first, count, at_least=0.2
  )
  begin = np.maximum(owners.start[:, None], members.start)
  end = np.minimum(owners.end[:, None], members.end)
  shared = np.maximum(end - begin, 0)
  lengths = (owners.end - owners.start)[:, None] + members.end - members.start
  iou, row = shared / (lengths - shared), np.arange(40)
  near = (row >= first[:, None]) & (row < (first + count)[:, None]) & (iou >= 0.2)
  np.testing.assert_array_equal([pairs.owner, pairs.member], np.nonzero(near))
  np.testing.assert_allclose(pairs.iou, iou[near], rtol=1e-12)
  assert len(pairs.iou) > 20


def test_no_owners_have_no_pairs():
  nothing = Spans(np.zeros(0), np.zeros(0))
  rows = np.zeros(0, int)
  pairs = temporal_pairs.overlapping_pairs(nothing, nothing, rows, rows, at_least=0.5)
  assert all(len(field) == 0 for field in pairs)


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(0, 25), st.integers(1, 12), st.floats(0, 1))
def test_matching_in_turn_is_the_turns_played(seed, choosers, items, density):
  rng = np.random.default_rng(seed)
  wanted = [
    rng.permutation(items)[rng.random(items) < density] for _ in range(choosers)
  ]
  taken, expected, pair = set(), [], 0
  for wishes in wanted:
    free = [k for k, item in enumerate(wishes) if item not in taken]
    if free:
      taken.add(wishes[free[0]])
      expected.append(pair + free[0])
    pair += len(wishes)
  chooser = np.repeat(np.arange(choosers), [len(wishes) for wishes in wanted])
  item = np.concatenate([np.zeros(0, int), *wanted])
  matched = temporal_matching.matched_in_turn(chooser, item, items)
  np.testing.assert_array_equal(matched, expected)


def test_average_precision_by_hand():
  group, rank = np.array([0, 0, 2, 2]), np.array([2, 3, 1, 4])
  positives = np.array([2, 3, 4])
  plain = temporal_matching.average_precision(group, rank, positives, interpolate=False)
  np.testing.assert_allclose(plain, [(1 / 2 + 2 / 3) / 2, 0, (1 + 2 / 4) / 4])
  best = temporal_matching.average_precision(group, rank, positives, interpolate=True)
  np.testing.assert_allclose(best, [2 / 3, 0, (1 + 2 / 4) / 4])


def test_memory_is_that_of_the_rows():
  """4 million pairs would take 30 MB a column if all of them were ever listed."""
  rng = np.random.default_rng(0)
  truth = random_segments(rng, 1000, scored=False, videos=1, classes=1)
  found = random_segments(rng, 4000, scored=True, videos=1, classes=1)
  spread = [1000 * rng.random(len(part.video)) for part in (truth, found)]
  truth, found = (
    part._replace(start=part.start + shift, end=part.end + shift)
    for part, shift in zip((truth, found), spread, strict=True)
  )
  tracemalloc.start()
  temporal.average_recall(truth, found, [0.5])
  temporal.detection_average_precision(truth, found, [0.5])
  temporal.thumos_average_precision(truth, found, 0.5)
  peak = tracemalloc.get_traced_memory()[1]
  tracemalloc.stop()
  assert peak < 8e6
