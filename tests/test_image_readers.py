"""Readers of images: digits, npz files, class folders, prepared TFDS data sets."""

import numpy as np
import pytest
import tensorflow_datasets as tfds
from image_support import labelled, make_config, numbers, paint, prepare, save_npz

from jaxvision.data import images
from jaxvision.data.examples import ArrayExamples, Examples, SourceExamples
from jaxvision.errors import UserError


def test_digits():
  dataset = images.load_images(make_config(name="digits"))
  sizes = {k: len(e) for k, e in dataset.splits.items()}
  assert sizes == {"train": 1154, "val": 288, "test": 355}
  train = dataset.splits["train"]
  assert train.shape == (8, 8, 1) and train.image.dtype == np.uint8
  assert train.image.min() == 0 and train.image.max() == 255
  assert dataset.classes == tuple("0123456789") and dataset.note == ""
  assert np.bincount(dataset.splits["test"].label).min() >= 34


@pytest.mark.parametrize(
  "keys",
  [
    ("train_image", "train_label", "test_image", "test_label"),
    ("x_train", "y_train", "x_test", "y_test"),
  ],
)
def test_npz_conventions(tmp_path, keys):
  image, label = labelled(30)
  arrays = (image[:20], label[:20], image[20:], label[20:, None])  # Keras: [n, 1]
  name = save_npz(tmp_path / "a.npz", **dict(zip(keys, arrays, strict=True)))
  dataset = images.load_images(make_config(name=name, validation=0.0))
  assert dataset.name == name and dataset.classes == ("0", "1", "2")
  np.testing.assert_array_equal(dataset.splits["train"].image, image[:20])
  np.testing.assert_array_equal(dataset.splits["test"].image, image[20:])
  np.testing.assert_array_equal(dataset.splits["test"].label, label[20:])
  assert dataset.splits["train"].label.dtype == np.int32


def test_npz_with_own_validation_and_class_names(tmp_path):
  image, label = labelled(30)
  name = save_npz(
    tmp_path / "a.npz",
    train_image=image, train_label=label,
    val_image=image[:6], val_label=label[:6],
    test_image=image[:9], test_label=label[:9],
    classes=np.array(["cat", "dog", "owl"]),
  )  # fmt: skip
  dataset = images.load_images(make_config(name=name, limit=12))
  assert {k: len(e) for k, e in dataset.splits.items()} == {
    "train": 12, "val": 6, "test": 9,
  }  # fmt: skip
  assert dataset.classes == ("cat", "dog", "owl")


