"""Resizing features in time, and windows over videos with their segments."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxvision.data.features import resize_features, sliding_windows
from jaxvision.errors import UserError

X = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
MODES = ("linear", "bin_mean")


def at(x, times):
  """Features at times in steps, where step k is at k + 1/2."""
  middle = np.arange(len(x)) + 0.5
  return np.stack([np.interp(times, middle, column) for column in x.T], -1)


@pytest.mark.parametrize("length", [1, 3, 7, 20])
def test_linear_is_half_pixel_interpolation(length):
  times = (np.arange(length) + 0.5) * 7 / length
  np.testing.assert_allclose(resize_features(X, length), at(X, times), atol=1e-6)


@pytest.mark.parametrize("length", [1, 3, 7, 20])
def test_bin_mean_is_the_mean_of_three_points_of_the_cut_bin(length):
  expected = []
  for i in range(length):
    low, high = np.clip([i * 7 / length, (i + 1) * 7 / length], 0.5, 6.5)
    expected.append(at(X, np.array([low, (low + high) / 2, high])).mean(0))
  got = resize_features(X, length, mode="bin_mean")
  np.testing.assert_allclose(got, expected, atol=1e-6)


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=30)
@given(t=st.integers(1, 9), length=st.integers(1, 30))
def test_resize_properties(mode, t, length):
  x = np.random.default_rng(t).normal(size=(t, 2)).astype(np.float32)
  y = resize_features(x, length, mode=mode)
  assert y.shape == (length, 2) and y.dtype == np.float32
  assert (y >= x.min(0) - 1e-6).all() and (y <= x.max(0) + 1e-6).all()
  turned = resize_features(x[::-1], length, mode=mode)[::-1]
  np.testing.assert_allclose(turned, y, atol=1e-5)
  constant = resize_features(np.full((t, 1), 3.0, np.float32), length, mode=mode)
  np.testing.assert_allclose(constant, 3, rtol=1e-6)


def test_resize_to_the_same_length_is_the_identity_when_linear():
  np.testing.assert_array_equal(resize_features(X, 7), X)
  ramp = np.arange(100, dtype=np.float32)[:, None]
  np.testing.assert_allclose(
    resize_features(ramp, 10, mode="bin_mean")[1:-1, 0], np.arange(15, 90, 10) - 0.5
  )
  for x, length in ((X, 0), (X[:0], 3)):
    with pytest.raises(ValueError, match="cannot resize"):
      resize_features(x, length)


def starts(*args, **options):
  return [w.start for w in sliding_windows(*args, **options)]


def test_window_starts():
  assert starts(10, size=4, stride=3) == [0, 3, 6]
  assert starts(11, size=4, stride=3) == [0, 3, 6, 7]
  assert starts(4, size=4, stride=3) == [0]
  assert starts(3, size=4, stride=3) == [0]
  assert starts(10.5, size=4, stride=2.5) == [0, 2.5, 5, 6.5]


def test_windows_keep_what_is_mostly_inside():
  segments = np.array([[1, 3], [0, 10], [9.5, 19.5], [10, 12], [5, 5]], float)
  first, second = sliding_windows(20, size=10, stride=10, segments=segments)
  assert (first.start, first.end, second.end) == (0, 10, 20)
  assert first.index.tolist() == [0, 1] and second.index.tolist() == [2, 3]
  assert first.segments.tolist() == [[1, 3], [0, 10]]
  assert second.segments.tolist() == [[0, 9.5], [0, 2]]
  kept = [
    w.index.tolist()
    for w in sliding_windows(20, size=10, stride=10, segments=segments, keep=0.05)
  ]
  assert kept == [[0, 1, 2], [2, 3]]
  assert sliding_windows(20, size=10, stride=10)[0].segments.shape == (0, 2)


def test_exactly_the_share_is_kept():
  segments = np.array([[0.1, 1.1]])  # 0.9 of it up to 1.0, if numbers were exact
  [first, *_] = sliding_windows(3, size=1, stride=1, segments=segments, keep=0.9)
  assert first.index.tolist() == [0]


@settings(max_examples=50)
@given(
  length=st.floats(0.5, 200), size=st.integers(1, 50), share=st.floats(0.1, 1),
)  # fmt: skip
def test_windows_cover_the_video(length, size, share):
  windows = sliding_windows(length, size=size, stride=size * share)
  assert windows[0].start == 0 and windows[-1].end >= length
  gaps = np.diff([w.start for w in windows])
  assert (gaps > 0).all() and (gaps <= size * share + 1e-9).all()
  if length >= size:
    assert all(w.end <= length + 1e-9 for w in windows)


@pytest.mark.parametrize(
  ("options", "expected"),
  [
    ({"size": 0}, "size=0"),
    ({"stride": -1}, "stride=-1"),
    ({"length": 0}, "length=0"),
    ({"length": float("nan")}, "length=nan"),
    ({"keep": 0.0}, "keep=0.0"),
    ({"keep": 1.5}, "keep=1.5"),
  ],
)
def test_window_mistakes(options, expected):
  arguments = {"length": 10, "size": 4, "stride": 2} | options
  with pytest.raises(UserError, match=expected):
    sliding_windows(arguments.pop("length"), **arguments)
