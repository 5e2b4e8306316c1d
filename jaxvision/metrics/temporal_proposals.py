"""Average recall of temporal proposals against their number (AR@AN)."""

from collections.abc import Sequence

import numpy as np

from jaxvision.metrics.segments import Segments, check_predictions, check_truth
from jaxvision.metrics.temporal_detection import check_thresholds
from jaxvision.metrics.temporal_pairs import (
  Pairs,
  Spans,
  overlapping_pairs,
  positions,
  ranked_by_group,
)
from jaxvision.typing import Float, Int

_POINTS = 100  # of the curve, whatever max_proposals is, as in the official code


def average_recall(
  truth: Segments,
  proposals: Segments,
  thresholds: Sequence[float] | Float[np.ndarray, " threshold"],
  *,
  max_proposals: float | None = 100,
) -> tuple[Float[np.ndarray, " point"], Float[np.ndarray, "threshold point"], float]:
  """Recall of class-agnostic proposals as their average number a video grows.

  The rule of ActivityNet's evaluator. Every video keeps the same share of its
  proposals, the best ones, such that `max_proposals` a video are left on average; the
  curve has 100 points, each a share of those. An instance is found if any proposal
  reaches the threshold: there is no one-to-one matching. The share counts all
  proposals, also those of videos without an instance. Ties of scores: the earlier row.

  Args:
    truth: instances; labels are ignored. One that ends before it starts is not found.
    proposals: scored segments in any order; labels are ignored.
    thresholds: in (0, 1], in any order; the challenge averages .5 : .05 : .95.
    max_proposals: average number of proposals a video at the end of the curve; None
      keeps all.

  Returns:
    The average number of proposals a video [100], the recall [threshold, 100] (AR is
    its mean over thresholds), and the area under AR by the last average number: in
    [0, 1], where the official code prints per cent.

  Raises:
    ValueError: malformed segments, no truth, a threshold outside (0, 1], or
      max_proposals that is not above 0.
  """
  truth, proposals = check_truth(truth), check_predictions(proposals, "proposals")
  thresholds = check_thresholds(thresholds)
  if not len(truth.video) or not len(thresholds):
    raise ValueError("average recall needs at least one instance and one threshold")
  if max_proposals is not None and not max_proposals > 0:
    raise ValueError(f"max_proposals is {max_proposals}; it must be above 0, or None")
  videos, video = np.unique(truth.video, return_inverse=True)
  group = positions(proposals.video, videos)
  total = np.bincount(group, minlength=len(videos) + 1)[:-1]
  limit = len(group) / len(videos) if max_proposals is None else float(max_proposals)
  # Both shares are truncated to integers, so their operations are in official order.
  kept = _share(total, limit * len(videos) / max(len(group), 1))
  ranked = Spans.of(proposals, ranked_by_group(group, proposals.score))
  first = np.cumsum(total) - total
  rank = _first_ranks(Spans.of(truth), ranked, first[video], kept[video], thresholds)
  share = np.arange(1, _POINTS + 1) / 100.0 * (limit * len(videos) / max(kept.sum(), 1))
  recall = _recall(rank, kept[video], share)
  number = share * (kept.sum() / len(videos))
  return number, recall, _area(number, recall.mean(axis=0))


def _share(
  count: Int[np.ndarray, "*n"], share: Float[np.ndarray, "*points"] | float
) -> Int[np.ndarray, "..."]:
  """The share of each count, rounded down, at most all."""
  return np.minimum((count * share).astype(np.int64), count)


def _first_ranks(
  truth: Spans,
  ranked: Spans,
  first: Int[np.ndarray, " instance"],
  kept: Int[np.ndarray, " instance"],
  thresholds: Float[np.ndarray, " threshold"],
) -> Int[np.ndarray, "threshold instance"]:
  """Rank in its video, from 1, of the best proposal that finds an instance; 0: none.

  The proposals of its video that are kept begin at `first`, the best one, in `ranked`.
  """
  pairs = overlapping_pairs(truth, ranked, first, kept, at_least=thresholds.min())
  pairs = _records(pairs)
  ranks = np.zeros((len(thresholds), len(first)), np.int64)
  for row, threshold in zip(ranks, thresholds, strict=True):
    enough = np.flatnonzero(pairs.iou >= threshold)
    best = enough[np.flatnonzero(np.diff(pairs.owner[enough], prepend=-1))]
    owner = pairs.owner[best]
    row[owner] = pairs.member[best] - first[owner] + 1
  return ranks


def _records(pairs: Pairs) -> Pairs:
  """Drops pairs with less IoU than an earlier one of their owner: never the first.

  One running maximum over all owners, each lifted above those before it. The sum is
  rounded, but in order: a record may gain company, and is never lost.
  """
  lifted = 2.0 * pairs.owner + pairs.iou
  return pairs.take(np.flatnonzero(lifted == np.maximum.accumulate(lifted)))


def _recall(
  rank: Int[np.ndarray, "threshold instance"],
  kept: Int[np.ndarray, " instance"],
  share: Float[np.ndarray, " point"],
) -> Float[np.ndarray, "threshold point"]:
  """Share of the instances whose rank is within the share of their video's proposals.

  Videos that keep equally many allow the same ranks at all points. These ascend, so the
  first point that allows a rank is found in all the tables, laid end to end, at once.
  """
  sizes, table = np.unique(kept, return_inverse=True)
  allowed = _share(sizes[:, None], share)
  width = int(sizes.max()) + 1  # lifts a table above the one before it
  lifted = (allowed + width * np.arange(len(sizes))[:, None]).ravel()
  recall = np.empty((len(rank), len(share)))
  for row, ranks in zip(recall, rank, strict=True):
    found = np.flatnonzero(ranks)
    at = np.searchsorted(lifted, ranks[found] + width * table[found])
    point = at - len(share) * table[found]
    counts = np.bincount(point, minlength=len(share))[: len(share)]
    row[:] = np.cumsum(counts) / len(kept)
  return recall


def _area(
  number: Float[np.ndarray, " point"], ar: Float[np.ndarray, " point"]
) -> float:
  """Area under AR by the last number of proposals; 0 if no proposal was kept."""
  return float(np.trapezoid(ar, number) / number[-1]) if number[-1] > 0 else 0.0
