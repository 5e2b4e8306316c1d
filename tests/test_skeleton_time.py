"""Crops and resizing of skeletons in time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops import skeleton_time

KEY = jax.random.key(0)


def ramp(frames, total=20):
  """Frame t of two persons holds t + 1, up to `frames`; then nothing."""
  t = np.arange(1, total + 1) * (np.arange(total) < frames)
  return jnp.asarray(np.broadcast_to(t[:, None, None], (2, total, 3, 3)), jnp.float32)


@jax.jit
def crops(x):
  keys = jax.random.split(KEY, 300)
  crop = lambda key: skeleton_time.random_crop(key, x, size=6)
  return jax.vmap(crop)(keys)[:, 1, :, 0, 0]


@pytest.mark.parametrize("frames", [0, 1, 7, 20])
def test_frames_are_counted(frames):
  assert skeleton_time.count_frames(ramp(frames)) == frames


@pytest.mark.parametrize("size, length", [(5, 10), (10, 4), (6, 6), (3, 7)])
def test_places_are_torchs(size, length):
  """Against numpy's interpolation at the centres of the frames."""
  x = jnp.asarray(np.random.default_rng(0).normal(size=(1, 12, 2, 3)), jnp.float32)
  found = skeleton_time.resize_frames(
    x, size=size, start=jnp.array(2), length=jnp.array(length)
  )
  places = (np.arange(size) + 0.5) * length / size - 0.5
  piece = np.asarray(x)[0, 2 : 2 + length]
  for v in range(2):
    for c in range(3):
      expected = np.interp(places, np.arange(length), piece[:, v, c])
      np.testing.assert_allclose(found[0, :, v, c], expected, atol=1e-5)


def test_random_crops_are_pieces_of_what_is_there():
  found = np.asarray(crops(ramp(16)))
  steps = np.diff(found, axis=1)
  np.testing.assert_allclose(
    steps, np.broadcast_to(steps[:, :1], steps.shape), atol=1e-4
  )
  lengths = steps[:, 0] * 6  # frames of the piece
  assert 8 - 0.01 <= lengths.min() < 9 and 14 < lengths.max() <= 16
  starts = found[:, 0] - (lengths / 6 - 1) / 2
  np.testing.assert_allclose(starts, starts.round(), atol=1e-3)
  assert starts.min() == pytest.approx(1, abs=1e-3)
  assert (starts + lengths - 1).max() == pytest.approx(16, abs=1e-3)


def test_short_clips_are_taken_whole():
  found = crops(ramp(4))
  places = ((np.arange(6) + 0.5) * 4 / 6 - 0.5).clip(0, 3)
  np.testing.assert_allclose(found, np.tile(1 + places, (300, 1)), atol=1e-5)


def test_nobody_stays_nobody():
  np.testing.assert_array_equal(crops(ramp(0)), 0)
  np.testing.assert_array_equal(skeleton_time.center_crop(ramp(0), size=4), 0)


def test_center_crop():
  """Of 20 frames and a share of 0.8, two are left out at each end."""
  found = skeleton_time.center_crop(ramp(20), size=16, share=0.8)
  np.testing.assert_allclose(found[0, :, 0, 0], np.arange(3, 19), atol=1e-5)
