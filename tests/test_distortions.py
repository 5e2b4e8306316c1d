"""Distorted variants of image sets."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops import distortions
from jaxvision.ops.distortions import (
  TASKS,
  Distortion,
  distort,
  distort_rows,
  find_distortion,
  place_still,
  sample_pose,
)
from jaxvision.ops.warp import affine_warp

KEY = jax.random.key(0)
jit_distort = jax.jit(distort, static_argnums=2)
IDENTITY = find_distortion("unseen_pose/identity")
NAMES = [f"{task}/{name}" for task in TASKS for name in TASKS[task]]


@pytest.fixture(scope="module")
def objects():
  """Images of 28 x 28 pixels with a blob off the centre."""
  y, x = jnp.mgrid[:28, :28]
  blob = jnp.exp(-((y - 11.0) ** 2 + (x - 15.0) ** 2) / 18.0)
  return jnp.tile(blob[None, :, :, None], (6, 1, 1, 1))


def poses(name, count=3000, size=(28, 28)):
  """Angle, scale and (down, right) of draws."""
  draw = lambda key: sample_pose(key, find_distortion(name), size)
  matrix = jax.jit(jax.vmap(draw))(jax.random.split(KEY, count))
  matrix = np.asarray(matrix, np.float64)
  angle = np.rad2deg(np.arctan2(matrix[:, 0, 1], matrix[:, 0, 0]))
  return angle, np.sqrt(np.linalg.det(matrix)), *matrix[:, 2, :2].T


def assert_spans(values, low, high):
  np.testing.assert_allclose(
    [values.min(), values.max()], [low, high], atol=max(0.01 * (high - low), 1e-5)
  )


@pytest.mark.parametrize(
  ("name", "angle", "scale", "shift"),
  [
    ("unseen_pose/identity", 0, (20 / 28, 20 / 28), 0),
    ("unseen_pose/translated", 0, (20 / 28, 20 / 28), 6),
    ("unseen_pose/rotated", 90, (20 / 28, 20 / 28), 0),
    ("unseen_pose/scaled", 0, (0.7 * 20 / 28, 1.3 * 20 / 28), 0),
    ("unseen_pose/rst", 90, (0.7 * 20 / 28, 1.3 * 20 / 28), 6),
    ("spatial_transformer/translated", 0, (1, 1), 7),
    ("spatial_transformer/rotated", 90, (1, 1), 0),
    ("spatial_transformer/scaled", 0, (0.7, 1.2), 0),
    ("mnist_rot/mnist_rot", 180, (1, 1), 0),
  ],
)
def test_variants_span_their_ranges(name, angle, scale, shift):
  found = poses(name)
  assert_spans(found[0], -angle, angle)
  assert_spans(found[1], *scale)
  for displacement in found[2:]:
    assert_spans(displacement, -shift, shift)


def test_anywhere_keeps_the_image_on_the_canvas():
  angle, scale, down, right = poses("spatial_transformer/rts")
  assert_spans(angle, -45, 45)
  assert_spans(scale, 0.7, 1.2)
  room = (42 - 28 * scale) / 2
  for displacement in (down, right):
    assert_spans(displacement / room, -1, 1)


def test_quadrants_are_centred_and_jittered():
  _, scale, down, right = poses("unseen_quadrant/top_left")
  np.testing.assert_allclose(scale, 0.5, rtol=1e-6)
  assert_spans(down, -9.5, -6.5)
  assert_spans(right, -9.5, -6.5)
  _, _, down, right = poses("unseen_quadrant/unseen")
  nearest = np.stack([np.sign(down), np.sign(right)], 1)
  places, counts = np.unique(nearest, axis=0, return_counts=True)
  np.testing.assert_array_equal(places, [[-1, 1], [1, -1], [1, 1]])
  np.testing.assert_allclose(counts / len(down), 1 / 3, atol=0.04)
  assert_spans(np.abs(down), 6.5, 9.5)


@pytest.mark.parametrize("task", TASKS)
def test_variants_of_a_task_share_a_canvas(task):
  assert len({variant.canvas for variant in TASKS[task].values()}) == 1


def test_the_pose_without_change_is_the_image(objects):
  full = find_distortion("mnist_rot/identity")
  chex.assert_trees_all_close(jit_distort(KEY, objects, full), objects, atol=1e-6)
  padded = jnp.pad(objects, ((0, 0), (7, 7), (7, 7), (0, 0)))
  wide = find_distortion("spatial_transformer/identity")
  chex.assert_trees_all_close(jit_distort(KEY, objects, wide), padded, atol=1e-6)


def test_the_object_shrinks_about_the_centre_of_its_canvas(objects):
  y = jit_distort(KEY, objects, IDENTITY)
  padded = jnp.pad(objects, ((0, 0), (2, 2), (2, 2), (0, 0)))
  expected = affine_warp(padded, scale=20 / 28)
  assert y.shape == (6, 32, 32, 1)
  chex.assert_trees_all_close(y, expected, atol=2e-3)  # the blob is 0 at the rim


@pytest.mark.parametrize("size", [(8, 8), (40, 30)])
def test_images_of_any_size_fill_the_same_object(size):
  image = jnp.ones((1, *size, 1))
  y = jit_distort(KEY, image, IDENTITY)
  assert y.shape == (1, 32, 32, 1)
  expected = 20 * 20 * min(size) / max(size)
  np.testing.assert_allclose(y.sum(), expected, rtol=0.1)


def center(y):
  """Mean (row, column) of each image's mass."""
  mass = y[..., 0] / y[..., 0].sum((1, 2), keepdims=True)
  axis = jnp.arange(y.shape[1])
  return jnp.stack([mass.sum(2) @ axis, mass.sum(1) @ axis], -1)


