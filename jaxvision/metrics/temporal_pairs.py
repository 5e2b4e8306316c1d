"""Which segments meet: ranks within groups and ragged pairs that overlap.

What the evaluators of temporal detections and proposals share. All of it works on flat
arrays sorted by group, so that neither time nor memory knows the number of videos, only
the number of segments and of pairs that overlap.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from jaxvision.metrics.segments import Segments
from jaxvision.typing import Float, Int

# Pairs whose overlap is computed at a time: few enough to stay in the cache.
_BLOCK = 1 << 14


class Pairs(NamedTuple):
  """Pairs of rows of two tables and their temporal IoU, ascending in owner, member."""

  owner: Int[np.ndarray, " pair"]
  member: Int[np.ndarray, " pair"]
  iou: Float[np.ndarray, " pair"]

  def take(self, rows: np.ndarray) -> "Pairs":
    """The pairs at `rows` (indices or a mask), in that order."""
    return Pairs(*(field[rows] for field in self))


class Spans(NamedTuple):
  """What overlap is computed from: where segments start and end."""

  start: Float[np.ndarray, " n"]
  end: Float[np.ndarray, " n"]

  @classmethod
  def of(
    cls, segments: "Segments | Spans", rows: np.ndarray | slice = slice(None)
  ) -> "Spans":
    """The spans of the segments at `rows`, in that order."""
    return cls(segments.start[rows], segments.end[rows])


def positions(
  values: Int[np.ndarray, " n"], known: Int[np.ndarray, " k"]
) -> Int[np.ndarray, " n"]:
  """Position of each value in the ascending `known`; k where it is not there."""
  k = len(known)
  if not k:
    return np.zeros(len(values), np.int64)
  low, span = known[0], int(known[-1]) - int(known[0]) + 1
  if span > 4 * (len(values) + k):
    at = np.searchsorted(known, values)
    return np.where(known[np.minimum(at, k - 1)] == values, at, k)
  # Ids are mostly row numbers of a list of names: a table beats the search by far.
  table = np.full(span + 1, k)
  table[known - low] = np.arange(k)
  at = values - low
  return table[np.where((at >= 0) & (at < span), at, span)]


def ranked_by_group(
  group: Int[np.ndarray, " n"], score: Float[np.ndarray, " n"]
) -> Int[np.ndarray, " n"]:
  """Rows by ascending group, within a group by descending score, ties as they came.

  It is `np.lexsort((-score, group))`, several times as fast.
  """
  order = _descending(score)
  # Numpy sorts integers of up to 16 bits by radix, in linear time; stable by contract.
  small = group.astype(np.min_scalar_type(int(group.max(initial=0))))
  return order[np.argsort(small[order], kind="stable")]


def _descending(score: Float[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
  """A stable descending order: numpy's fast sort is not, so ties are mended after."""
  order = np.argsort(-score)
  ranked = score[order]
  same = ranked[1:] == ranked[:-1]
  tied = np.flatnonzero(np.append(same, False) | np.append(False, same))
  rows = order[tied]
  order[tied] = rows[np.lexsort((rows, -ranked[tied]))]
  return order


def overlapping_pairs(
  owners: Spans,
  members: Spans,
  first: Int[np.ndarray, " owner"],
  count: Int[np.ndarray, " owner"],
  *,
  at_least: float,
) -> Pairs:
  """Pairs of owner i with members first[i] to first[i] + count[i] - 1 that overlap.

  Args:
    owners: whose candidates are neighbours in `members`.
    members: sorted such that candidates are neighbours.
    first: row of the first candidate.
    count: number of candidates.
    at_least: smallest IoU to keep. Pairs without intersection are never kept; hence a
      segment without length, or running backwards, is in no pair.
  """
  blocks = []
  for rows in _row_blocks(count):
    owner, member = _neighbours(first[rows], count[rows])
    some = Spans.of(owners, rows)
    start = np.maximum(some.start[owner], members.start[member])
    shared = np.minimum(some.end[owner], members.end[member]) - start
    near = np.flatnonzero(shared > 0)
    shared, owner, member = shared[near], owner[near], member[near]
    lengths = (some.end - some.start)[owner] + (
      members.end[member] - members.start[member]
    )
    iou = shared / (lengths - shared)
    keep = iou >= at_least
    blocks.append(Pairs(owner[keep] + rows.start, member[keep], iou[keep]))
  return Pairs(*(np.concatenate(fields) for fields in zip(*blocks, strict=True)))


def _row_blocks(count: Int[np.ndarray, " owner"]) -> Iterator[slice]:
  """Slices of the owners with about `_BLOCK` pairs each (or one owner with more)."""
  total = np.cumsum(count)
  n_pairs = int(total[-1]) if len(total) else 0
  cuts = np.searchsorted(total, np.arange(_BLOCK, n_pairs, _BLOCK), side="right")
  edges = [0, *np.unique(cuts[(cuts > 0) & (cuts < len(count))]).tolist(), len(count)]
  return (slice(a, b) for a, b in pairwise(edges))


def _neighbours(
  first: Int[np.ndarray, " owner"], count: Int[np.ndarray, " owner"]
) -> tuple[Int[np.ndarray, " pair"], Int[np.ndarray, " pair"]]:
  """Lists owner i, count[i] times, beside first[i], first[i] + 1, ..."""
  owner = np.repeat(np.arange(len(count)), count)
  shift = first - (np.cumsum(count) - count)
  return owner, np.arange(len(owner)) + np.repeat(shift, count)
