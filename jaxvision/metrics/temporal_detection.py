"""Average precision of temporal detections, by the rule of ActivityNet."""

from collections.abc import Sequence

import numpy as np

from jaxvision.metrics.segments import Segments, check_predictions, check_truth
from jaxvision.metrics.temporal_matching import (
  Ranked,
  average_precision,
  candidate_pairs,
  matched_in_turn,
  rank_detections,
)
from jaxvision.metrics.temporal_pairs import Pairs
from jaxvision.typing import Float, Int


def detection_average_precision(
  truth: Segments,
  predictions: Segments,
  thresholds: Sequence[float] | Float[np.ndarray, " threshold"],
) -> Float[np.ndarray, "threshold class"]:
  """Average precision of each class of the truth at each threshold of temporal IoU.

  The rule of ActivityNet's evaluator: within a class, the predictions of all videos
  take turns by descending score; each takes the free instance of its video with the
  highest IoU that is at least the threshold, or is a false positive. AP is the area
  under the interpolated precision and recall curve. Matching is by threshold: what an
  instance is taken by at .5 may leave it free at .75.

  A class without predictions has AP 0; predictions of a class that the truth does not
  know are ignored, those of a video that it does not know are false positives. Where
  the official code leaves ties to an unstable sort, the earlier row comes first here,
  of predictions with one score and of instances with one IoU. Where it divides 0 by 0,
  two segments without length, they do not overlap here.

  Args:
    truth: instances; one that ends before it starts counts and is never found.
    predictions: scored segments in any order.
    thresholds: in (0, 1], in any order; the challenge averages .5 : .05 : .95.

  Returns:
    AP in [0, 1], float64; the columns are `np.unique(truth.label)`.

  Raises:
    ValueError: malformed segments (see `check_truth`, `check_predictions`) or a
      threshold outside (0, 1].
  """
  truth, predictions = check_truth(truth), check_predictions(predictions)
  thresholds = check_thresholds(thresholds)
  classes, positives = np.unique(truth.label, return_counts=True)
  if not len(classes) or not len(thresholds):
    return np.zeros((len(thresholds), len(classes)))
  ranked = rank_detections(predictions, classes)
  pairs, n_items = candidate_pairs(ranked.segments, truth, at_least=thresholds.min())
  pairs = pairs.take(np.lexsort((pairs.member, -pairs.iou, pairs.owner)))
  return np.stack(
    [
      average_precision(*_hits(ranked, pairs, n_items, t), positives, interpolate=True)
      for t in thresholds
    ]
  )


def check_thresholds(
  thresholds: Sequence[float] | Float[np.ndarray, " threshold"],
) -> Float[np.ndarray, " threshold"]:
  """Thresholds as a float64 vector.

  Raises:
    ValueError: no vector, or a threshold outside (0, 1].
  """
  values = np.asarray(thresholds, np.float64)
  if values.ndim != 1 or not np.all((values > 0) & (values <= 1)):
    raise ValueError(f"thresholds are {thresholds}; give a list of IoUs in (0, 1]")
  return values


def _hits(
  ranked: Ranked, pairs: Pairs, n_items: int, threshold: float
) -> tuple[Int[np.ndarray, " hit"], Int[np.ndarray, " hit"]]:
  """Class and rank of the true positives at a threshold."""
  pairs = pairs.take(pairs.iou >= threshold)
  hit = pairs.owner[matched_in_turn(pairs.owner, pairs.member, n_items)]
  return ranked.column[hit], ranked.rank[hit]
