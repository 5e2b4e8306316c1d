"""N-S score and Holidays' mAP against plain loops and closed forms."""

import inspect

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxvision.metrics import retrieval

seeds = st.integers(0, 2**31)
ONE = np.zeros(1, int)


def test_instance_metrics_are_those_of_plain_loops(golden):
  arrays = golden("retrieval")
  x = arrays["holidays/descriptor"]
  distances = retrieval.pairwise_distances(x, x)
  found = retrieval.holidays_map(distances, arrays["holidays/number"])
  assert found == pytest.approx(float(arrays["holidays/map"]), abs=1e-12)
  x = arrays["ukbench/descriptor"]
  distances = retrieval.pairwise_distances(x, x, kind="cosine")
  found = retrieval.ns_score(jnp.asarray(distances), jnp.arange(len(x)) // 4)
  assert found == pytest.approx(float(arrays["ukbench/ns_score"]), abs=1e-12)


def test_trapezoid_is_the_one_by_hand(golden):
  arrays = golden("retrieval")
  known = zip(
    arrays["trapezoid/ranks"], arrays["trapezoid/n_positive"], arrays["trapezoid/ap"],
    strict=True,
  )  # fmt: skip
  for ranks, positives, ap in known:
    for order in (ranks, ranks[::-1]):
      found = retrieval.average_precision_trapezoid(order, int(positives))
      assert found == pytest.approx(float(ap), abs=1e-12)


@pytest.mark.parametrize(
  "ranks, positives, ap",
  [([0], 1, 1.0), ([1], 1, 0.25), ([0, 2], 2, 0.7916666667), ([], 3, 0.0)],
)
def test_trapezoid_closed_forms(ranks, positives, ap):
  ranks = np.array(ranks, int)
  found = retrieval.average_precision_trapezoid(ranks, positives)
  assert found == pytest.approx(ap, abs=1e-9)


def test_ns_score_limits():
  group = np.arange(40) // 4
  for order in (group, np.random.default_rng(0).permutation(group)):
    x = np.eye(10)[order]
    assert retrieval.ns_score(retrieval.pairwise_distances(x, x), order) == 4
  # Orthogonal descriptors: only the image itself is sure to be among the four.
  noise = np.random.default_rng(1).random((40, 40)) + 1 - np.eye(40)
  assert 1 <= retrieval.ns_score(noise, group) < 1.5


def plain_holidays(distances, number):
  found = []
  for query in np.flatnonzero(number % 100 == 0):
    order = [i for i in np.argsort(distances[query], kind="stable") if i != query]
    right = [i for i, j in enumerate(order) if number[j] // 100 == number[query] // 100]
    found.append(
      retrieval.average_precision_trapezoid(np.array(right, int), len(right))
    )
  return np.mean(found)


@pytest.mark.parametrize("grid", [None, 4], ids=["distinct", "tied"])
@settings(max_examples=30, deadline=None)
@given(seeds)
def test_holidays_is_what_the_loop_says(grid, seed):
  rng = np.random.default_rng(seed)
  number = np.concatenate(
    [100_000 + 100 * k + np.arange(rng.integers(2, 6)) for k in range(6)]
  )
  number = rng.permutation(number)
  distances = rng.random((len(number),) * 2)
  if grid:
    distances = np.floor(distances * grid)
  found = retrieval.holidays_map(distances, number)
  assert found == pytest.approx(plain_holidays(distances, number), abs=1e-12)
  np.fill_diagonal(distances, 9)  # wherever a query finds itself, it is removed
  assert retrieval.holidays_map(distances, number) == pytest.approx(
    plain_holidays(distances, number), abs=1e-12
  )


def test_rejects():
  with pytest.raises(ValueError, match="multiple of 100"):
    retrieval.holidays_map(np.zeros((1, 1)), ONE + 1)
  with pytest.raises(ValueError, match="query 200 has no positive"):
    retrieval.holidays_map(np.zeros((3, 3)), np.array([100, 101, 200]))
  with pytest.raises(ValueError, match="1 positives cannot have 2 ranks"):
    retrieval.average_precision_trapezoid(np.array([0, 1]), 1)
  with pytest.raises(ValueError, match="NaN"):
    retrieval.ns_score(np.full((1, 1), np.nan), ONE)


@pytest.mark.parametrize("name", ["ns_score", "holidays_map"])
def test_sizes_that_do_not_match_are_named(name):
  function = inspect.unwrap(getattr(retrieval, name))  # as users have it: unchecked
  for size, labels in ((2, ONE), (0, ONE[:0])):
    with pytest.raises(ValueError, match="; give those"):
      function(np.zeros((size, size)), labels)
