"""Augmented images: every draw is a piece of what was there; config.data.augment."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from configs import continuous_dropout, iekd, quantization_networks
from jaxvision.data import images
from jaxvision.errors import UserError
from jaxvision.methods.common import views
from jaxvision.ops import augmentation as aug
from jaxvision.ops.augmentation import Augmentation

KEY = jax.random.key(0)
MANY = 200
# A pixel tells where it came from.
RAMP = np.arange(30, dtype=np.uint8).reshape(1, 5, 6, 1)
X = jnp.asarray(np.tile(RAMP, (MANY, 1, 1, 1)))


@pytest.mark.parametrize("mode", ["reflect", "constant", "edge"])
def test_random_crops_are_windows_of_the_padded_image(mode):
  found = np.asarray(jax.jit(lambda k: aug.random_crop(k, X, pad=2, mode=mode))(KEY))
  assert found.dtype == np.uint8 and found.shape == X.shape
  wide = np.pad(RAMP[0], ((2, 2), (2, 2), (0, 0)), mode=mode)
  windows = {
    wide[i : i + 5, j : j + 6].tobytes(): (i, j) for i in range(5) for j in range(5)
  }
  seen = {windows[image.tobytes()] for image in found}
  assert len(seen) == 25  # all of them, in 200 draws
  np.testing.assert_array_equal(aug.random_crop(KEY, X), X)


def test_a_smaller_window_reaches_all_sides():
  found = np.asarray(jax.jit(lambda k: aug.random_crop(k, X, size=4))(KEY))
  assert found.shape == (MANY, 4, 4, 1)
  assert set(found[:, 0, 0, 0].tolist()) == {0, 1, 2, 6, 7, 8}
  middle = aug.center_crop(X, 4)
  np.testing.assert_array_equal(middle[0], RAMP[0, 0:4, 1:5])
  for crop in (lambda: aug.random_crop(KEY, X, size=9), lambda: aug.center_crop(X, 6)):
    with pytest.raises(ValueError, match="5x6 images"):
      crop()


def test_half_of_the_images_are_mirrored():
  found = np.asarray(jax.jit(aug.random_flip)(KEY, X))
  flipped = (found == RAMP[:, :, ::-1]).all((1, 2, 3))
  assert ((found == RAMP).all((1, 2, 3)) != flipped).all()
  assert 0.4 < flipped.mean() < 0.6


def test_random_windows_stay_inside_and_have_the_area():
  y, x = np.mgrid[0:24, 0:30].astype(np.float32)
  image = jnp.asarray(np.tile(np.stack([y, x], -1), (MANY, 1, 1, 1)))
  run = jax.jit(lambda k: aug.random_window(k, image, size=(8, 10), area=(0.2, 0.6)))
  found = np.asarray(run(KEY))
  assert found.shape == (MANY, 8, 10, 2)
  # Linear in the place, so the window's sides are read off the middle of the picture.
  height = 8 * (found[:, 5, 5, 0] - found[:, 2, 5, 0]) / 3
  width = 10 * (found[:, 4, 6, 1] - found[:, 4, 3, 1]) / 3
  share = height * width / (24 * 30)
  assert share.min() > 0.15 and 0.5 < share.max() < 0.61
  assert (width / height).std() > 0.1
  assert found.min() >= 0 and (found.max((0, 1, 2)) <= (23, 29)).all()


def test_rotations_keep_the_middle_and_are_bounded():
  blob = np.zeros((MANY, 15, 15, 1), np.float32)
  blob[:, 7, 7], blob[:, 7, 12] = 1.0, 1.0
  turn = lambda k: aug.random_rotation(k, jnp.asarray(blob), degrees=30.0)
  found = np.asarray(jax.jit(turn)(KEY))
  np.testing.assert_allclose(found[:, 7, 7], 1.0, atol=1e-5)
  y, x = np.mgrid[0:15, 0:15] - 7.0
  mass = found[..., 0] * (np.hypot(y, x) > 3)
  angle = np.degrees(np.arctan2((mass * y).sum((1, 2)), (mass * x).sum((1, 2))))
  assert 25 < np.abs(angle).max() < 31 and abs(angle.mean()) < 4


SPEC = Augmentation(pad=2, crop=4, flip=True)


def test_augment_is_a_function_of_the_key():
  run = jax.jit(lambda k: aug.augment(k, X, SPEC))
  np.testing.assert_array_equal(run(KEY), run(KEY))
  assert not np.array_equal(run(KEY), run(jax.random.key(1)))
  np.testing.assert_array_equal(aug.augment(KEY, X, Augmentation()), X)


def config(**changes):
  made = ConfigDict({"data": images.DEFAULTS})
  made.update_from_flattened_dict({f"data.{k}": v for k, v in changes.items()})
  return made


def test_training_is_augmented_and_evaluation_sees_the_middle():
  made = config(**{"augment.pad": 1, "augment.crop": 4, "augment.flip": True})
  seen = views.make_views(made)
  train = np.asarray(jax.jit(seen.train)(KEY, X))
  assert train.shape == (MANY, 4, 4, 1) and train.dtype == np.float32
  assert len({image.tobytes() for image in train}) > 20
  expected = np.asarray(X[:, 0:4, 1:5], np.float32) / 255
  index = jnp.arange(MANY)
  np.testing.assert_allclose(seen.plain(X), expected, rtol=1e-6)
  for split in ("val", "test"):
    np.testing.assert_allclose(seen.evaluate[split][""](index, X), expected, rtol=1e-6)
  spec = seen.plain(jax.ShapeDtypeStruct((1, 5, 6, 1), np.uint8))
  assert spec.shape == (1, 4, 4, 1) and spec.dtype == np.float32


def test_augmented_images_can_be_posed():
  made = config(**{"augment.flip": True, "distort.task": "unseen_pose"})
  seen = views.make_views(made)
  x = jnp.asarray(np.tile(RAMP[:, :, :5], (8, 1, 1, 1)))
  shapes = jax.eval_shape(seen.train, KEY, x), jax.eval_shape(seen.plain, x)
  assert {shape.shape for shape in shapes} == {(8, 32, 32, 1)}


@pytest.mark.parametrize(
  ("changes", "words"),
  [
    ({"augment.mode": "wrap"}, "augment.mode is 'wrap'; choose one of reflect"),
    ({"augment.pad": -1}, "are 0 or more"),
    ({"augment.area": (0.5, 0.2)}, "augment.area is (0.5, 0.2); give (least, most)"),
    ({"augment.area": (0.5, 1.0), "augment.pad": 2}, "exclude each other"),
    ({"augment.crop": 9}, "a window of 9 pixels is cut from 5x6 images"),
  ],
)
def test_mistakes_are_one_sentence(changes, words):
  with pytest.raises(UserError) as error:
    views.make_views(config(**changes)).plain(X)
  assert words in str(error.value) and "\n" not in str(error.value)


def test_papers_have_their_augmentation():
  of = lambda module, variant: views.make_augmentation(module.get_config(variant))
  assert of(quantization_networks, "paper") == Augmentation(crop=224, flip=True)
  assert of(quantization_networks, "svhn") == Augmentation()
  assert of(iekd, "paper") == Augmentation(pad=4, flip=True)
  assert of(iekd, "imagenet").area == (0.08, 1.0)
  for module in (quantization_networks, iekd, continuous_dropout):
    assert of(module, "") == Augmentation()
