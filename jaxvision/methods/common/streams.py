"""Batches of several data sets at once, resident on the devices or streamed."""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxvision.data import batches as batch_lib
from jaxvision.methods.common import batching
from jaxvision.train.stage import Batches
from jaxvision.typing import PyTree


class Streams(NamedTuple):
  """Data sets that every step sees a batch of.

  Attributes:
    each: {name: examples}.
    size: of a batch of each.
    resident: whether all of them stay on the devices; a batch is row numbers then.
  """

  each: Mapping[str, batching.Arrays]
  size: int
  resident: bool

  @property
  def spec(self) -> PyTree:
    """Shapes and types of a batch."""
    rows = jax.ShapeDtypeStruct((self.size,), jnp.int32)
    return {
      name: rows if self.resident else batching.specs(examples, self.size)
      for name, examples in self.each.items()
    }

  @property
  def steps_per_epoch(self) -> int:
    """Number of whole batches of the largest data set."""
    return max(batching.steps_per_epoch(x, self.size) for x in self.each.values())

  def frozen(self) -> PyTree:
    """{"data": {name: all examples}} of resident data, else nothing."""
    if not self.resident:
      return {}
    return {"data": {k: batching.resident_arrays(x) for k, x in self.each.items()}}

  def batches(self, seed: int, steps: int) -> Batches:
    """This process's batches of a run."""
    rank, count = jax.process_index(), jax.process_count()
    sizes = {name: len(examples) for name, examples in self.each.items()}
    order = batch_lib.JointIndexBatches(
      sizes, self.size, seed=seed, rank=rank, count=count
    )
    if self.resident:
      return order
    return batch_lib.stream_batches(batch_lib.JointRows(self.each), order, steps)

  def rows(self, frozen: PyTree, batch: PyTree) -> PyTree:
    """{name: examples} of a batch."""
    if not self.resident:
      return batch
    data = frozen["data"]
    return {k: batching.rows({"data": data[k]}, batch[k]) for k in self.each}
