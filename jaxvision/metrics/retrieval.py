"""Metrics of retrieval: CMC, mAP and mINP of re-identification, N-S, Holidays' mAP.

The average precisions differ: re-identification takes the mean precision at the
matches, Holidays the area under the curve by the trapezoid rule. Equal distances rank
in the order of the gallery, as by `argsort(kind="stable")`; the evaluators in use leave
them to an unstable sort.
"""

from jaxvision.metrics.retrieval_distances import pairwise_distances
from jaxvision.metrics.retrieval_identities import (
  QueryScores,
  query_scores,
  rank_metrics,
  rank_metrics_of_features,
)
from jaxvision.metrics.retrieval_instances import (
  average_precision_trapezoid,
  holidays_map,
  ns_score,
)

__all__ = [
  "QueryScores", "average_precision_trapezoid", "holidays_map", "ns_score",
  "pairwise_distances", "query_scores", "rank_metrics", "rank_metrics_of_features",
]  # fmt: skip
