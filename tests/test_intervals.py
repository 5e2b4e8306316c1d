"""Intervals against SciPy's own tests."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from jaxvision.metrics import intervals

values = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=12).filter(
  lambda x: np.ptp(x) > 1e-3
)


@settings(max_examples=60, deadline=None)
@given(values)
def test_the_interval_of_a_mean_is_that_of_the_t_test(x):
  found = intervals.summary(x)
  test = stats.ttest_1samp(x, 0.0).confidence_interval(0.95)
  np.testing.assert_allclose(found["mean"], np.mean(x), rtol=1e-9, atol=1e-9)
  np.testing.assert_allclose(found["sd"], np.std(x, ddof=1), rtol=1e-9)
  low, high = found["mean"] - found["ci95"], found["mean"] + found["ci95"]
  np.testing.assert_allclose((low, high), test, rtol=1e-7, atol=1e-7)
  assert found["values"] == x


@settings(max_examples=60, deadline=None)
@given(values, st.integers(0, 2**31))
def test_paired_differences_are_those_of_the_related_t_test(a, seed):
  b = [float(v) for v in np.random.default_rng(seed).normal(size=len(a))]
  found = intervals.paired_difference(a, b)
  test = stats.ttest_rel(a, b).confidence_interval(0.95)
  np.testing.assert_allclose((found.low, found.high), test, rtol=1e-7, atol=1e-7)
  np.testing.assert_allclose(found.mean, np.mean(a) - np.mean(b), rtol=1e-6, atol=1e-9)
  assert found.values == tuple(x - y for x, y in zip(a, b, strict=True))


def test_pairing_removes_what_pairs_share():
  seeds = [10.0, 20.0, 30.0]
  found = intervals.paired_difference([s + 1 for s in seeds], seeds)
  assert (found.mean, found.low, found.high) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("n", [2, 5, 30])
def test_other_levels(level, n):
  expected = stats.t.interval(level, n - 1, scale=2.0 / np.sqrt(n))[1]
  np.testing.assert_allclose(intervals.half_width(2.0, n, level=level), expected)


def test_one_value_has_no_interval():
  found = intervals.summary([3])
  assert found == {"mean": 3.0, "sd": 0.0, "ci95": 0.0, "values": [3.0]}
  assert intervals.half_width(1.0, 1) == 0.0


@pytest.mark.parametrize("a, b", [([1.0, 2.0], [1.0]), ([1.0], [2.0]), ([], [])])
def test_pairs_must_match_and_be_two_or_more(a, b):
  sentence = f"two or more pairs; got {len(a)} and {len(b)} values"
  with pytest.raises(ValueError, match=sentence):
    intervals.paired_difference(a, b)
