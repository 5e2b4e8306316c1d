"""Batches by number: batch i of a run is a pure function of (seed, i).

So the training step is the data position, a resumed run needs no iterator state, and
several processes agree on every batch without talking to each other.
"""

import functools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int32

from jaxvision.data.examples import Batch, Indices
from jaxvision.errors import UserError

if TYPE_CHECKING:
  import grain


class IndexBatches:
  """`batches[i]` holds the indices of the examples of batch i of an endless run.

  Every epoch is a new permutation of all n examples, seeded by (seed, epoch); its last
  incomplete batch is dropped.
  """

  def __init__(
    self, n: int, batch_size: int, *, seed: int, rank: int = 0, count: int = 1
  ) -> None:
    """Describes the batches; computes nothing.

    Args:
      n: number of examples.
      batch_size: examples in a batch, over all processes.
      seed: random seed, 0 or more.
      rank: number of this process, which gets its contiguous rows of each batch.
      count: number of processes.

    Raises:
      UserError: if a batch is larger than the data set or not divisible by `count`.
    """
    if not 1 <= batch_size <= n:
      raise UserError(
        f"a batch of {batch_size} cannot be drawn from {n} training examples: set the"
        f" batch size to 1..{n}."
      )
    self.n, self.batch_size, self.seed = n, batch_size, seed
    self.rows = process_rows(batch_size, rank, count)
    self.per_epoch = n // batch_size
    # Two epochs: prefetching threads work on both sides of an epoch's end.
    self._permutation = functools.lru_cache(maxsize=2)(self._permute)

  def __getitem__(self, i: int) -> Int32[np.ndarray, " b"]:
    """This process's rows of batch i, i = 0, 1, ... without end."""
    if i < 0:
      raise IndexError(f"batch {i}: batches are counted from 0")
    epoch, position = divmod(int(i), self.per_epoch)
    start = position * self.batch_size
    batch = self._permutation(epoch)[start : start + self.batch_size]
    return batch[self.rows]

  def _permute(self, epoch: int) -> Int32[np.ndarray, " n"]:
    rng = np.random.default_rng((self.seed, epoch))
    return rng.permutation(self.n).astype(np.int32)


class JointIndexBatches:
  """Batches of several data sets at once: `batches[i]` holds {name: indices}.

  Each set is permuted by itself, so that no two examples meet again and again.
  """

  def __init__(
    self,
    sizes: Mapping[str, int],
    batch_size: int,
    *,
    seed: int,
    rank: int = 0,
    count: int = 1,
  ) -> None:
    """Describes the batches; arguments and errors as of `IndexBatches`.

    Args:
      sizes: {name: number of examples}.
      batch_size: examples of each.
      seed: random seed.
      rank: number of this process.
      count: number of processes.
    """
    self._each = {}
    for number, (name, n) in enumerate(sizes.items()):
      own = int(np.random.SeedSequence((seed, number)).generate_state(1)[0])
      options = {"seed": own, "rank": rank, "count": count}
      self._each[name] = IndexBatches(n, batch_size, **options)

  def __getitem__(self, i: int) -> dict[str, Int32[np.ndarray, " b"]]:
    """This process's rows of batch i."""
    return {name: batches[i] for name, batches in self._each.items()}


class JointRows:
  """Several data sets, read together at the indices of `JointIndexBatches`."""

  def __init__(self, each: Mapping[str, "Rows"]) -> None:
    """Keeps {name: data set}."""
    self.each = dict(each)

  def __len__(self) -> int:
    """The size of the smallest."""
    return min(map(len, self.each.values()))

  def __getitem__(self, indices: Mapping[str, Indices]) -> dict[str, Batch]:
    """{name: examples at its indices}."""
    return {name: rows[indices[name]] for name, rows in self.each.items()}


def process_rows(batch_size: int, rank: int, count: int) -> slice:
  """The rows of a global batch that process `rank` of `count` works on.

  Raises:
    UserError: if the batch is not divisible by the number of processes.
  """
  if batch_size % count:
    raise UserError(
      f"a batch of {batch_size} cannot be divided among {count} processes: make it a"
      f" multiple of {count}."
    )
  if not 0 <= rank < count:
    raise ValueError(f"rank {rank} is not in 0..{count - 1}")
  rows = batch_size // count
  return slice(rank * rows, (rank + 1) * rows)


@runtime_checkable
class Rows(Protocol):
  """n examples that are read by their numbers, as a dict of arrays."""

  def __len__(self) -> int:
    """The number of examples n."""

  def __getitem__(self, indices: Indices) -> Batch:
    """The examples at `indices`, in that order."""


@runtime_checkable
class Order(Protocol):
  """Which examples batch i of a run holds, as `IndexBatches` tells."""

  def __getitem__(self, i: int, /) -> Indices | dict[str, Indices]:
    """Their numbers: a pure function of `i`."""


def stream_batches(
  examples: Rows | JointRows, indices: Order, steps: int
) -> "grain.MapDataset":
  """Decoded batches for data that do not fit into memory.

  The elements of Grain's source are whole batches, which costs a third less than
  batching decoded examples, and element i is pure in i. `to_iter_dataset` prefetches
  on threads; `[k:]` resumes at step k.

  Args:
    examples: what to read.
    indices: which examples batch i holds.
    steps: number of batches of the run.

  Returns:
    A MapDataset of length `steps`, whose element i equals `examples[indices[i]]`.
  """
  import grain  # costs a second, and data in memory do not need it

  return grain.MapDataset.source(_Batches(examples, indices, steps))


class _Batches:
  """A random access source of whole batches."""

  def __init__(self, examples: Rows | JointRows, indices: Order, steps: int) -> None:
    self._examples, self._indices, self._steps = examples, indices, steps

  def __len__(self) -> int:
    return self._steps

  def __getitem__(self, i: int) -> Batch:
    return self._examples[self._indices[i]]


def padded_batches(
  examples: Rows, batch_size: int, *, rank: int = 0, count: int = 1
) -> Iterator[Batch]:
  """All examples once, in order, in batches of one shape, for evaluation.

  Args:
    examples: n examples; without any there is no batch.
    batch_size: examples in a batch, over all processes.
    rank: number of this process, which gets its contiguous rows of each batch.
    count: number of processes; all of them get equally many batches.

  Yields:
    The examples' arrays, "index", int32[b], their numbers, and "mask", float32[b]; the
    last batch is filled up with the last example, and the mask is 0 there and 1
    elsewhere.

  Raises:
    UserError: if the batch is not divisible by the number of processes.
  """
  rows = np.arange(batch_size)[process_rows(batch_size, rank, count)]
  for start in range(0, len(examples), batch_size):
    positions = start + rows
    index = np.minimum(positions, len(examples) - 1)
    mask = (positions < len(examples)).astype(np.float32)
    yield {**examples[index], "index": index.astype(np.int32), "mask": mask}
