"""Small image data sets on disk, for the tests of their readers."""

import gzip
import hashlib
import struct

import numpy as np
import pytest
import tensorflow_datasets as tfds
from ml_collections import ConfigDict
from PIL import Image

from jaxvision.data import images, network
from jaxvision.errors import UserError


def make_config(**fields):
  config = ConfigDict(images.DEFAULTS)
  config.update(fields)
  return config


def save_npz(path, **arrays):
  np.savez(path, **arrays)
  return f"npz:{path}"


def labelled(n, classes=3, shape=(4, 4, 1), seed=0):
  rng = np.random.default_rng(seed)
  image = rng.integers(0, 256, (n, *shape), np.uint8)
  return image, np.arange(n) % classes


def paint(path, colour, size=(6, 5), mode="RGB"):
  path.parent.mkdir(parents=True, exist_ok=True)
  Image.new(mode, size, colour).save(path)


def numbered(path):
  """An npz data set whose pixels are the number of the image."""
  image = np.arange(100, dtype=np.uint8)[:, None, None] * np.ones((1, 2, 2), np.uint8)
  label = np.arange(100) % 4
  return save_npz(
    path,
    train_image=image,
    train_label=label,
    test_image=image[:10] + 100,
    test_label=label[:10],
  )


def numbers(examples):
  return examples[np.arange(len(examples))]["image"][:, 0, 0, 0].tolist()


def prepare(name, folder, **counts):
  """Prepares a small data set under a TFDS name, with TFDS's own features."""
  theirs = tfds.builder(name, data_dir=folder).info
  features, version_ = theirs.features, theirs.version

  class Small(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    VERSION = version_

    def _info(self):
      return tfds.core.DatasetInfo(builder=self, features=features)

    def _split_generators(self, dl_manager):
      return {k: self._generate_examples(k, n) for k, n in counts.items()}

    def _generate_examples(self, split, n):
      for i in range(n):
        path = folder / f"{split}{i}.png"
        height, width, channels = features["image"].shape
        size = (width or 10 + i, height or 20)
        paint(
          path,
          i if channels == 1 else (i, 2 * i, 0),
          size,
          "L" if channels == 1 else "RGB",
        )
        unlabelled = name == "imagenet2012" and split == "test"
        record = {"image": path, "label": -1 if unlabelled else i % 3}
        rest = {k: "" for k in features if k not in record}
        yield i, record | rest

  Small.name = name
  Small(data_dir=folder, file_format="array_record").download_and_prepare()


def sentence(name, **fields):
  """The message of the error that loading ends in."""
  with pytest.raises(UserError) as error:
    images.load_images(make_config(name=name, **fields))
  message = str(error.value)
  assert message.endswith(".") and "\n" not in message
  return message


def unplug(monkeypatch):
  """Makes every request fail as without a network."""

  def fail(*args, **kwargs):
    raise OSError("no network")

  monkeypatch.setattr(network.urllib.request, "urlopen", fail)


def write_idx(path, array):
  header = struct.pack(">BBBB", 0, 0, 8, array.ndim)
  data = header + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
  path.write_bytes(gzip.compress(data))
  return hashlib.sha256(data).hexdigest()


def rows(batch):
  """Examples as a sorted list: TFDS stores them in an order of its own."""
  image = batch["image"].reshape(len(batch["label"]), -1)
  return sorted(
    (int(n), i.tobytes()) for n, i in zip(batch["label"], image, strict=True)
  )
