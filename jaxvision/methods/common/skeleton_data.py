"""Clips of skeletons: read, batched, kept on the devices, prepared for the network.

What the network sees follows on the device from a clip as it was recorded:
`dataset.normalize`, in training `config.data.augment`, then `config.data.stream`.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jaxvision.data import skeletons
from jaxvision.data.skeleton_examples import (
  AbstractClips,
  SkeletonDataset,
  SkeletonExamples,
)
from jaxvision.errors import UserError
from jaxvision.files import input_files
from jaxvision.ops import graphs
from jaxvision.ops import skeletons as ops
from jaxvision.ops.skeleton_augment import Augmentation, augment, mirror_order
from jaxvision.typing import Array, Float, PRNGKey, PyTree

SUFFIXES = (".skeleton", ".json")
Clips = Float[Array, "b m t v c"]


class Pipeline(NamedTuple):
  """Three pure functions of clips, to be called in this order.

  Attributes:
    normalize: clips as recorded -> positions.
    augment: (key, positions) -> positions, perhaps of other frames.
    stream: positions -> what the network takes.
  """

  normalize: Callable[[Clips], Clips]
  augment: Callable[[PRNGKey, Clips], Array]
  stream: Callable[[Clips], Clips]

  def train(self, key: PRNGKey, clips: Clips) -> Float[Array, "b m s v c"]:
    """What the network takes in training."""
    return self.stream(self.augment(key, self.normalize(clips)))

  def plain(self, clips: Clips) -> Clips:
    """What the network takes in tests and predictions."""
    return self.stream(self.normalize(clips))


def load(config: ConfigDict, *, abstract: bool = False) -> SkeletonDataset:
  """Reads the clips that `config.data` names, or only their shapes."""
  read = skeletons.abstract_skeletons if abstract else skeletons.load_skeletons
  return read(config.data)


def expected_files(config: ConfigDict) -> tuple[str, ...]:
  """Says which files are expected where."""
  return skeletons.expected_files(config.data)


def find_graph(config: ConfigDict, data: SkeletonDataset) -> str:
  """Name of the skeleton whose bones count: `config.model.graph`, or the data's own."""
  graph = config.model.graph
  return data.skeleton if graph == "auto" else graph


def pipeline(config: ConfigDict, data: SkeletonDataset) -> Pipeline:
  """Reads `config.data.augment` and `config.data.stream`.

  Args:
    config: `model.graph` is read, too.
    data: says how clips are normalized.

  Raises:
    UserError: a skeleton that does not exist.
  """
  graph = graphs.skeleton(find_graph(config, data))
  spec = Augmentation(**config.data.augment.to_dict())
  mirror = mirror_order(graph.names) if spec.flip else ()
  return Pipeline(
    lambda clips: ops.normalize(clips, kind=data.normalize),
    lambda key, clips: augment(key, clips, spec=spec, mirror=mirror),
    lambda clips: ops.stream(clips, config.data.stream, graph.parents),
  )


def inputs(data: SkeletonDataset) -> jax.ShapeDtypeStruct:
  """The spec of one clip as recorded, with a batch axis of 1."""
  return jax.ShapeDtypeStruct((1, *data.splits["train"].shape), jnp.float32)


def is_resident(split: SkeletonExamples, config: ConfigDict) -> bool:
  """Whether a split is small enough to stay on the devices."""
  return split.nbytes <= config.data.resident_bytes


def resident(split: SkeletonExamples) -> PyTree:
  """A whole split as arrays, or as their specs if it is abstract."""
  if isinstance(split.skeleton, AbstractClips):
    return _specs(split, len(split))
  return split.arrays()


def batch_spec(split: SkeletonExamples, size: int, *, resident: bool) -> PyTree:
  """Specs of a training batch: row numbers of resident data, or the clips."""
  if resident:
    return jax.ShapeDtypeStruct((size,), jnp.int32)
  return _specs(split, size)


def _specs(split: SkeletonExamples, size: int) -> dict[str, jax.ShapeDtypeStruct]:
  return {
    name: jax.ShapeDtypeStruct((size, *shape), dtype)
    for name, (shape, dtype) in split.spec.items()
  }


def reader(
  data: SkeletonDataset,
) -> Callable[[Sequence[str]], Iterator[tuple[str, np.ndarray]]]:
  """Returns a method's `read`: NTU's or Kinetics' files as clips like the data's.

  A folder stands for the files below it. Clips are cut, or followed by zeros, to the
  persons and frames of the training clips.
  """
  persons, length, joints, _ = data.splits["train"].shape

  def read(paths: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
    for path in input_files(paths, SUFFIXES):
      clip = skeletons.read_clip(path, persons=persons, length=length)
      if clip.shape[2] != joints:
        raise UserError(
          f"--inputs: {path} has {clip.shape[2]} joints, but the network was trained"
          f" on {joints}."
        )
      if not clip.any():
        raise UserError(
          f"--inputs: {path} shows nobody in its first {length} frames: leave it out."
        )
      yield str(path), clip

  return read
