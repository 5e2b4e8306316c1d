"""Labelled images by index: in memory, on disk, or as a shape alone.

The arrays are host arrays (numpy); nothing here imports JAX, so that configurations
may import the data layer's defaults cheaply.
"""

import concurrent.futures
import dataclasses
import os
from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int, Int32, UInt8

from jaxvision import interruption
from jaxvision.errors import UserError

Images = UInt8[np.ndarray, "n h w c"] | Float32[np.ndarray, "n h w c"]
Labels = Int32[np.ndarray, " n"]
Indices = Int[np.ndarray, " b"]
Batch = dict[str, np.ndarray]  # {"image": [b, h, w, c], "label": int32[b]}

BYTES = np.dtype(np.uint8)
UNKNOWN = -1  # a label that has to be read from the source
CHUNK = 256  # examples read at a time when a source is copied into memory


class Unavailable(UserError):
  """A data set has neither files nor a network; another one may stand in for it."""


@runtime_checkable
class Examples(Protocol):
  """n labelled images of one shape that can be read in any order.

  Images are uint8 in 0..255 or, where the user's own file holds floats, float32 in
  [0, 1]; labels are int32 in 0..classes-1.
  """

  def __len__(self) -> int:
    """The number of examples n."""

  @property
  def shape(self) -> tuple[int, int, int]:
    """(height, width, channels) of every image."""

  @property
  def dtype(self) -> np.dtype:
    """`uint8` or `float32`."""

  @property
  def label(self) -> Labels:
    """Labels of all examples, `UNKNOWN` (-1) where they have to be read first."""

  def __getitem__(self, indices: Indices) -> Batch:
    """The decoded examples at `indices`, in that order."""

  def take(self, indices: Indices) -> "Examples":
    """The examples at `indices` as a set of their own; decodes nothing."""

  def relabel(self, label: Labels) -> "Examples":
    """The same images with new labels; `UNKNOWN` (-1) keeps the label there was."""


@dataclasses.dataclass(frozen=True, eq=False)
class ArrayExamples:
  """Examples in memory."""

  image: Images
  label: Labels

  def __len__(self) -> int:
    """The number of examples."""
    return len(self.label)

  @property
  def shape(self) -> tuple[int, int, int]:
    """(height, width, channels)."""
    return self.image.shape[1:]

  @property
  def dtype(self) -> np.dtype:
    """`uint8` or `float32`."""
    return self.image.dtype

  def arrays(self) -> Batch:
    """All examples as one batch, to be put on the device as a whole."""
    return {"image": self.image, "label": self.label}

  def __getitem__(self, indices: Indices) -> Batch:
    """A copy of the examples at `indices`."""
    return {"image": self.image[indices], "label": self.label[indices]}

  def take(self, indices: Indices) -> "ArrayExamples":
    """The examples at `indices`, copied."""
    return ArrayExamples(self.image[indices], self.label[indices])

  def relabel(self, label: Labels) -> "ArrayExamples":
    """New labels where `label` is not -1."""
    return ArrayExamples(self.image, np.where(label < 0, self.label, label))


@dataclasses.dataclass(frozen=True, eq=False)
class SourceExamples:
  """Examples that are read and decoded when they are asked for.

  Attributes:
    fetch: positions in the source -> decoded batch; called from several threads.
    shape: (height, width, channels) after decoding.
    index: position in the source of each example.
    label: labels that are known without reading; -1 means that `fetch` tells.
  """

  fetch: Callable[[Indices], Batch]
  shape: tuple[int, int, int]
  index: Int[np.ndarray, " n"]
  label: Labels

  def __len__(self) -> int:
    """The number of examples."""
    return len(self.index)

  @property
  def dtype(self) -> np.dtype:
    """Decoded images are `uint8`."""
    return BYTES

  def __getitem__(self, indices: Indices) -> Batch:
    """Reads and decodes the examples at `indices`."""
    batch, label = self.fetch(self.index[indices]), self.label[indices]
    return {
      "image": batch["image"],
      "label": np.where(label < 0, batch["label"], label),
    }

  def take(self, indices: Indices) -> "SourceExamples":
    """The examples at `indices`, still unread."""
    return dataclasses.replace(
      self, index=self.index[indices], label=self.label[indices]
    )

  def relabel(self, label: Labels) -> "SourceExamples":
    """New labels where `label` is not -1."""
    return dataclasses.replace(self, label=np.where(label < 0, self.label, label))

  def read(self) -> ArrayExamples:
    """Decodes everything into memory, on as many threads as there are cores."""
    image = np.empty((len(self), *self.shape), np.uint8)
    label = np.empty(len(self), np.int32)

    def fill(start: int) -> None:
      rows = np.arange(start, min(start + CHUNK, len(self)))
      batch = self[rows]
      image[rows], label[rows] = batch["image"], batch["label"]

    pool = concurrent.futures.ThreadPoolExecutor(os.cpu_count())
    try:
      for _ in pool.map(fill, range(0, len(self), CHUNK)):
        interruption.check()
    finally:
      pool.shutdown(cancel_futures=True)
    return ArrayExamples(image, label)


@dataclasses.dataclass(frozen=True)
class AbstractExamples:
  """A length, a shape and no data: enough to plan a run."""

  length: int
  shape: tuple[int, int, int]
  dtype: np.dtype = BYTES

  def __len__(self) -> int:
    """The number of examples."""
    return self.length

  @property
  def label(self) -> Labels:
    """All unknown."""
    return np.full(self.length, UNKNOWN, np.int32)

  def __getitem__(self, indices: Indices) -> Batch:
    """There is nothing to read: a `TypeError`."""
    raise TypeError("abstract examples have a length and a shape, but no data")

  def take(self, indices: Indices) -> "AbstractExamples":
    """As many examples as there are indices."""
    return dataclasses.replace(self, length=len(indices))

  def relabel(self, label: Labels) -> "AbstractExamples":
    """Itself: there are no labels to change."""
    del label
    return self


class ImageDataset(NamedTuple):
  """A classification data set.

  Attributes:
    name: what was really loaded.
    note: "", or the one line that says which data set another one stands in for.
    classes: names of the classes, in the order of the labels.
    splits: "train", "val" and "test". A reader may leave out "val" and "test";
      `jaxvision.data.splits.complete` then holds them out of the training images.
    fit: how images were resized, as of `decoding.decode`; new ones are so, too.
  """

  name: str
  note: str
  classes: tuple[str, ...]
  splits: dict[str, Examples]
  fit: str = "stretch"
