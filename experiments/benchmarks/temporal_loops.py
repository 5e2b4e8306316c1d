"""The rules of temporal evaluation as plain loops, to be read and to be beaten.

They share no code with the package: one prediction, or one instance, at a time, matched
as the rule says it. The tests hold the metrics against them, the benchmark times them.
Equal scores, and equal overlaps, come in the order of the rows.
"""

import numpy as np

from jaxvision.metrics.temporal import Segments


def overlap(start: float, end: float, segments: Segments, rows: np.ndarray):
  """Temporal IoU of one segment with those at `rows`; 0 where they do not meet."""
  starts, ends = segments.start[rows], segments.end[rows]
  shared = np.clip(np.minimum(end, ends) - np.maximum(start, starts), 0, None)
  union = (end - start) + (ends - starts) - shared
  return np.divide(shared, union, out=np.zeros_like(shared), where=shared > 0)


def rows_of(ids: np.ndarray) -> dict[int, np.ndarray]:
  """The rows of each id, in their order."""
  order = np.argsort(ids, kind="stable")
  names, first = np.unique(ids[order], return_index=True)
  return dict(zip(names.tolist(), np.split(order, first[1:]), strict=False))


def best_first(segments: Segments, rows: np.ndarray) -> np.ndarray:
  """The rows by descending score."""
  return rows[np.argsort(-segments.score[rows], kind="stable")]


NONE = np.zeros(0, int)


def detection_average_precision(
  truth: Segments, predictions: Segments, thresholds: np.ndarray
) -> np.ndarray:
  """ActivityNet's AP [threshold, class]."""
  detections = rows_of(predictions.label)
  columns = []
  for label, instances in rows_of(truth.label).items():
    ranked = best_first(predictions, detections.get(label, NONE))
    hits = _hits(truth, instances, predictions, ranked, thresholds)
    columns.append([_interpolated(row, len(instances)) for row in hits.T])
  return np.array(columns).T


def _hits(truth, instances, predictions, ranked, thresholds):
  where = {v: instances[rows] for v, rows in rows_of(truth.video[instances]).items()}
  free = np.ones((len(truth.video), len(thresholds)), bool)
  hits = np.zeros((len(ranked), len(thresholds)), bool)
  videos = predictions.video[ranked].tolist()
  for hit, row, video in zip(hits, ranked, videos, strict=True):
    if video not in where:
      continue
    rows = where[video]
    iou = overlap(predictions.start[row], predictions.end[row], truth, rows)
    for best in np.argsort(-iou, kind="stable"):
      takes = free[rows[best]] & ~hit & (iou[best] >= thresholds)
      hit |= takes
      free[rows[best]] &= ~takes
  return hits


def _interpolated(hits, positives):
  precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
  best = np.maximum.accumulate(precision[::-1])[::-1]
  return best[hits].sum() / positives


def average_recall(
  truth: Segments, proposals: Segments, thresholds: np.ndarray, *, max_proposals: float
) -> tuple[np.ndarray, np.ndarray]:
  """ActivityNet's average number [100] and recall [threshold, 100]."""
  instances, found = rows_of(truth.video), rows_of(proposals.video)
  share = max_proposals * len(instances) / len(proposals.video)
  kept = {}
  for video in instances:
    ranked = best_first(proposals, found.get(video, NONE))
    kept[video] = ranked[: int(len(ranked) * share)]
  total = sum(len(rows) for rows in kept.values())
  points = np.arange(1, 101) / 100.0 * (max_proposals * len(instances) / max(total, 1))
  counts = np.zeros((len(thresholds), 100))
  for video, rows in instances.items():
    n = len(kept[video])
    allowed = np.minimum((n * points).astype(int), n)
    for row in rows:
      iou = overlap(truth.start[row], truth.end[row], proposals, kept[video])
      enough = iou >= thresholds[:, None]
      first = np.where(enough.any(axis=1), np.argmax(enough, axis=1), n) if n else NONE
      counts += first[:, None] < allowed if n else 0
  return points * (total / len(instances)), counts / len(truth.video)


def thumos_average_precision(
  truth: Segments, predictions: Segments, threshold: float, ambiguous: Segments
) -> np.ndarray:
  """The THUMOS14 devkit's AP [class]."""
  unclear, detections = rows_of(ambiguous.video), rows_of(predictions.label)
  values = []
  for label, instances in rows_of(truth.label).items():
    ranked = best_first(predictions, detections.get(label, NONE))
    taken = np.zeros(len(ranked), bool)
    for row in instances:
      iou = overlap(truth.start[row], truth.end[row], predictions, ranked)
      iou[taken | (predictions.video[ranked] != truth.video[row])] = 0
      if len(iou) and iou.max() > threshold:
        taken[np.argmax(iou)] = True
    judged = [
      hit or not _touches(predictions, row, ambiguous, unclear)
      for hit, row in zip(taken, ranked, strict=True)
    ]
    hits = taken[np.array(judged, bool)]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    values.append(precision[hits].sum() / len(instances))
  return np.array(values)


def _touches(predictions, row, ambiguous, unclear):
  rows = unclear.get(int(predictions.video[row]), NONE)
  return (
    overlap(predictions.start[row], predictions.end[row], ambiguous, rows).max(
      initial=0
    )
    > 0
  )


def nms(
  segments: np.ndarray, classes: np.ndarray, scores: np.ndarray, *, threshold: float,
  keep: int,
) -> np.ndarray:  # fmt: skip
  """Candidates of one video that greedy suppression keeps, best first."""
  order, kept = np.argsort(-scores, kind="stable"), []
  while len(order) and len(kept) < keep:
    best, order = order[0], order[1:]
    kept.append(best)
    rivals = _rivals(segments, classes, best, order)
    order = order[rivals < threshold]
  return np.array(kept, int)


def soft_nms(
  segments: np.ndarray, classes: np.ndarray, scores: np.ndarray, *, sigma: float,
  keep: int,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
  """Candidates in the order in which soft suppression takes them, and their scores."""
  left, scores = np.arange(len(scores)), scores.copy()
  kept, found = [], []
  while len(left) and len(kept) < keep:
    best = left[np.argmax(scores[left])]
    kept.append(best)
    found.append(scores[best])
    left = left[left != best]
    scores[left] *= np.exp(-(_rivals(segments, classes, best, left) ** 2) / sigma)
  return np.array(kept, int), np.array(found)


def _rivals(segments, classes, best, rows):
  """IoU of one candidate with others; 0 for those of other classes."""
  (start, end), (starts, ends) = segments[best], segments[rows].T
  shared = np.clip(np.minimum(end, ends) - np.maximum(start, starts), 0, None)
  iou = shared / ((end - start) + (ends - starts) - shared)
  return np.where(classes[rows] == classes[best], iou, 0)
