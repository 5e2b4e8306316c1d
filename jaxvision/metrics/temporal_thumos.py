"""Average precision of temporal detections, by the rule of the THUMOS14 devkit."""

import numpy as np

from jaxvision.metrics.segments import Segments, check_predictions, check_truth
from jaxvision.metrics.temporal_matching import (
  average_precision,
  candidate_pairs,
  matched_in_turn,
  rank_detections,
  rank_in_group,
)
from jaxvision.typing import Bool, Float


def thumos_average_precision(
  truth: Segments,
  predictions: Segments,
  threshold: float,
  *,
  ambiguous: Segments | None = None,
) -> Float[np.ndarray, " class"]:
  """Average precision of each class of the truth, as `TH14evalDet.m` counts it.

  Unlike ActivityNet's rule (`detection_average_precision`), the instances choose: in
  the order of `truth`, each takes the free detection of its video and class with the
  largest IoU, which must *exceed* the threshold. A detection that is left over is a
  false positive, or is dropped if it intersects an ambiguous interval of its video. AP
  is the mean over the instances of the precision at their detections, not interpolated.

  Of detections with one IoU the higher score is taken, of one score the earlier row.

  Args:
    truth: instances in the order of the annotation files, which matters.
    predictions: scored segments in any order.
    threshold: temporal IoU in [0, 1); the benchmark uses .1 : .1 : .5 or .3 : .1 : .7.
    ambiguous: intervals in which detections of any class are not judged; labels are
      ignored.

  Returns:
    AP in [0, 1], float64, of the classes `np.unique(truth.label)`; 0 for one without
    detections. The benchmark's mAP is the mean.

  Raises:
    ValueError: malformed segments, or a threshold outside [0, 1).
  """
  truth, predictions = check_truth(truth), check_predictions(predictions)
  if not 0 <= threshold < 1:
    raise ValueError(f"threshold is {threshold}; give an IoU in [0, 1)")
  classes, positives = np.unique(truth.label, return_counts=True)
  if not len(classes):
    return np.zeros(0)
  ranked = rank_detections(predictions, classes)
  detections, column = ranked.segments, ranked.column
  true = _chosen(detections, truth, threshold)
  if ambiguous is not None:
    dropped = _intersects(detections, check_truth(ambiguous, "ambiguous")) & ~true
    true, column = true[~dropped], column[~dropped]
  rank = rank_in_group(column)
  return average_precision(column[true], rank[true], positives, interpolate=False)


def _chosen(
  detections: Segments, truth: Segments, threshold: float
) -> Bool[np.ndarray, " detection"]:
  """Which of the ranked detections the instances take, in the order of the truth."""
  above = np.nextafter(threshold, 1)
  pairs, _ = candidate_pairs(detections, truth, at_least=above)
  pairs = pairs.take(np.lexsort((pairs.owner, -pairs.iou, pairs.member)))
  n = len(detections.video)
  matched = matched_in_turn(pairs.member, pairs.owner, n)
  chosen = np.zeros(n, bool)
  chosen[pairs.owner[matched]] = True
  return chosen


def _intersects(
  detections: Segments, intervals: Segments
) -> Bool[np.ndarray, " detection"]:
  """Which detections share time with an interval of their video, whatever the class."""
  pairs, _ = candidate_pairs(
    _unlabelled(detections), _unlabelled(intervals), at_least=0
  )
  touched = np.zeros(len(detections.video), bool)
  touched[pairs.owner] = True
  return touched


def _unlabelled(segments: Segments) -> Segments:
  return segments._replace(label=np.zeros_like(segments.label))
