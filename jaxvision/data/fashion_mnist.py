"""Fashion-MNIST under TFDS's name, prepared without TensorFlow.

H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking
Machine Learning Algorithms", arXiv:1708.07747: 60,000 and 10,000 grey images of
28 x 28 pixels in ten classes.

TFDS's own builder needs TensorFlow to write images, and refuses the files of Debian's
package dataset-fashion-mnist, because they are compressed anew. This builder has the
same name, version, features and keys, so that what it prepares is read by
`tfds.data_source("fashion_mnist")` in the same order of examples. It checks the
*decompressed* bytes instead.
"""

import functools
import gzip
import hashlib
import io
import os
import pathlib
import tempfile
import zlib
from collections.abc import Iterator

import numpy as np
import PIL.Image
import tensorflow_datasets as tfds
from jaxtyping import UInt8

from jaxvision import interruption
from jaxvision.data.examples import ImageDataset
from jaxvision.data.known_images import FASHION_CLASSES
from jaxvision.data.network import require_server
from jaxvision.data.tfds_images import read_prepared
from jaxvision.data.tfds_prepare import prepared
from jaxvision.errors import UserError

ENVIRONMENT = "JAXVISION_FASHION_MNIST"  # a folder to look into instead of Debian's
DEBIAN = "/usr/share/datasets/fashion-mnist"
URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
# File name -> SHA-256 of its decompressed bytes.
DIGESTS = {
  "train-images-idx3-ubyte.gz": (
    "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"
  ),
  "train-labels-idx1-ubyte.gz": (
    "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"
  ),
  "t10k-images-idx3-ubyte.gz": (
    "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"
  ),
  "t10k-labels-idx1-ubyte.gz": (
    "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"
  ),
}
FILES = {  # split -> (images, labels)
  "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
  "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}
Paths = dict[str, pathlib.Path]


def load_fashion_mnist(folder: str, *, size: int, resident_bytes: int) -> ImageDataset:
  """Loads Fashion-MNIST, preparing it on first use (some 20 seconds).

  Args:
    folder: TFDS's data folder; "" for its default.
    size: side of the images, 0 for 28 pixels.
    resident_bytes: largest size of a split that is read into memory.

  Returns:
    The data set with the splits "train" and "test".

  Raises:
    Unavailable: if it is not prepared, its files are not found and its server does
      not answer.
    UserError: if a file is damaged.
  """
  make = functools.partial(FashionMnist, data_dir=folder or None)
  with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as downloads:
    builder = prepared(make, check_sources=_check_sources, download_dir=downloads)
  return read_prepared(builder, size=size, resident_bytes=resident_bytes)


class FashionMnist(tfds.core.GeneratorBasedBuilder, skip_registration=True):
  """Writes what TFDS's builder of this name and version writes."""

  name = "fashion_mnist"
  VERSION = tfds.core.Version("3.0.1")

  @property
  def url_infos(self) -> dict[str, object]:
    """None: the decompressed bytes are checked, not the downloads."""
    return {}

  def _info(self) -> tfds.core.DatasetInfo:
    features = tfds.features.FeaturesDict(
      {
        "image": tfds.features.Image(shape=(28, 28, 1)),
        "label": tfds.features.ClassLabel(names=FASHION_CLASSES),
      }
    )
    return tfds.core.DatasetInfo(
      builder=self,
      features=features,
      supervised_keys=("image", "label"),
      homepage="https://github.com/zalandoresearch/fashion-mnist",
    )

  def _split_generators(
    self, dl_manager: tfds.download.DownloadManager
  ) -> dict[str, Iterator]:
    paths = local_files() or {
      name: pathlib.Path(path)
      for name, path in dl_manager.download({n: URL + n for n in DIGESTS}).items()
    }
    # All files are read before anything is written.
    arrays = {name: read_idx(path, DIGESTS[name]) for name, path in paths.items()}
    return {
      split: self._generate_examples(arrays[images], arrays[labels])
      for split, (images, labels) in FILES.items()
    }

  def _generate_examples(
    self, images: UInt8[np.ndarray, "n h w"], labels: UInt8[np.ndarray, " n"]
  ) -> Iterator[tuple[int, dict[str, object]]]:
    for key, (image, label) in enumerate(zip(images, labels, strict=True)):
      interruption.check()
      png = io.BytesIO()  # TFDS would encode an array with TensorFlow
      PIL.Image.fromarray(image).save(png, "PNG")
      png.seek(0)
      yield key, {"image": png, "label": int(label)}


def local_files() -> Paths | None:
  """The four files of Debian's package or of $JAXVISION_FASHION_MNIST, if all exist."""
  folder = pathlib.Path(os.environ.get(ENVIRONMENT, DEBIAN)).expanduser()
  paths = {name: folder / name for name in DIGESTS}
  return paths if all(path.is_file() for path in paths.values()) else None


def read_idx(path: pathlib.Path, digest: str) -> UInt8[np.ndarray, "..."]:
  """Reads a compressed idx file, the format of MNIST.

  Four bytes 0, 0, 8 (bytes), rank; then the shape as big-endian 32-bit integers; then
  the values.

  Args:
    path: the .gz file.
    digest: SHA-256 of the decompressed file.

  Returns:
    Its array.

  Raises:
    UserError: naming the file, if it is cut off or not the expected one.
  """
  try:
    data = gzip.decompress(path.read_bytes())
  except (OSError, EOFError, zlib.error) as error:
    raise UserError(
      f"{path} cannot be decompressed ({error}): copy or install it again."
    ) from error
  if hashlib.sha256(data).hexdigest() != digest:
    raise UserError(
      f"{path} is not the file of Fashion-MNIST (its checksum differs): copy or install"
      " it again."
    )
  rank = data[3]
  shape = np.frombuffer(data, ">u4", count=rank, offset=4)
  return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)


def _check_sources(builder: FashionMnist) -> None:
  if local_files() is None:
    folder = os.environ.get(ENVIRONMENT, DEBIAN)
    require_server(
      URL + next(iter(DIGESTS)),
      what=(
        f"fashion_mnist is not prepared in {builder.data_path}, its four files are not"
        f" in {folder} (Debian: apt install dataset-fashion-mnist; elsewhere: set"
        f" {ENVIRONMENT})"
      ),
    )
