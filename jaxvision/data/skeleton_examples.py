"""Clips of skeletons with one label each: in memory, in files, or as a shape.

A clip is float32 [m, t, v, c]: person, time, joint, coordinate (x, y, z in metres; of
2-D poses x, y, score). Persons that are absent and frames behind the end are zeros.
The arrays are host arrays (numpy); nothing here computes with JAX.
"""

import dataclasses
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int, Int32

from jaxvision import interruption

Indices = Int[np.ndarray, " b"]
Batch = dict[
  str, np.ndarray
]  # {"skeleton": float32 [b, m, t, v, c], "label": int32 [b]}
Shape = tuple[int, int, int, int]  # (m, t, v, c)

FLOAT = np.dtype(np.float32)
CHUNK = 256  # clips read at a time when files are copied into memory


@runtime_checkable
class ClipArray(Protocol):
  """n clips that can be read in any order: an array, or files."""

  @property
  def shape(self) -> tuple[int, ...]:
    """(clips n, persons m, frames t, joints v, coordinates c)."""

  def __getitem__(self, indices: Indices) -> np.ndarray:
    """float32 [b, m, t, v, c], a copy."""


@dataclasses.dataclass(frozen=True)
class AbstractClips:
  """A shape and no data: enough to plan a run."""

  shape: tuple[int, ...]

  def __getitem__(self, indices: Indices) -> np.ndarray:
    """There is nothing to read: a `TypeError`."""
    raise TypeError("abstract clips have a shape, but no data")


@dataclasses.dataclass(frozen=True, eq=False)
class SkeletonExamples:
  """n clips.

  Attributes:
    skeleton: float32 [n, m, t, v, c].
    label: class from 0.
    names: of the recordings.
  """

  skeleton: ClipArray
  label: Int32[np.ndarray, " n"]
  names: tuple[str, ...]

  def __len__(self) -> int:
    """The number of clips n."""
    return len(self.label)

  @property
  def shape(self) -> Shape:
    """(persons m, frames t, joints v, coordinates c) of every clip."""
    return tuple(self.skeleton.shape[1:])

  @property
  def nbytes(self) -> int:
    """Size of all clips, read or not."""
    return int(np.prod(self.skeleton.shape)) * FLOAT.itemsize

  @property
  def spec(self) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """{key of a batch: (shape without its first axis, type)}, also of abstract data."""
    return {"skeleton": (self.shape, FLOAT), "label": ((), self.label.dtype)}

  def arrays(self) -> Batch:
    """All clips as one batch, to be put on the device as a whole."""
    if isinstance(self.skeleton, np.ndarray):
      return {"skeleton": self.skeleton, "label": self.label}
    skeleton = np.empty((len(self), *self.shape), np.float32)
    for start in range(0, len(self), CHUNK):
      interruption.check()
      rows = np.arange(start, min(start + CHUNK, len(self)))
      skeleton[rows] = self.skeleton[rows]
    return {"skeleton": skeleton, "label": self.label}

  def __getitem__(self, indices: Indices) -> Batch:
    """A copy of the clips at `indices`; reads them if they are in files."""
    return {"skeleton": self.skeleton[indices], "label": self.label[indices]}

  def read(self) -> "SkeletonExamples":
    """The same clips in memory."""
    return dataclasses.replace(self, skeleton=self.arrays()["skeleton"])


class SkeletonDataset(NamedTuple):
  """A data set of skeleton action recognition.

  Attributes:
    name: what was really loaded.
    note: "", or one line on what was left out or is not exact.
    classes: names of the classes, in the order of the labels.
    splits: "train", "val" and "test".
    skeleton: name of the tree of joints: "ntu", "openpose" or "coco".
    normalize: what the clips need on the device, "frame", "clip" or "none": see
      `jaxvision.ops.skeletons.normalize`.
  """

  name: str
  note: str
  classes: tuple[str, ...]
  splits: dict[str, SkeletonExamples]
  skeleton: str
  normalize: str = "none"


def abstract_examples(count: int, shape: Shape) -> SkeletonExamples:
  """Clips without data.

  Args:
    count: number of clips n.
    shape: (persons m, frames t, joints v, coordinates c) of each.
  """
  label = np.zeros(count, np.int32)
  return SkeletonExamples(AbstractClips((count, *shape)), label, ())


def fit(
  clip: Float32[np.ndarray, "m t v c"], persons: int, length: int
) -> Float32[np.ndarray, "n s v c"]:
  """A clip with other numbers of persons and frames: cut, or followed by zeros.

  Args:
    clip: as it was recorded.
    persons: n, the first ones are kept.
    length: frames s, the first ones are kept.
  """
  fitted = np.zeros((persons, length, *clip.shape[2:]), np.float32)
  kept = clip[:persons, :length]
  fitted[: kept.shape[0], : kept.shape[1]] = kept
  return fitted