def test_images_land_where_their_pose_says(objects):
  distortion = find_distortion("unseen_quadrant/top_left")
  y = jit_distort(KEY, objects, distortion)
  keys = jax.random.split(KEY, len(objects))
  draw = lambda key: sample_pose(key, distortion, (28, 28))
  matrix = jax.jit(jax.vmap(draw))(keys)
  point = jnp.array([11.0 - 13.5, 15.0 - 13.5, 1.0])  # the blob's centre
  expected = (point @ matrix)[:, :2] + 15.5
  chex.assert_trees_all_close(center(y), expected, atol=0.05)


def test_an_example_has_its_pose_in_any_batch(objects):
  rst = find_distortion("unseen_pose/rst")
  run = jax.jit(functools.partial(distort_rows, distortion=rst))
  index = jnp.arange(6)
  whole = run(3, index, objects)
  order = jnp.array([4, 1, 5])
  part = run(3, order, objects[order])
  chex.assert_trees_all_close(part, whole[order], atol=1e-5)
  assert not jnp.allclose(whole[0], whole[1])
  assert not jnp.allclose(run(4, index, objects), whole)


def test_training_poses_are_fresh(objects):
  rst = find_distortion("unseen_pose/rst")
  y = jit_distort(KEY, objects, rst)
  chex.assert_trees_all_equal(jit_distort(KEY, objects, rst), y)
  chex.assert_trees_all_close(distort(KEY, objects, rst), y, atol=1e-5)
  assert not jnp.allclose(y[0], y[1])
  assert not jnp.allclose(jit_distort(jax.random.key(1), objects, rst), y)


@pytest.mark.parametrize("name", NAMES)
def test_every_variant_keeps_the_object_in_sight(objects, name):
  distortion = find_distortion(name)
  y = jit_distort(KEY, objects, distortion)
  assert y.shape == (6, distortion.canvas, distortion.canvas, 1)
  assert y.max((1, 2, 3)).min() > 0.7


@pytest.mark.parametrize(
  ("settings", "named"),
  [
    ({"canvas": 0}, "canvas is 0"),
    ({"angle": (10, -10)}, "angle"),
    ({"scale": (0, 1)}, "scale"),
    ({"jitter": -1}, "jitter"),
    ({"places": ("left",)}, "'left'.*center, anywhere"),
    ({"places": ()}, "places"),
    ({"places": ("center", "top_left")}, "places"),
  ],
)
def test_a_bad_distortion_is_refused(settings, named):
  with pytest.raises(ValueError, match=named):
    Distortion(**{"canvas": 8, "object_size": 4} | settings)


@pytest.mark.parametrize("name", ["rst", "unseen_pose/blur", "else/identity", ""])
def test_an_unknown_name_lists_the_known(name):
  with pytest.raises(ValueError, match=f"{name}.*unseen_pose/rst"):
    find_distortion(name)


def test_all_quadrants_are_known():
  assert set(TASKS["unseen_quadrant"]["unseen"].places) | {"top_left"} == set(
    distortions.QUADRANTS
  )


@pytest.mark.parametrize("name", ["rst", "translated", "identity"])
def test_a_still_image_is_upright_in_its_own_size(name):
  ramp = jnp.broadcast_to(jnp.arange(1.0, 29.0)[:, None], (2, 28, 28, 1))
  found = jax.jit(place_still, static_argnums=1)(
    ramp, find_distortion(f"unseen_pose/{name}")
  )
  columns = (np.arange(32) - 15.5) * 28 / 20 + 14.5
  expected = np.where((columns > 0) & (columns < 29), columns, 0.0)
  np.testing.assert_allclose(found[:, 16, :, 0], np.stack([expected] * 2), rtol=1e-5)


def test_a_still_image_stands_at_the_first_place_and_is_not_random(objects):
  unseen = find_distortion("unseen_quadrant/unseen")
  put = lambda x: place_still(x, unseen)
  there = np.asarray(jax.jit(put)(objects)).sum((0, 3)) > 0
  rows, columns = np.nonzero(there)
  assert rows.max() < unseen.canvas / 2 <= columns.min()  # top right
  assert "random" not in str(jax.make_jaxpr(put)(objects))
