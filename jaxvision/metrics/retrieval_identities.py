"""Metrics of re-identification: CMC, mAP and mINP of ranked lists."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from jaxvision.metrics.retrieval_distances import pairwise_distances, widened
from jaxvision.metrics.retrieval_ranking import Hits, Problem, score_queries, sums
from jaxvision.typing import Array, Bool, Float, Int

Distances = Float[np.ndarray | Array, "q g"]
QueryNumbers = Int[np.ndarray | Array, " q"]
GalleryNumbers = Int[np.ndarray | Array, " g"]


class QueryScores(NamedTuple):
  """Scores of each query; where it has no match, not `valid`, -1 and NaN.

  Attributes:
    first: 0-based rank of the first match.
    ap: average precision.
    inp: inverse negative penalty, matches / (1-based rank of the last match).
    valid: whether the query has a match.
  """

  first: Int[np.ndarray, " q"]
  ap: Float[np.ndarray, " q"]
  inp: Float[np.ndarray, " q"]
  valid: Bool[np.ndarray, " q"]


def rank_metrics(
  distances: Distances,
  query_ids: QueryNumbers,
  gallery_ids: GalleryNumbers,
  query_cameras: QueryNumbers,
  gallery_cameras: GalleryNumbers,
  *,
  max_rank: int = 50,
) -> dict[str, Any]:
  """CMC, mAP and mINP by the protocol of Market-1501 (Zheng et al., ICCV 2015).

  Gallery entries of the query's id *and* camera are junk and leave the list. CMC at k
  is the share of queries with a match among the first k; AP is the mean over the
  matches of (matches so far / rank), not interpolated; INP (Ye et al., TPAMI 2022,
  section 3) is (number of matches / rank of the last). All are means over the queries
  that have a match. Where junk leaves fewer than `max_rank` entries, which makes
  torchreid and fast-reid fail, the curve of that query stays at its last value.

  Args:
    distances: any float type; smaller is nearer.
    query_ids: identities.
    gallery_ids: identities; one that no query has is a distractor.
    query_cameras: cameras.
    gallery_cameras: cameras.
    max_rank: length of the curve; cut to the size of the gallery.

  Returns:
    "cmc", float64[min(max_rank, g)] in [0, 1]; "map" and "minp", floats in [0, 1];
    "valid", bool[q], False for the queries that were left out.

  Raises:
    ValueError: sizes that do not match, NaN, or no query with a match.
  """
  found = query_scores(
    distances, query_ids, gallery_ids, query_cameras, gallery_cameras
  )
  return _summary(found, min(max_rank, np.shape(distances)[1]))


def rank_metrics_of_features(
  query: Float[np.ndarray | Array, "q d"],
  gallery: Float[np.ndarray | Array, "g d"],
  query_ids: QueryNumbers,
  gallery_ids: GalleryNumbers,
  query_cameras: QueryNumbers,
  gallery_cameras: GalleryNumbers,
  *,
  kind: str = "euclidean",
  max_rank: int = 50,
  block: int = 256,
) -> dict[str, Any]:
  """`rank_metrics` of features; never holds all distances at once.

  Args:
    query: features.
    gallery: features.
    query_ids: identities.
    gallery_ids: identities.
    query_cameras: cameras.
    gallery_cameras: cameras.
    kind: of the distance, see `pairwise_distances`.
    max_rank: length of the curve; cut to the size of the gallery.
    block: queries at a time (for each thread).

  Raises:
    ValueError: as `rank_metrics` and `pairwise_distances`, or `block` below 1.
  """
  if block < 1:
    raise ValueError(f"block is {block}; take at least one query at a time")
  query, gallery = np.asarray(query), np.asarray(gallery)
  found = _score(
    lambda rows: pairwise_distances(query[rows], gallery, kind=kind),
    (len(query), len(gallery)),
    (query_ids, gallery_ids, query_cameras, gallery_cameras),
    block=block,
  )
  return _summary(found, min(max_rank, len(gallery)))


def query_scores(
  distances: Distances,
  query_ids: QueryNumbers,
  gallery_ids: GalleryNumbers,
  query_cameras: QueryNumbers,
  gallery_cameras: GalleryNumbers,
) -> QueryScores:
  """What `rank_metrics` averages, for each query; arguments and errors as there."""
  distances = np.asarray(distances)
  numbers = (query_ids, gallery_ids, query_cameras, gallery_cameras)
  return _score(lambda rows: widened(distances[rows]), distances.shape, numbers)


def _score(
  distances: Callable[[slice], Float[np.ndarray, "b g"]],
  shape: tuple[int, int],
  numbers: tuple[np.ndarray | Array, ...],
  *,
  block: int | None = None,
) -> QueryScores:
  """Scores queries; `numbers` are their and the gallery's ids, then cameras."""
  numbers = tuple(np.asarray(number) for number in numbers)
  if any(len(n) != size for n, size in zip(numbers, shape * 2, strict=True)):
    raise ValueError(
      f"{shape[0]} queries and {shape[1]} gallery entries have"
      f" {', '.join(str(len(n)) for n in numbers)} query ids, gallery ids, query"
      " cameras and gallery cameras; give one of each an entry"
    )
  query_ids, gallery_ids, query_cameras, gallery_cameras = numbers

  def junk(query: np.ndarray, member: np.ndarray) -> np.ndarray:
    return query_cameras[query] == gallery_cameras[member]

  problem = Problem(distances, query_ids, gallery_ids, junk)
  if not np.isin(query_ids, gallery_ids).any():
    raise ValueError("no query has a match in the gallery; compare the ids of both")
  return QueryScores(*score_queries(problem, _score_block, block=block))


def _score_block(hits: Hits, count: int) -> QueryScores:
  matches = np.bincount(hits.query, minlength=count)
  valid = matches > 0
  precision = (hits.number + 1) / (hits.rank + 1)
  first, ap, inp = np.full(count, -1), *np.full((2, count), np.nan)
  ends = np.cumsum(matches)[valid]
  first[valid] = hits.rank[ends - matches[valid]]
  ap[valid] = sums(hits, precision, count)[valid] / matches[valid]
  inp[valid] = precision[ends - 1]
  return QueryScores(first, ap, inp, valid)


def _summary(found: QueryScores, max_rank: int) -> dict[str, Any]:
  valid = found.valid
  if not valid.any():
    raise ValueError(
      "no query has a match in the gallery but of its own camera, which is junk;"
      " compare the cameras of both"
    )
  within = np.bincount(np.minimum(found.first[valid], max_rank), minlength=max_rank + 1)
  return {
    "cmc": np.cumsum(within[:max_rank]) / valid.sum(),
    "map": float(found.ap[valid].mean()),
    "minp": float(found.inp[valid].mean()),
    "valid": valid,
  }
