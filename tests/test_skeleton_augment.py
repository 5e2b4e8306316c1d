"""Augmentation of skeletons: what changes, how far, and how often."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops import skeleton_augment as augment
from jaxvision.ops.graphs import NTU_NAMES

KEY = jax.random.key(0)
NTU_MIRROR = augment.mirror_order(NTU_NAMES)


def clip(seed=0, shape=(2, 6, 25, 3)):
  return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def test_mirror_of_names():
  assert augment.mirror_order(("left_a", "b", "right_a")) == (2, 1, 0)
  assert NTU_MIRROR[21:] == (23, 24, 21, 22) and NTU_MIRROR[4] == 8
  with pytest.raises(ValueError, match="left_a, b are no pairs"):
    augment.mirror_order(("left_a", "b"))


def many(fn, count=200):
  return np.asarray(jax.jit(jax.vmap(fn))(jax.random.split(KEY, count)))


def test_window_is_a_piece_and_every_place_is_possible():
  x = jnp.arange(7.0)[None, :, None, None] * jnp.ones((1, 1, 2, 3))
  found = many(lambda key: augment.random_choose(key, x, size=4))[:, 0, :, 0, 0]
  np.testing.assert_array_equal(np.diff(found), 1)
  assert set(found[:, 0]) == {0, 1, 2, 3}
  np.testing.assert_array_equal(augment.random_choose(KEY, x, size=7), x)
  longer = augment.random_choose(KEY, x, size=9)
  np.testing.assert_array_equal(longer[0, :, 0, 0], (*range(7), 0, 0))


def test_shift_moves_what_is_there():
  x = jnp.array([0, 0, 1.0, 0, 2, 0, 0])[None, :, None, None] * jnp.ones((2, 1, 3, 3))
  found = many(lambda key: augment.random_shift(key, x))[:, 1, :, 0, 0]
  places = (found == 1).argmax(1)
  assert set(places) == {0, 1, 2, 3, 4}
  for row, place in zip(found, places, strict=True):
    assert row[place + 2] == 2 and row.sum() == 3
  empty = jnp.zeros_like(x)
  np.testing.assert_array_equal(augment.random_shift(KEY, empty), empty)


def test_move_starts_and_ends_among_the_candidates():
  """Of one joint at (1, 0) and one at (0, 0.001), angle and scale can be read off."""
  x = jnp.zeros((1, 11, 3, 3)).at[0, :, 0, 0].set(1).at[0, :, 1, 1].set(1e-3)
  x = x.at[..., :2, 2].set(0.5)
  found = many(lambda key: augment.random_move(key, x))[:, 0]
  assert not found[:, :, 2].any()  # an empty joint
  np.testing.assert_array_equal(found[:, :, :2, 2], 0.5)
  along = found[:, :, 0, :2] - found[:, :, 1, :2]
  shift = found[:, :, 1, :2]
  scale = np.hypot(along[..., 0], along[..., 1])
  angle = np.degrees(np.arctan2(along[..., 1], along[..., 0]))
  for ends in ([0], [-1]):
    for value, known in (
      (scale, augment.SCALES),
      (angle, augment.ANGLES),
      (shift, augment.SHIFTS),
    ):
      distance = np.abs(value[:, ends][..., None] - np.array(known))
      assert distance.min(-1).max() < 0.15 if value is angle else 0.003
      assert set(distance.argmin(-1).ravel()) == set(range(len(known)))
  np.testing.assert_allclose(scale[:, 5], (scale[:, 0] + scale[:, -1]) / 2, atol=0.003)


def test_rotations_keep_shapes_and_bounds():
  x = clip(12)
  turn = augment.rotation_matrix(jnp.array([0.2, -0.1, 0.3]))
  np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-6)
  for axis, expected in enumerate([(0, 0, 1), (0, 0, -1), (0, 1, 0)]):
    unit = jnp.zeros(3).at[axis].set(jnp.pi / 2)
    start = jnp.zeros(3).at[(1, 0, 0)[axis]].set(1)
    found = augment.rotation_matrix(unit) @ start
    np.testing.assert_allclose(found, expected, atol=1e-6)
  y = jax.jit(lambda x: augment.random_rotation(KEY, x, angle=0.3))(x)
  a, b = (jnp.einsum("mtvi,mtwi->mtvw", v, v) for v in (x, y))
  np.testing.assert_allclose(a, b, atol=1e-4)
  assert jnp.abs(x - y).max() > 0.05
  np.testing.assert_array_equal(augment.random_rotation(KEY, x, angle=0.0), x)


def test_mirror_swaps_left_and_right():
  x = clip(13)
  y = augment.mirror_joints(x, NTU_MIRROR)
  np.testing.assert_array_equal(y[:, :, 8], x[:, :, 4] * jnp.array([-1, 1, 1]))
  np.testing.assert_array_equal(y[:, :, 3], x[:, :, 3] * jnp.array([-1, 1, 1]))
  np.testing.assert_array_equal(augment.mirror_joints(y, NTU_MIRROR), x)
  with pytest.raises(ValueError, match="no permutation of the 25"):
    augment.mirror_joints(x, range(18))


def test_flips_are_as_frequent_as_asked():
  x = clip(14, (1, 2, 25, 3))
  flip = lambda key: augment.random_flip(key, x, NTU_MIRROR, probability=0.25)
  found = many(flip, 1000)
  flipped = (found == np.asarray(augment.mirror_joints(x, NTU_MIRROR))).all(
    (1, 2, 3, 4)
  )
  same = (found == np.asarray(x)).all((1, 2, 3, 4))
  assert (flipped | same).all() and abs(flipped.mean() - 0.25) < 0.05


def test_all_together():
  x = clip(15, (4, 2, 12, 25, 3))
  np.testing.assert_array_equal(augment.augment(KEY, x, spec=augment.Augmentation()), x)
  spec = augment.Augmentation(window=8, shift=True, move=True, rotate=0.3, flip=0.5)
  run = jax.jit(lambda key: augment.augment(key, x, spec=spec, mirror=NTU_MIRROR))
  a, b = run(KEY), run(KEY)
  assert a.shape == (4, 2, 8, 25, 3) and jnp.isfinite(a).all()
  np.testing.assert_array_equal(a, b)
  assert (run(jax.random.key(1)) != a).any()
  same = jnp.broadcast_to(x[:1], x.shape)  # examples are augmented on their own
  turn = lambda x: augment.augment(KEY, x, spec=augment.Augmentation(rotate=0.3))
  y = jax.jit(turn)(same)
  assert jnp.abs(y[0] - y[1]).max() > 0.01
