"""Images of people, whose they are, and how retrieval among them is tested."""

import concurrent.futures
import dataclasses
import os
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Shaped
from PIL import Image

from jaxvision import interruption
from jaxvision.data import decoding
from jaxvision.data.examples import Batch, Indices
from jaxvision.typing import Float, Int, UInt8

UNKNOWN_CAMERA = -1
CHUNK = 256  # images decoded at a time
Numbers = Int[np.ndarray, " n"]


@runtime_checkable
class Inputs(Protocol):
  """n inputs of one shape, as an array is: in memory, in files, or abstract."""

  @property
  def shape(self) -> tuple[int, ...]:
    """(n, ...)."""

  @property
  def dtype(self) -> np.dtype:
    """Of all of them."""

  def __getitem__(self, indices: Indices, /) -> Shaped[np.ndarray, "b ..."]:
    """Those at `indices`."""


class AbstractInputs(NamedTuple):
  """A shape and no data: enough to plan a run."""

  shape: tuple[int, ...]
  dtype: np.dtype

  def __getitem__(self, indices: Indices, /) -> np.ndarray:
    """There is nothing to read: a `TypeError`."""
    raise TypeError("abstract inputs have a shape, but no data")


@dataclasses.dataclass(frozen=True, eq=False)
class FileInputs:
  """Image files that are decoded when they are asked for.

  Attributes:
    paths: one an image.
    height: pixels to which images are resized, bilinear with antialiasing.
    width: likewise.
  """

  paths: tuple[Path, ...]
  height: int
  width: int

  @property
  def shape(self) -> tuple[int, ...]:
    """(n, height, width, 3)."""
    return (len(self.paths), self.height, self.width, 3)

  @property
  def dtype(self) -> np.dtype:
    """Decoded images are `uint8`."""
    return np.dtype(np.uint8)

  def __getitem__(self, indices: Indices, /) -> UInt8[np.ndarray, "b h w 3"]:
    """Reads and decodes the images at `indices`."""
    paths = (self.paths[i] for i in indices)
    found = [read_person(path, self.height, self.width) for path in paths]
    return np.stack(found) if found else np.empty((0, *self.shape[1:]), np.uint8)

  def read(self) -> UInt8[np.ndarray, "n h w 3"]:
    """Decodes everything into memory, on as many threads as there are cores."""
    images = np.empty(self.shape, np.uint8)

    def fill(start: int) -> None:
      rows = np.arange(start, min(start + CHUNK, len(self.paths)))
      images[rows] = self[rows]

    pool = concurrent.futures.ThreadPoolExecutor(os.cpu_count())
    try:
      for _ in pool.map(fill, range(0, len(self.paths), CHUNK)):
        interruption.check()
    finally:
      pool.shutdown(cancel_futures=True)
    return images


def read_person(path: Path, height: int, width: int) -> UInt8[np.ndarray, "h w 3"]:
  """One image of a person, resized without regard to its shape.

  Raises:
    UserError: a file that cannot be decoded.
  """
  image = decoding.decode(path, channels=3, size=0, name=str(path))
  if image.shape[:2] == (height, width):
    return image
  size, kind = (width, height), Image.Resampling.BILINEAR
  return np.asarray(Image.fromarray(image).resize(size, kind))


@dataclasses.dataclass(frozen=True, eq=False)
class People:
  """Images of people, or vectors that stand for images.

  Attributes:
    input: [n, h, w, c] uint8, or [n, d] float32.
    identity: whose; of training images in [0, identities).
    domain: number of the data set.
    camera: numbers, or `UNKNOWN_CAMERA`.
    code: what generated people are made of, [n, c]; None of real ones.
  """

  input: Inputs
  identity: Numbers
  domain: Numbers
  camera: Numbers
  code: Float[np.ndarray, "n c"] | None = None

  def __len__(self) -> int:
    """The number of images n."""
    return len(self.identity)

  @property
  def shape(self) -> tuple[int, ...]:
    """Of one input."""
    return tuple(self.input.shape[1:])

  @property
  def nbytes(self) -> int:
    """Of all inputs."""
    return int(np.prod(self.input.shape)) * self.input.dtype.itemsize

  @property
  def abstract(self) -> bool:
    """Whether there are no data."""
    return isinstance(self.input, AbstractInputs)

  def __getitem__(self, indices: Indices) -> Batch:
    """The examples at `indices`, in that order."""
    return {
      "input": self.input[indices],
      "identity": self.identity[indices].astype(np.int32),
      "domain": self.domain[indices].astype(np.int32),
    }


class Split(NamedTuple):
  """Rows of `People`: whom to look for, and among whom."""

  query: Int[np.ndarray, " q"]
  gallery: Int[np.ndarray, " g"]


class Target(NamedTuple):
  """A domain to search in, with splits over which metrics are averaged."""

  people: People
  splits: tuple[Split, ...]


class ReidDataset(NamedTuple):
  """Data sets to train on and to search in.

  Attributes:
    name: what was really loaded.
    note: "", or one line to show.
    domains: names of the sources, in the order of their numbers.
    identities: of all sources.
    splits: "train", all images of all sources; "probe", images of the sources that show
      what features tell of domains and codes.
    targets: {"val" or "test": {name: target}}.
    correlated: how many of the first coordinates of `code` go with the domain.
  """

  name: str
  note: str
  domains: tuple[str, ...]
  identities: int
  splits: dict[str, People]
  targets: dict[str, dict[str, Target]]
  correlated: int = 0
