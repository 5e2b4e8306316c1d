"""Where the matches of a query stand in its ranked list, without the list.

An evaluator needs the ranks of a query's few matches, not the order of the whole
gallery. Sorting the *values* of a row is several times as fast as sorting its indices,
and a binary search then tells how many gallery entries are nearer than a match. Junk
is few as well, and is subtracted by counting. Queries are taken some at a time, on
threads (numpy sorts without holding Python's lock), so memory beyond the distances is
a few blocks.
"""

import concurrent.futures
import os
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jaxvision.typing import Bool, Float, Int

# Distances sorted at a time by one thread: a few megabytes.
_ENTRIES = 1 << 20
_MANY = 64  # tied entries of a row from where on a sort is cheaper than counting each
_MOST_THREADS = 8  # bounds the memory on machines with many cores

Rows = Int[np.ndarray, " pair"]
Scores = tuple[np.ndarray, ...]


class Hits(NamedTuple):
  """Matches that are not junk, ascending in query, then in rank.

  Attributes:
    query: row of the query in its block.
    rank: 0-based place in the query's list after the junk has left it.
    number: 0, 1, ... within the query.
  """

  query: Rows
  rank: Rows
  number: Rows


class Problem(NamedTuple):
  """What there is to rank.

  Attributes:
    distances: from a slice of query rows to their distances from the whole gallery.
    query_ids: a gallery entry of the same id is a match, or junk.
    gallery_ids: of the gallery.
    junk: (query rows, gallery rows) of pairs with the same id -> which of them are
      junk: neither right nor wrong, removed from the list.
  """

  distances: Callable[[slice], Float[np.ndarray, "b g"]]
  query_ids: Int[np.ndarray, " q"]
  gallery_ids: Int[np.ndarray, " g"]
  junk: Callable[[Rows, Rows], Bool[np.ndarray, " pair"]]


def score_queries(
  problem: Problem, score: Callable[[Hits, int], Scores], *, block: int | None = None
) -> Scores:
  """Scores every query from its hits, a block of queries at a time.

  Args:
    problem: what to rank.
    score: (hits, number of queries b of the block) -> arrays with b rows each.
    block: queries at a time; by default about a million distances.

  Returns:
    The arrays of `score` for all queries.

  Raises:
    ValueError: a distance is NaN.
  """
  gallery = _ById.of(problem.gallery_ids)
  count = len(problem.query_ids)
  block = block or max(1, _ENTRIES // max(1, len(problem.gallery_ids)))

  def run(start: int) -> Scores:
    rows = slice(start, min(start + block, count))
    query, member = gallery.pairs(problem.query_ids[rows])
    junk = problem.junk(query + start, member)
    hits = ranked_hits(problem.distances(rows), query, member, junk)
    return score(hits, rows.stop - start)

  threads = min(os.cpu_count() or 1, _MOST_THREADS)
  with concurrent.futures.ThreadPoolExecutor(threads) as pool:
    parts = list(pool.map(run, range(0, count, block)))
  return tuple(np.concatenate(field) for field in zip(*parts, strict=True))


class _ById(NamedTuple):
  """Rows of the gallery, grouped by id."""

  row: Int[np.ndarray, " g"]
  id: Int[np.ndarray, " g"]  # ascending

  @classmethod
  def of(cls, ids: Int[np.ndarray, " g"]) -> "_ById":
    row = np.argsort(ids, kind="stable")
    return cls(row, ids[row])

  def pairs(self, query_ids: Int[np.ndarray, " b"]) -> tuple[Rows, Rows]:
    """All (query, gallery row) of one id, ascending."""
    first = np.searchsorted(self.id, query_ids, side="left")
    count = np.searchsorted(self.id, query_ids, side="right") - first
    query = np.repeat(np.arange(len(query_ids)), count)
    shift = first - (np.cumsum(count) - count)
    return query, self.row[np.arange(len(query)) + np.repeat(shift, count)]


def ranked_hits(
  distances: Float[np.ndarray, "b g"],
  query: Rows,
  member: Rows,
  junk: Bool[np.ndarray, " pair"],
) -> Hits:
  """Ranks the pairs of one id and takes the junk out.

  Args:
    distances: of a block of queries.
    query: row of each pair, ascending.
    member: gallery row of each pair.
    junk: which pairs to remove from their lists.

  Raises:
    ValueError: a distance is NaN.
  """
  rank = stable_ranks(distances, query, member)
  order = np.lexsort((rank, query))
  query, rank, junk = query[order], rank[order], junk[order]
  # Only pairs of one id can be junk, so all junk is among the pairs.
  before = np.cumsum(junk) - junk
  rank = rank - (before - before[_first_of(query)])
  query, rank = query[~junk], rank[~junk]
  return Hits(query, rank, np.arange(len(query)) - _first_of(query))


def _first_of(group: Rows) -> Rows:
  """Position of the first row of each row's group; groups ascend."""
  return np.searchsorted(group, group)


def stable_ranks(
  distances: Float[np.ndarray, "b g"], query: Rows, member: Rows
) -> Rows:
  """0-based ranks of some entries in their rows: `argsort(kind="stable")`, inverted.

  Args:
    distances: one ranking a row; equal distances rank in the order of the gallery.
    query: row of each entry, ascending.
    member: column of each entry.

  Raises:
    ValueError: a distance is NaN.
  """
  ascending = np.sort(distances, axis=1)
  if np.isnan(ascending[:, -1:]).any():  # NaN sorts last
    raise ValueError("distances hold NaN, which has no rank; mend the features")
  value = distances[query, member]
  cuts = np.searchsorted(query, np.arange(len(distances) + 1)).tolist()
  rank = np.empty(len(query), np.int64)
  for row, start, stop in zip(ascending, cuts[:-1], cuts[1:], strict=True):
    rank[start:stop] = row.searchsorted(value[start:stop])
  following = np.minimum(rank + 1, distances.shape[1] - 1)
  tied = (following > rank) & (ascending[query, following] == value)
  pairs = np.flatnonzero(tied)
  starts = np.flatnonzero(np.diff(query[pairs], prepend=-1))
  for some in np.split(pairs, starts[1:]) if len(pairs) else []:
    rank[some] = _ranks_of_tied(distances[query[some[0]]], member[some], rank[some])
  return rank


def _ranks_of_tied(row: Float[np.ndarray, " g"], member: Rows, nearer: Rows) -> Rows:
  """Ranks of tied entries of one row: `nearer` ones and equal ones before them.

  In float32 a few entries in a hundred are tied by rounding, so this must be fast too.
  """
  if len(member) > _MANY:
    place = np.empty(len(row), np.int64)
    place[np.argsort(row, kind="stable")] = np.arange(len(row))
    return place[member]
  equal = [np.count_nonzero(row[:m] == row[m]) for m in member.tolist()]
  return nearer + equal


def sums(
  hits: Hits, values: Float[np.ndarray, " hit"], count: int
) -> Float[np.ndarray, " b"]:
  """Sums values of the hits of each of the `count` queries."""
  total = np.bincount(hits.query, weights=values, minlength=count)
  return total.astype(np.float64, copy=False)  # of no hits, numpy counts in integers
