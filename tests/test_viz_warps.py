"""Figures of warps, and of accuracies under them."""

import math

import jax.numpy as jnp
import numpy as np
import pictures
import pytest

from jaxvision.ops.warp import affine_warp
from jaxvision.viz import robustness, warps


@pytest.fixture
def drawn(monkeypatch):
  return pictures.recorded(monkeypatch)


def images(shape, seed=0):
  return np.random.default_rng(seed).random(shape).astype(np.float32)


def test_warps_are_below_their_inputs_on_one_scale(tmp_path, drawn):
  before = jnp.asarray(images((3, 8, 8, 1))) * 5 + 1
  after = affine_warp(before, angle=30.0)
  path = warps.draw_warps(
    before, after, tmp_path / "w.png", names=["$a", "b", "c"], title="stage 1"
  )
  pictures.assert_picture(path)
  shown = [axes.images[0] for axes in drawn[0].axes]
  assert len(shown) == 6
  np.testing.assert_allclose(shown[1].get_array(), before[1, ..., 0])
  np.testing.assert_allclose(shown[4].get_array(), after[1, ..., 0])
  assert {image.get_clim() for image in shown} == {(0.0, float(before.max()))}
  titles = [axes.get_title(loc="left") for axes in drawn[0].axes]
  assert titles == ["$a", "b", "c", "", "", ""]
  labels = [axes.get_ylabel() for axes in drawn[0].axes]
  assert labels == ["before", "", "", "after", "", ""]
  assert drawn[0].get_suptitle() == "stage 1"


def test_warps_of_colour_images_of_another_size(tmp_path, drawn):
  before, after = images((10, 6, 6, 3)), images((10, 8, 9, 3)) * 2
  warps.draw_warps(before, after, tmp_path / "w.png", count=2)
  assert drawn[0].get_suptitle() == "first 2 of 10"
  assert len(drawn[0].axes) == 4
  assert drawn[0].axes[2].images[0].get_array().shape == (8, 9, 3)
  assert drawn[0].axes[2].images[0].get_array().max() == 1


def test_warps_of_zeros(tmp_path):
  zeros = np.zeros((1, 4, 4, 1), np.float32)
  warps.draw_warps(zeros, zeros, tmp_path / "w.png")
  assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
  ("before", "after", "names"),
  [
    (np.zeros((0, 4, 4, 1)), np.zeros((0, 4, 4, 1)), ()),
    (np.zeros((2, 4, 4, 1)), np.zeros((1, 4, 4, 1)), ()),
    (np.zeros((1, 4, 4, 2)), np.zeros((1, 4, 4, 2)), ()),
    (np.zeros((1, 4, 4, 1)), np.full((1, 4, 4, 1), np.nan), ()),
    (np.zeros((1, 4, 4, 1)), np.zeros((1, 4, 4, 1)), ("a", "b")),
  ],
)
def test_warps_rejects(tmp_path, before, after, names):
  with pytest.raises(ValueError):
    warps.draw_warps(before, after, tmp_path / "w.png", names=names)


def test_accuracy_curves_are_percentages(tmp_path, drawn):
  x = [-90, 0, 90]
  curves = {"plain": [0.2, 0.9, 0.25], "warped": jnp.array([[0.5, 0.8, 0.5]])}
  path = robustness.draw_accuracy_curves(
    curves, x, tmp_path / "a.png", xlabel="rotation (degrees)", title="t"
  )
  pictures.assert_picture(path)
  (axes,) = drawn[0].axes
  np.testing.assert_allclose(axes.lines[0].get_xydata(), [(-90, 20), (0, 90), (90, 25)])
  np.testing.assert_allclose(axes.lines[1].get_ydata(), [50, 80, 50])
  assert axes.get_ylim()[0] == 0 and axes.get_ylim()[1] >= 100
  assert (axes.get_xlabel(), axes.get_ylabel()) == (
    "rotation (degrees)",
    "accuracy (%)",
  )
  assert pictures.legend_of(drawn[0]) == ["plain", "warped"]
  assert not axes.collections


def test_accuracy_curves_of_seeds_have_a_band_around_the_mean(tmp_path, drawn):
  curves = {"a": np.array([[0.2, 0.4], [0.4, 0.8], [0.3, 0.9]])}
  robustness.draw_accuracy_curves(
    curves, [0, 1], tmp_path / "a.png", xlabel="shift (pixels)", trained=(0, 0.5)
  )
  (axes,) = drawn[0].axes
  np.testing.assert_allclose(axes.lines[0].get_ydata(), [30, 70])
  (band,) = axes.collections
  corners = band.get_paths()[0].vertices
  np.testing.assert_allclose([corners[:, 1].min(), corners[:, 1].max()], [20, 90])
  assert pictures.legend_of(drawn[0]) == ["in training", "a"]


def test_many_accuracy_curves_all_look_different(tmp_path, drawn):
  curves = {f"model {k}": [0.1, k / 12] for k in range(12)}
  robustness.draw_accuracy_curves(curves, [0, 1], tmp_path / "a.png", xlabel="x")
  lines = drawn[0].axes[0].lines
  assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == 12


@pytest.mark.parametrize(
  "curves",
  [
    {},
    {"a": []},
    {"a": [0.5]},
    {"a": [0.5, math.nan]},
    {"a": [50.0, 60.0]},
    {"a": [0.5, -0.1]},
  ],
)
def test_accuracy_curves_rejects(tmp_path, curves):
  with pytest.raises(ValueError):
    robustness.draw_accuracy_curves(curves, [0, 1], tmp_path / "a.png", xlabel="x")
  assert list(tmp_path.iterdir()) == []
