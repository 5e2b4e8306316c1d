"""A plain evaluator of ranked lists, to measure and to test against.

It works as the evaluators of re-identification in wide use do: a full argsort of the
matrix, a Python loop over the queries, and in it one over the ranks.
"""

from typing import Any

import numpy as np


def rank_metrics(
  distances: np.ndarray,
  query_ids: np.ndarray,
  gallery_ids: np.ndarray,
  query_cameras: np.ndarray,
  gallery_cameras: np.ndarray,
  *,
  max_rank: int = 50,
  stable: bool = False,
) -> dict[str, Any]:
  """CMC, mAP and mINP, a query at a time; arguments and results are the library's.

  Numpy's stable sort of ties is slower than the one that evaluators use.
  """
  max_rank = min(max_rank, distances.shape[1])
  ranking = np.argsort(distances, axis=1, kind="stable" if stable else None)
  curves, precisions, penalties, valid = [], [], [], []
  for query, order in enumerate(ranking):
    same_id = gallery_ids[order] == query_ids[query]
    same_camera = gallery_cameras[order] == query_cameras[query]
    match = same_id[~(same_id & same_camera)]
    valid.append(bool(match.any()))
    if not valid[-1]:
      continue
    so_far = match.cumsum()
    precision = [found / place for place, found in enumerate(so_far, start=1)]
    precisions.append((np.asarray(precision) * match).sum() / match.sum())
    penalties.append(precision[np.flatnonzero(match)[-1]])
    curve = np.minimum(so_far[:max_rank], 1)
    curves.append(np.pad(curve, (0, max_rank - len(curve)), constant_values=1))
  return {
    "cmc": np.mean(curves, axis=0),
    "map": float(np.mean(precisions)),
    "minp": float(np.mean(penalties)),
    "valid": np.array(valid),
  }