def test_npz_of_one_part_is_split(tmp_path):
  image, label = labelled(30, shape=(4, 4))
  name = save_npz(tmp_path / "a.npz", image=image, label=label)
  loaded = images.load_images(make_config(name=name, validation=0.5)).splits
  assert {k: len(e) for k, e in loaded.items()} == {"train": 12, "val": 12, "test": 6}
  assert loaded["train"].shape == (4, 4, 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_npz_floats_are_kept_as_they_are(tmp_path, dtype):
  image = np.random.default_rng(0).random((20, 4, 4, 3)).astype(dtype)
  name = save_npz(tmp_path / "a.npz", image=image, label=np.arange(20) % 2)
  train = images.load_images(make_config(name=name, validation=0.0)).splits["train"]
  assert train.dtype == train.image.dtype == np.float32
  assert np.isin(train.image, image.astype(np.float32)).all()


def test_npz_wider_integers_become_bytes(tmp_path):
  image, label = labelled(20)
  name = save_npz(tmp_path / "a.npz", image=image.astype(np.int64), label=label)
  train = images.load_images(make_config(name=name)).splits["train"]
  assert train.image.dtype == np.uint8


def test_folder_with_splits(tmp_path):
  for split, count in (("train", 5), ("val", 2), ("test", 3)):
    for c, colour in (("blue", (0, 0, 200)), ("red", (200, 0, 0))):
      for i in range(count):
        paint(tmp_path / split / c / f"{i}.png", colour)
  (tmp_path / "train" / "red" / "notes.txt").write_text("not an image")
  (tmp_path / "train" / ".hidden").mkdir()
  dataset = images.load_images(make_config(name=f"folder:{tmp_path}"))
  assert dataset.classes == ("blue", "red")
  assert {k: len(e) for k, e in dataset.splits.items()} == {
    "train": 10, "val": 4, "test": 6,
  }  # fmt: skip
  train = dataset.splits["train"]
  assert isinstance(train, ArrayExamples) and train.shape == (5, 6, 3)
  blue = train.image[train.label == 0]
  assert blue.shape[0] == 5 and (blue == (0, 0, 200)).all()


def test_folder_without_splits_and_nested_folders(tmp_path):
  for c in ("a", "b"):
    for i in range(10):
      paint(tmp_path / c / f"deep{i % 2}" / f"{i}.png", i, mode="L")
  config = make_config(name=f"folder:{tmp_path}", validation=0.25)
  first, again = (images.load_images(config).splits for _ in range(2))
  assert {k: len(e) for k, e in first.items()} == {"train": 12, "val": 4, "test": 4}
  assert first["train"].shape == (5, 6, 1)  # all are grey
  other = images.load_images(make_config(**{**config.to_dict(), "seed": 7})).splits
  assert numbers(first["test"]) == numbers(again["test"]) == numbers(other["test"])


def test_folder_class_named_train(tmp_path):
  for c in ("car", "train", "plane"):
    for i in range(3):
      paint(tmp_path / c / f"{i}.png", (1, 2, 3))
  dataset = images.load_images(make_config(name=f"folder:{tmp_path}"))
  assert dataset.classes == ("car", "plane", "train")


def test_folder_validation_images_are_tested_on_without_test_images(tmp_path):
  for split in ("train", "val"):
    for c in ("a", "b"):
      for i in range(5):
        paint(tmp_path / split / c / f"{i}.png", 100 if split == "val" else 1, mode="L")
  loaded = images.load_images(make_config(name=f"folder:{tmp_path}")).splits
  assert {k: len(e) for k, e in loaded.items()} == {"train": 8, "val": 2, "test": 10}
  assert set(numbers(loaded["test"])) == {100}


def test_folder_mixes_grey_and_colour_and_resizes(tmp_path):
  for i in range(3):
    paint(tmp_path / "a" / f"{i}.png", 50, size=(9, 7), mode="L")
    paint(tmp_path / "b" / f"{i}.jpg", (10, 200, 30), size=(40, 50))
  dataset = images.load_images(make_config(name=f"folder:{tmp_path}", size=8))
  train = dataset.splits["train"]
  assert train.shape == (8, 8, 3)
  assert (train.image[train.label == 0] == 50).all()
  np.testing.assert_allclose(
    train.image[train.label == 1], np.broadcast_to((10, 200, 30), (2, 8, 8, 3)), atol=4
  )


def test_what_does_not_fit_is_decoded_on_demand_and_equal(tmp_path):
  for c in ("a", "b"):
    for i in range(10):
      paint(tmp_path / c / f"{i}.png", 10 * i, mode="L")
  fields = {"name": f"folder:{tmp_path}", "validation": 0.25, "label_noise": 0.5}
  memory = images.load_images(make_config(**fields)).splits
  disk = images.load_images(make_config(**fields, resident_bytes=0)).splits
  for split, examples in disk.items():
    assert isinstance(examples, SourceExamples)
    assert isinstance(examples, Examples) and isinstance(memory[split], Examples)
    rows = np.random.default_rng(0).permutation(len(examples))
    for key in ("image", "label"):
      found, expected = examples[rows][key], memory[split][rows][key]
      np.testing.assert_array_equal(found, expected)
      assert found.dtype == expected.dtype


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_size_resizes_arrays(tmp_path, dtype):
  ramp = np.linspace(0, 1 if dtype == np.float32 else 255, 8).astype(dtype)
  image = np.broadcast_to(ramp[None, None, :, None], (20, 8, 8, 2))
  name = save_npz(tmp_path / "a.npz", image=image, label=np.arange(20) % 2)
  train = images.load_images(make_config(name=name, size=4)).splits["train"]
  assert train.shape == (4, 4, 2) and train.image.dtype == dtype
  middle = ramp.reshape(4, 2).mean(1)[1:3]  # antialiased: pairs are averaged
  tolerance = 0.02 if dtype == np.float32 else 4
  np.testing.assert_allclose(train.image[0, 0, 1:3, 0], middle, atol=tolerance)


def test_tfds_by_name(tmp_path):
  prepare("cifar10", tmp_path, train=20, test=6)
  config = make_config(name="cifar10", folder=str(tmp_path))
  dataset = images.load_images(config)
  assert dataset.name == "cifar10" and len(dataset.classes) == 10
  assert {k: len(e) for k, e in dataset.splits.items()} == {
    "train": 16, "val": 4, "test": 6,
  }  # fmt: skip
  train = dataset.splits["train"]
  assert isinstance(train, ArrayExamples) and train.shape == (32, 32, 3)
  number = train.image[:, 0, 0, 0]
  np.testing.assert_array_equal(train.image[:, 5, 7, 1], 2 * number)
  np.testing.assert_array_equal(train.label, number % 3)
  source = tfds.data_source("cifar10", split="test", data_dir=tmp_path, download=False)
  for i, record in enumerate(source):
    np.testing.assert_array_equal(record["image"], dataset.splits["test"].image[i])
  config.name = "cifar10:3.0.2"  # with its version, as TFDS allows
  assert images.load_images(config).name == "cifar10:3.0.2"


def test_tfds_of_varying_size_without_test_split(tmp_path):
  prepare("tf_flowers", tmp_path, train=20)
  config = make_config(name="tf_flowers", folder=str(tmp_path), size=8)
  loaded = images.load_images(config).splits
  assert {k: len(e) for k, e in loaded.items()} == {"train": 13, "val": 3, "test": 4}
  assert loaded["train"].shape == (8, 8, 3)
  everything = [n for e in loaded.values() for n in numbers(e)]
  assert sorted(everything) == list(range(20))
  config.size = 0
  with pytest.raises(UserError, match=r"differ in size.*--config\.data\.size"):
    images.load_images(config)


def test_tfds_unlabelled_test_images_are_left_out(tmp_path):
  prepare("imagenet2012", tmp_path, train=10, validation=5, test=4)
  config = make_config(name="imagenet2012", folder=str(tmp_path), size=8)
  config.resident_bytes = 0
  dataset = images.load_images(config)
  assert {k: len(e) for k, e in dataset.splits.items()} == {
    "train": 8, "val": 2, "test": 5,
  }  # fmt: skip
  assert isinstance(dataset.splits["test"], SourceExamples)
  assert (dataset.splits["test"][np.arange(5)]["label"] >= 0).all()
  assert len(dataset.classes) == 1000


def test_tfds_small_subset_of_a_large_set_is_read(tmp_path):
  prepare("cifar10", tmp_path, train=20, test=2)
  config = make_config(name="cifar10", folder=str(tmp_path), limit=3)
  config.resident_bytes = 5 * 32 * 32 * 3
  loaded = images.load_images(config).splits
  assert isinstance(loaded["train"], ArrayExamples) and len(loaded["train"]) == 3
