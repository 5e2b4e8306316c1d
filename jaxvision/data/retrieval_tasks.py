"""Retrieval of distorted images, in the forms of UK-Bench and Holidays.

Both data sets have to be fetched by hand. These tasks ask the same question of any
images, Fashion-MNIST's for one: is what shows one instance near, and the rest far?
Every instance is one image and some distortions of it. Papers on invariance judge
features this way.
"""

import dataclasses
from collections.abc import Callable

import jax
import numpy as np
from jaxtyping import Float32

from jaxvision.data import image_files
from jaxvision.data.examples import Batch, Examples, Images, Indices
from jaxvision.data.retrieval_files import (
  HOLIDAYS_GROUP,
  UKBENCH_GROUP,
  RetrievalFiles,
)
from jaxvision.errors import UserError
from jaxvision.typing import Array, Float, Int, PRNGKey

# (key, images in [0, 1]) -> images of the same shape, each with a draw of its own.
Distortion = Callable[
  [PRNGKey, Float32[np.ndarray, "n h w c"]], Float[np.ndarray | Array, "n h w c"]
]
View = Callable[[Images], Float[np.ndarray | Array, "n h w c"]]


@dataclasses.dataclass(frozen=True, eq=False)
class FileImages:
  """Image files that are decoded when they are asked for: UK-Bench has 10,200.

  Attributes:
    files: which.
    shape: (height, width, channels) into which they are brought.
    fit: how, as of `decoding.decode`.
    view: from uint8 images of this shape to what the network takes.
  """

  files: RetrievalFiles
  shape: tuple[int, int, int]
  fit: str
  view: View

  def __getitem__(self, indices: Indices) -> Float32[np.ndarray, "n h w c"]:
    """The images at `indices`."""
    paths = [str(self.files.paths[i]) for i in indices]
    read = image_files.read_images(paths, self.shape, np.dtype("uint8"), fit=self.fit)
    return np.asarray(self.view(np.stack([image for _, image in read])))


@dataclasses.dataclass(frozen=True, eq=False)
class RetrievalTask:
  """Images to describe and compare, with what the metrics need.

  It has a length and gives batches, so `data.batches.padded_batches` takes it.

  Attributes:
    image: in [0, 1]; those of one instance follow each other, the plain one first.
    number: for `metrics.retrieval.holidays_map`; in UK-Bench's form 0, 1, ...
    group: for `metrics.retrieval.ns_score`: images of one instance.
  """

  image: Float32[np.ndarray, "n h w c"] | FileImages
  number: Int[np.ndarray, " n"]
  group: Int[np.ndarray, " n"]

  def __len__(self) -> int:
    """The number of images."""
    return len(self.number)

  def __getitem__(self, indices: Indices) -> Batch:
    """The images at `indices`."""
    return {"image": self.image[indices]}


def instances(examples: Examples, count: int, *, seed: int) -> Images:
  """Picks images at random, without repetition.

  Args:
    examples: to pick from, as a split of `data.images.load_images`.
    count: how many.
    seed: of the choice.

  Raises:
    UserError: `count` is not between 1 and the number of examples.
  """
  if not 1 <= count <= len(examples):
    raise UserError(
      f"{count} instances cannot be picked of {len(examples)} images: take 1 to"
      f" {len(examples)}."
    )
  rows = np.random.default_rng(seed).permutation(len(examples))[:count]
  return examples[rows]["image"]


def file_task(
  files: RetrievalFiles, shape: tuple[int, int, int], *, fit: str, view: View
) -> RetrievalTask:
  """The task of UK-Bench's or Holidays' own files; arguments as of `FileImages`."""
  images = FileImages(files, shape, fit, view)
  return RetrievalTask(images, files.number, files.group)


def ukbench_task(images: Images, distort: Distortion, *, key: PRNGKey) -> RetrievalTask:
  """Groups of four: each image itself and three distortions of it.

  Args:
    images: one an instance; uint8, or float32 in [0, 1].
    distort: draws a distortion.
    key: of the draws.

  Returns:
    The task; image i is of group i // 4, as in UK-Bench.

  Raises:
    ValueError: `distort` changes the shape of the images.
  """
  image = _views(images, distort, key, UKBENCH_GROUP)
  number = np.arange(len(image))
  return RetrievalTask(image, number, number // UKBENCH_GROUP)


def holidays_task(
  images: Images, distort: Distortion, *, key: PRNGKey, positives: int = 2
) -> RetrievalTask:
  """Queries, which are the images themselves, and distortions of them to be found.

  Args:
    images: one an instance; uint8, or float32 in [0, 1].
    distort: draws a distortion.
    key: of the draws.
    positives: distortions of an instance, 1 to 99. Holidays has 2 on average.

  Returns:
    The task; image j of instance i has the number 100000 + 100 i + j, and is a query
    if j is 0, as in Holidays.

  Raises:
    ValueError: `distort` changes the shape of the images, or `positives` out of range.
  """
  if not 0 < positives < HOLIDAYS_GROUP:
    raise ValueError(f"positives is {positives}; take 1 to {HOLIDAYS_GROUP - 1}")
  image = _views(images, distort, key, 1 + positives)
  instance, view = np.divmod(np.arange(len(image)), 1 + positives)
  number = 100_000 + HOLIDAYS_GROUP * instance + view
  return RetrievalTask(image, number, number // HOLIDAYS_GROUP)


def _views(
  images: Images, distort: Distortion, key: PRNGKey, count: int
) -> Float32[np.ndarray, "views h w c"]:
  """`count` views of each image, those of an image together, the plain one first."""
  plain = images.astype(np.float32) / (255 if images.dtype == np.uint8 else 1)
  views = [plain]
  for draw in jax.random.split(key, count - 1):
    views.append(np.asarray(distort(draw, plain), np.float32))
    if views[-1].shape != plain.shape:
      raise ValueError(
        f"distort turns images of shape {plain.shape} into {views[-1].shape}; it must"
        " keep their shape"
      )
  return np.stack(views, 1).reshape(-1, *plain.shape[1:])
