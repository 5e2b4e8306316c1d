"""Brings batches from a stage to the loop, and clocks how long the loop waits."""

import time
from collections.abc import Iterator

import grain
from jax.sharding import Mesh

from jaxvision.train import sharding
from jaxvision.train.program import stack
from jaxvision.train.stage import Batches
from jaxvision.typing import PyTree

THREADS, PREFETCHED = 2, 4


class Feeder:
  """Batches from a step on, stacked for a dispatch and placed on the mesh.

  Attributes:
    seconds: that the loop has waited here.
  """

  def __init__(self, batches: Batches, start: int, steps: int):
    """Reads ahead in threads if `batches` is a `grain.MapDataset`."""
    self.seconds = 0.0
    self._iterator = _iterate(batches, start, steps)

  def take(self, count: int, size: int, mesh: Mesh) -> PyTree:
    """Returns the next `count` batches as one stack of `size`, on the devices."""
    begin = time.perf_counter()
    batches = stack([next(self._iterator) for _ in range(count)], size)
    placed = sharding.place_batch(batches, mesh, axis=1)
    self.seconds += time.perf_counter() - begin
    return placed


def _iterate(batches: Batches, start: int, steps: int) -> Iterator[PyTree]:
  if isinstance(batches, grain.MapDataset):
    options = grain.ReadOptions(num_threads=THREADS, prefetch_buffer_size=PREFETCHED)
    return iter(batches[start:steps].to_iter_dataset(options))
  return (batches[i] for i in range(start, steps))
