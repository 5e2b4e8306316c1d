"""Metrics of instance retrieval: the N-S score of UK-Bench and the mAP of Holidays."""

import numpy as np

from jaxvision.metrics.retrieval_distances import widened
from jaxvision.metrics.retrieval_ranking import Hits, Problem, score_queries, sums
from jaxvision.typing import Array, Float, Int


def ns_score(
  distances: Float[np.ndarray | Array, "n n"], group: Int[np.ndarray | Array, " n"]
) -> float:
  """N-S score of UK-Bench (Nister and Stewenius, CVPR 2006).

  Every image queries all images, itself included; the score is the mean number of
  members of its group among the first four. With groups of four it is within [1, 4] if
  every image is nearest to itself.

  Args:
    distances: between all images; smaller is nearer.
    group: of each image; in UK-Bench the image's index // 4.

  Raises:
    ValueError: sizes that do not match, no image, or NaN.
  """
  distances, group = _square(distances, group)

  def found(hits: Hits, count: int) -> tuple[np.ndarray]:
    return (sums(hits, (hits.rank < 4).astype(float), count),)

  problem = Problem(
    lambda rows: widened(distances[rows]), group, group, lambda q, m: q < 0
  )
  return float(score_queries(problem, found)[0].mean())


def holidays_map(
  distances: Float[np.ndarray | Array, "n n"], number: Int[np.ndarray | Array, " n"]
) -> float:
  """Mean average precision of INRIA Holidays (Jegou, Douze, Schmid; ECCV 2008).

  The images numbered by multiples of 100 are the queries; each is removed from its own
  ranking, and the images with the same `number // 100` are its positives. The
  precision and recall curve is integrated by the trapezoid rule, as the data set's own
  evaluation does.

  Args:
    distances: between all images, queries included; smaller is nearer.
    number: six-digit number of each image, which is its file's name.

  Raises:
    ValueError: sizes that do not match, NaN, no query, or a query without positives.
  """
  distances, number = _square(distances, number)
  queries = np.flatnonzero(number % 100 == 0)
  if not len(queries):
    raise ValueError("no number is a multiple of 100; queries of Holidays are")

  problem = Problem(
    lambda rows: widened(distances[queries[rows]]),
    number[queries] // 100,
    number // 100,
    lambda query, member: queries[query] == member,
  )
  ap, positives = score_queries(problem, _trapezoid_block)
  if not positives.all():
    lone = number[queries[positives.argmin()]]
    raise ValueError(f"query {lone} has no positive; give all images of its group")
  return float(ap.mean())


def _trapezoid_block(hits: Hits, count: int) -> tuple[np.ndarray, np.ndarray]:
  positives = np.bincount(hits.query, minlength=count)
  areas = sums(hits, _trapezoids(hits.rank, hits.number), count)
  return areas / np.maximum(positives, 1), positives


def average_precision_trapezoid(
  ranks: Int[np.ndarray | Array, " p"], positives: int
) -> float:
  """Area under the precision and recall curve by the trapezoid rule of Holidays.

  The j-th positive (from 0) at rank r adds the mean of the precisions before and after
  it, j / r (1 at r = 0) and (j + 1) / (r + 1), over the number of positives.

  Args:
    ranks: 0-based ranks of the positives that were found, the query not counted, in
      any order; negative ones are padding.
    positives: how many there are, found or not.

  Raises:
    ValueError: fewer `positives` than ranks, or none.
  """
  ranks = np.asarray(ranks)
  ranks = np.sort(ranks[ranks >= 0])
  if positives < max(1, len(ranks)):
    raise ValueError(f"{positives} positives cannot have {len(ranks)} ranks")
  return float(_trapezoids(ranks, np.arange(len(ranks))).sum() / positives)


def _trapezoids(
  rank: Int[np.ndarray, " hit"], number: Int[np.ndarray, " hit"]
) -> Float[np.ndarray, " hit"]:
  before = np.where(rank == 0, 1.0, number / np.maximum(rank, 1))
  return (before + (number + 1) / (rank + 1)) / 2


def _square(
  distances: np.ndarray | Array, labels: np.ndarray | Array
) -> tuple[np.ndarray, np.ndarray]:
  distances, labels = np.asarray(distances), np.asarray(labels)
  if not labels.size or distances.shape != (labels.size, labels.size):
    raise ValueError(
      f"distances have shape {distances.shape} for {labels.size} images; give those"
      " between all images, and at least one image"
    )
  return distances, labels
