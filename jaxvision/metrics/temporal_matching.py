"""Matching of ranked detections with instances, and average precision."""

from typing import NamedTuple

import numpy as np

from jaxvision.metrics.segments import Segments
from jaxvision.metrics.temporal_pairs import (
  Pairs,
  Spans,
  overlapping_pairs,
  positions,
  ranked_by_group,
)
from jaxvision.typing import Float, Int


class Ranked(NamedTuple):
  """Detections by class, then descending score; the class is its column."""

  segments: Segments
  column: Int[np.ndarray, " n"]
  rank: Int[np.ndarray, " n"]  # from 1, within the class


def rank_detections(
  predictions: Segments, classes: Int[np.ndarray, " class"]
) -> Ranked:
  """Ranks each of the ascending `classes`, and drops predictions of any other."""
  column = positions(predictions.label, classes)
  order = ranked_by_group(column, predictions.score)
  order = order[: np.count_nonzero(column < len(classes))]
  column = column[order]
  return Ranked(predictions.take(order), column, rank_in_group(column))


def rank_in_group(group: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
  """Numbers the rows of each group, of ascending groups, from 1."""
  return np.arange(1, len(group) + 1) - np.searchsorted(group, group)


def candidate_pairs(
  detections: Segments, truth: Segments, *, at_least: float
) -> tuple[Pairs, int]:
  """Pairs of a detection and an instance of its video and class that overlap enough.

  Returns:
    The pairs, and the number of instances. An instance's number follows the order of
    the truth within its video and class, not over them.
  """
  videos, video = np.unique(truth.video, return_inverse=True)
  classes, column = np.unique(truth.label, return_inverse=True)
  width = len(videos) + 1  # the last one is that of unknown videos
  key = column * width + video
  grouped = Spans.of(truth, np.argsort(key, kind="stable"))
  groups, first, count = np.unique(np.sort(key), return_index=True, return_counts=True)
  wanted = positions(detections.label, classes) * width
  at = positions(wanted + positions(detections.video, videos), groups)
  first, count = np.append(first, 0), np.append(count, 0)  # a group that is not there
  pairs = overlapping_pairs(
    Spans.of(detections), grouped, first[at], count[at], at_least=at_least
  )
  return pairs, len(key)


def matched_in_turn(
  chooser: Int[np.ndarray, " pair"], item: Int[np.ndarray, " pair"], n_items: int
) -> Int[np.ndarray, " match"]:
  """Choosers take turns; each takes the free item that it likes best, if any is left.

  The turns are not played one by one. All choosers ask for their favourite at once, an
  item keeps the one whose turn comes first, the others ask for their next; until nobody
  is turned down. This is deferred acceptance (Gale and Shapley 1962), whose result is
  that of the turns because all items prefer the choosers in the same order.

  Args:
    chooser: ascending: a chooser's number is its turn. Each chooser's pairs are in the
      order of its preference.
    item: what it may take, 0 to n_items - 1.
    n_items: number of items.

  Returns:
    The pairs that matched, ascending: no chooser and no item is in two of them.
  """
  n = len(chooser)
  wish = np.flatnonzero(np.diff(chooser, prepend=-1))
  last = np.append(wish[1:], n)
  while True:
    holder = np.full(n_items, n)
    np.minimum.at(holder, item[wish], wish)
    lost = holder[item[wish]] != wish
    if not lost.any():
      return wish
    wish = wish + lost
    left = wish < last
    wish, last = wish[left], last[left]


def average_precision(
  group: Int[np.ndarray, " hit"],
  rank: Int[np.ndarray, " hit"],
  positives: Int[np.ndarray, " group"],
  *,
  interpolate: bool,
) -> Float[np.ndarray, " group"]:
  """Mean over the instances of a group of the precision where each was found.

  Args:
    group: group of each true positive, ascending.
    rank: its rank among the predictions of the group, from 1; ascending in a group.
    positives: number of instances of a group, at least 1.
    interpolate: take the best precision at this or any later rank (PASCAL VOC 2010).
  """
  n = len(positives)
  hits = np.bincount(group, minlength=n)
  found = np.arange(1, len(group) + 1) - np.repeat(np.cumsum(hits) - hits, hits)
  precision = found / rank
  if interpolate:
    precision = _best_to_come(precision, group)
  return np.bincount(group, weights=precision, minlength=n) / positives


def _best_to_come(
  values: Float[np.ndarray, " n"], group: Int[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
  """Largest value from each row to the end of its group."""
  n = len(values)
  order = np.argsort(values)
  place = np.empty(n, np.int64)
  place[order] = np.arange(n)
  # One running maximum over all groups, from the end: in integers, which are exact, the
  # places of an earlier group are raised above those of all later ones.
  raised = place + n * (group.max(initial=0) - group)
  return values[order[np.maximum.accumulate(raised[::-1])[::-1] % max(n, 1)]]
