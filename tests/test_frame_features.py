"""The network that makes features of frames: trained, standardised, cut off."""

import numpy as np
import pytest

from jaxvision.data.frame_features import (
  Garments,
  extract,
  random_frames,
  train_backbone,
)

NOTHING = 2


def shapes(seed, count=40):
  """Class 0 is a bright square, class 1 a thin bar."""
  label = (np.arange(count) % 2).astype(np.int32)
  images = np.zeros((count, 28, 28), np.uint8)
  images[::2, 4:24, 4:24] = 220
  images[1::2, 2:26, 12:16] = 220
  return Garments(images, label)


def train(**changes):
  options = {"classes": 2, "width": 6, "steps": 40, "noise": 0.05, **changes}
  return train_backbone(shapes(0), shapes(1), **options)


@pytest.fixture(scope="module")
def backbone():
  return train()


def frames_of(count=200):
  rng = np.random.default_rng(7)
  return random_frames(rng, shapes(0), count, nothing=NOTHING, noise=0.05)


def test_frames_are_of_garments_or_of_nothing():
  frames, label = frames_of(1000)
  assert frames.shape == (1000, 28, 28, 1) and frames.dtype == np.float32
  assert np.mean(label == NOTHING) == pytest.approx(0.3, abs=0.05)
  assert np.mean(label == 0) == pytest.approx(0.35, abs=0.05)
  assert frames[label == NOTHING].max() < 0.6
  assert np.mean(frames[label == 0].max((1, 2, 3)) > 0.7) > 0.9


def test_it_learns(backbone):
  assert backbone.accuracy > 0.7  # 0.35 by chance


def test_features_are_standardised_activations(backbone):
  frames, _ = frames_of(600)
  features = np.asarray(extract(backbone, frames))
  assert features.shape == (600, 6) and np.isfinite(features).all()
  alive = features.std(0) > 0
  assert alive.sum() >= 3
  np.testing.assert_allclose(features[:, alive].mean(0), 0, atol=0.25)
  np.testing.assert_allclose(features[:, alive].std(0), 1, atol=0.35)
  least = -np.asarray(backbone.mean / backbone.deviation)
  assert (features >= least - 1e-4).all()  # behind a ReLU


def test_it_is_a_function_of_the_seed():
  first, same, other = train(steps=2), train(steps=2), train(steps=2, seed=1)
  frames, _ = frames_of(4)
  np.testing.assert_array_equal(extract(first, frames), extract(same, frames))
  assert np.abs(extract(first, frames) - extract(other, frames)).max() > 1e-3
