"""Batches of any data set: row numbers of resident data, or examples that stream."""

from collections.abc import Iterator, Mapping
from typing import Protocol, runtime_checkable

import jax
import numpy as np
from ml_collections import ConfigDict

from jaxvision.data import batches as batch_lib
from jaxvision.errors import UserError
from jaxvision.train.stage import Batches
from jaxvision.typing import PyTree


@runtime_checkable
class DataSet(Protocol):
  """What data sets of all kinds have: a name, and examples for each purpose."""

  @property
  def name(self) -> str:
    """What was really loaded."""

  @property
  def splits(self) -> Mapping[str, batch_lib.Rows]:
    """Their names are "train", "val" and "test"."""


def rows(frozen: PyTree, batch: PyTree) -> PyTree:
  """The batch itself, or the rows of the resident data that it numbers."""
  if "data" not in frozen:
    return batch
  return jax.tree.map(
    lambda x: x.at[batch].get(mode="promise_in_bounds"), frozen["data"]
  )


class Arrays(batch_lib.Rows, Protocol):
  """Examples that can be put on the devices as a whole."""

  @property
  def spec(self) -> Mapping[str, tuple[tuple[int, ...], np.dtype]]:
    """{key of a batch: (shape without its first axis, type)}, also of abstract data."""

  def arrays(self) -> Mapping[str, np.ndarray]:
    """All of them as one batch."""


def specs(split: Arrays, size: int) -> dict[str, jax.ShapeDtypeStruct]:
  """Shapes and types of a batch of so many examples."""
  return {
    name: jax.ShapeDtypeStruct((size, *shape), dtype)
    for name, (shape, dtype) in split.spec.items()
  }


def resident_arrays(split: Arrays) -> PyTree:
  """All examples, or their specs if the data are abstract."""
  abstract = not hasattr(split.features, "dtype")
  return specs(split, len(split)) if abstract else split.arrays()


def training(
  split: batch_lib.Rows, size: int, *, seed: int, steps: int, resident: bool
) -> Batches:
  """This process's batches of a run: row numbers if the split is resident."""
  order = batch_lib.IndexBatches(
    len(split), size, seed=seed, rank=jax.process_index(), count=jax.process_count()
  )
  return order if resident else batch_lib.stream_batches(split, order, steps)


def steps_per_epoch(split: batch_lib.Rows, size: int) -> int:
  """Number of whole batches.

  Raises:
    UserError: there is none.
  """
  if len(split) < size:
    raise UserError(
      f"config.batch_size is {size}, more than the {len(split)} training examples."
    )
  return len(split) // size


def whole(split: batch_lib.Rows, size: int) -> Iterator[dict[str, np.ndarray]]:
  """All rows, the same in every process, in batches of one shape with a mask."""
  return batch_lib.padded_batches(split, size)


def split_batches(
  config: ConfigDict, data: DataSet, split: str
) -> Iterator[dict[str, np.ndarray]]:
  """This process's rows of a split, in batches of one shape with a mask.

  Raises:
    UserError: there is no such split.
  """
  if split not in data.splits:
    raise UserError(
      f"config.eval.split is {split!r}; {data.name} has {', '.join(data.splits)}."
    )
  examples, devices = data.splits[split], jax.device_count()
  size = -(-config.eval.batch_size // devices) * devices  # padding is masked anyway
  rank, count = jax.process_index(), jax.process_count()
  return batch_lib.padded_batches(examples, size, rank=rank, count=count)
