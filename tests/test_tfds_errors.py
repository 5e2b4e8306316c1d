"""Damaged, foreign and missing TFDS data sets end in one sentence."""

import numpy as np
import pytest
from image_support import make_config, sentence, unplug

from jaxvision.data import fashion_mnist, images
from jaxvision.data.tfds_prepare import prepared
from jaxvision.errors import UserError


def load(name, **fields):
  return images.load_images(make_config(name=name, **fields))


@pytest.fixture
def small(tmp_path):
  """A prepared fashion_mnist of 20 training images and no test images."""
  Small(data_dir=tmp_path, file_format="array_record").download_and_prepare()
  return tmp_path / "fashion_mnist" / "3.0.1"


class Small(fashion_mnist.FashionMnist, skip_registration=True):
  name = "fashion_mnist"
  split = "train"

  def _split_generators(self, dl_manager):
    image = np.arange(20 * 784).astype(np.uint8).reshape(20, 28, 28)
    label = np.zeros(20, np.uint8)
    return {self.split: self._generate_examples(image, label)}


@pytest.mark.parametrize("resident_bytes", [2**29, 0])
@pytest.mark.parametrize("damage", ["cut", "missing"])
def test_tfds_damaged_files(tmp_path, small, damage, resident_bytes):
  (file,) = small.glob("*train.array_record*")
  if damage == "cut":
    file.write_bytes(file.read_bytes()[:100])
  else:
    file.unlink()
  with pytest.raises(UserError, match=f"prepared data set {small} is damaged") as error:
    fields = {"folder": str(tmp_path), "resident_bytes": resident_bytes}
    load("fashion_mnist", **fields).splits["train"][np.arange(3)]
  assert "\n" not in str(error.value)


def test_tfds_prepared_for_tensorflow(tmp_path, small):
  info = small / "dataset_info.json"
  info.write_text(info.read_text().replace("array_record", "tfrecord"))
  message = sentence("fashion_mnist", folder=str(tmp_path))
  assert "tfrecord, which only TensorFlow reads" in message
  assert "--config.data.folder" in message


def test_tfds_without_training_images(tmp_path, monkeypatch):
  monkeypatch.setattr(Small, "split", "test")
  Small(data_dir=tmp_path, file_format="array_record").download_and_prepare()
  message = sentence("fashion_mnist", folder=str(tmp_path))
  assert "has the splits test and no 'train'" in message


def test_tfds_that_needs_tensorflow_to_be_prepared(tmp_path, monkeypatch):
  def example(self, dl_manager):
    image = np.zeros((28, 28, 1), np.uint8)  # an array: TFDS encodes it by TensorFlow
    return {"train": iter([(0, {"image": image, "label": 0})])}

  monkeypatch.setattr(Small, "_split_generators", example)
  with pytest.raises(UserError, match="pip install tensorflow-cpu") as error:
    prepared(lambda: Small(data_dir=tmp_path), check_sources=lambda builder: None)
  assert "\n" not in str(error.value)
  assert [p.name for p in tmp_path.iterdir()] == ["downloads"]  # TFDS's own, empty


def test_tfds_prepared_by_another_process_meanwhile(tmp_path, monkeypatch):
  def slow(self, dl_manager):  # the other one finishes first
    monkeypatch.undo()
    Small(data_dir=tmp_path, file_format="array_record").download_and_prepare()
    return Small._split_generators(self, dl_manager)

  monkeypatch.setattr(Small, "_split_generators", slow)
  builder = prepared(lambda: Small(data_dir=tmp_path), check_sources=lambda b: None)
  assert len(builder.as_data_source("train")) == 20
  assert not list(tmp_path.rglob("*incomplete*"))


def test_tfds_name_of_an_unprepared_set_says_where_it_is_expected(
  tmp_path, monkeypatch
):
  unplug(monkeypatch)
  message = sentence("cifar10", folder=str(tmp_path))
  assert f"not prepared in {tmp_path}/cifar10" in message
  message = sentence("imagenet2012", folder=str(tmp_path), size=8)
  assert f"are not in {tmp_path}/downloads/manual" in message
