"""Figures of a layer: its filters, and the correlation among its units."""

import jax.numpy as jnp
import numpy as np
import pictures
import pytest

from jaxvision.ops import statistics
from jaxvision.viz import correlation, filters


@pytest.fixture
def drawn(monkeypatch):
  return pictures.recorded(monkeypatch)


def test_filters_of_one_channel_share_a_scale_around_zero(tmp_path, drawn):
  weights = jnp.asarray(np.random.default_rng(0).normal(size=(6, 3, 4, 1)))
  path = filters.draw_filters(weights, tmp_path / "f.png", columns=3, count=5)
  pictures.assert_picture(path)
  axes, bar = drawn[0].axes
  (image,) = axes.images
  assert axes.get_title(loc="left") == "first 5 of 6 filters"
  assert bar.get_ylabel() == "weight"
  low, high = image.get_clim()
  assert -low == high == pytest.approx(float(np.abs(weights[:5]).max()))
  shown = np.ma.filled(image.get_array(), np.nan)
  assert shown.shape == (2 * 4 - 1, 3 * 5 - 1)
  np.testing.assert_allclose(shown[4:7, 5:9], weights[4, ..., 0])
  assert np.isnan(shown[:, 4]).all() and np.isnan(shown[4:, 10:]).all()


def test_filters_of_three_channels_are_stretched_one_by_one(tmp_path, drawn):
  weights = np.random.default_rng(0).normal(size=(2, 3, 3, 3)) * [[[[1]]], [[[50]]]]
  weights = np.concatenate([weights, np.full((1, 3, 3, 3), 7.0)])
  pictures.assert_picture(filters.draw_filters(weights, tmp_path / "f.png"))
  (axes,) = drawn[0].axes
  shown = axes.images[0].get_array()
  for k in (0, 1):
    tile = shown[:, 4 * k : 4 * k + 3]
    assert (tile.min(), tile.max()) == (0, 1)
    order = np.argsort(weights[k], axis=None)
    np.testing.assert_array_equal(np.argsort(tile, axis=None), order)
  np.testing.assert_array_equal(shown[:, 8:], 0.5)  # constant: no contrast
  assert axes.get_title(loc="left") == "3 filters"


def test_filters_of_zeros_and_of_one_weight(tmp_path):
  filters.draw_filters(np.zeros((1, 3, 3, 1)), tmp_path / "a.png")
  filters.draw_filters(np.ones((1, 1, 1, 1), np.float32), tmp_path / "b.png")
  assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
  "weights",
  [np.zeros((0, 3, 3, 1)), np.zeros((2, 3, 3, 2)), np.full((1, 2, 2, 1), np.nan)],
)
def test_filters_rejects(tmp_path, weights):
  with pytest.raises(ValueError):
    filters.draw_filters(weights, tmp_path / "f.png")


def activations(units, seed=0, dead=()):
  h = np.random.default_rng(seed).normal(size=(50, units)).astype(np.float32)
  h[:, list(dead)] = 1.0
  return jnp.asarray(h)


def correlated(units, dead=()):
  return statistics.correlation_matrix(activations(units, dead=dead))


def test_correlation_shows_live_units_and_their_pairs(tmp_path, drawn):
  corr, live = correlated(12, dead=(3, 7))
  path = correlation.draw_correlation(corr, live, tmp_path / "c.png", title="layer 1")
  pictures.assert_picture(path)
  left, right, _ = drawn[0].axes
  keep = np.flatnonzero(live)
  expected = np.asarray(corr)[np.ix_(keep, keep)]
  np.testing.assert_allclose(left.images[0].get_array(), expected)
  assert left.images[0].get_clim() == (-1, 1)
  assert left.get_title(loc="left") == "10 live units"
  assert drawn[0].get_suptitle() == "layer 1 (2 dead units)"
  heights, edges, _ = right.patches[0].get_data()
  assert np.sum(heights * np.diff(edges)) == pytest.approx(1)
  assert edges[0] <= expected.min() and edges[-1] < 1  # the diagonal is left out
  pairs = expected[~np.eye(10, dtype=bool)]
  assert right.get_title(loc="left") == f"mean |corr| {np.abs(pairs).mean():.3f}"


def test_correlation_crops_wide_layers_and_says_so(tmp_path, drawn):
  corr, live = correlated(230)
  correlation.draw_correlation(corr, live, tmp_path / "c.png")
  left, right, _ = drawn[0].axes
  assert left.images[0].get_array().shape == (200, 200)
  assert left.get_title(loc="left") == "first 200 of 230 live units"
  pairs = np.asarray(corr)[np.triu_indices(230, 1)]
  assert right.get_title(loc="left") == f"mean |corr| {np.abs(pairs).mean():.3f}"


def test_correlations_compares_layers_of_different_widths(tmp_path, drawn):
  few, more = activations(6), activations(9, seed=1, dead=(0,))
  layers = {
    "few": statistics.correlation_matrix(few),
    "more": statistics.correlation_matrix(more),
  }
  path = correlation.draw_correlations(layers, tmp_path / "c.png", title="arms")
  pictures.assert_picture(path)
  one, two = drawn[0].axes[0].patches
  np.testing.assert_array_equal(one.get_data().edges, two.get_data().edges)
  for steps in (one, two):
    heights, edges, _ = steps.get_data()
    assert np.sum(heights * np.diff(edges)) == pytest.approx(1)
  means = [statistics.detector_dependence(h)["mean_abs_corr"] for h in (few, more)]
  expected = [f"{k}\nmean |corr| {m:.3f}" for k, m in zip(layers, means, strict=True)]
  assert pictures.legend_of(drawn[0]) == expected


def test_correlation_of_dead_units_may_be_nan(tmp_path):
  corr, live = correlated(4, dead=(2,))
  corr = np.where(np.outer(live, live), corr, np.nan)
  pictures.assert_picture(correlation.draw_correlation(corr, live, tmp_path / "c.png"))


@pytest.mark.parametrize("live", [[False] * 3, [True, False, False]])
def test_correlation_without_pairs_is_rejected(tmp_path, live):
  live = np.array(live)
  with pytest.raises(ValueError, match="live units"):
    correlation.draw_correlation(np.eye(3), live, tmp_path / "c.png")
  with pytest.raises(ValueError, match="one has"):
    correlation.draw_correlations({"one": (np.eye(3), live)}, tmp_path / "c.png")


def test_correlation_rejects_nan_and_nothing(tmp_path):
  live = np.ones(3, bool)
  with pytest.raises(ValueError, match="NaN"):
    correlation.draw_correlation(np.full((3, 3), np.nan), live, tmp_path / "c.png")
  with pytest.raises(ValueError, match="empty"):
    correlation.draw_correlations({}, tmp_path / "c.png")
