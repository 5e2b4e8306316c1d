"""The measures of temporal detection that a config asks for."""

from collections.abc import Sequence

import numpy as np
from ml_collections import ConfigDict

from jaxvision.errors import UserError
from jaxvision.metrics import temporal
from jaxvision.metrics.temporal import Segments

PROTOCOLS = ("activitynet", "thumos")


def check_metric(config: ConfigDict) -> None:
  """Checks `config.metric`.

  Raises:
    UserError: an unknown protocol, or thresholds that are none.
  """
  if config.protocol not in PROTOCOLS:
    raise UserError(
      f"config.metric.protocol is {config.protocol!r}; choose {', '.join(PROTOCOLS)}."
    )
  for name in ("thresholds", "recall_thresholds"):
    if not config[name] or not all(0 < t < 1 for t in config[name]):
      raise UserError(
        f"config.metric.{name} is {config[name]}; give temporal IoUs in (0, 1)."
      )


def measure(
  truth: Segments,
  found: Segments,
  config: ConfigDict,
  *,
  ambiguous: Segments | None = None,
) -> dict[str, float]:
  """Measures detections: "map/avg", "map/0.50", ..., "ar/10", "ar/100", "auc".

  Args:
    truth: all actions.
    found: all detections.
    config: `config.metric`: `protocol` of the average precision, "activitynet" or
      "thumos", its `thresholds`, and the `recall_thresholds` of AR@AN, which is
      ActivityNet's under both.
    ambiguous: intervals that "thumos" does not judge.

  Returns:
    All in [0, 1]; nothing without truth.
  """
  if not len(truth.start):
    return {}
  means = _precision(truth, found, config, ambiguous).mean(axis=1)
  names = (f"map/{threshold:.2f}" for threshold in config.thresholds)
  return {
    "map/avg": float(means.mean()),
    **dict(zip(names, means.tolist(), strict=True)),
    **_recall(truth, found, config.recall_thresholds),
  }


def _precision(
  truth: Segments, found: Segments, config: ConfigDict, ambiguous: Segments | None
) -> np.ndarray:
  """AP [threshold, class]."""
  if config.protocol == "activitynet":
    return temporal.detection_average_precision(truth, found, config.thresholds)
  return np.stack(
    [
      temporal.thumos_average_precision(truth, found, t, ambiguous=ambiguous)
      for t in config.thresholds
    ]
  )


def _recall(
  truth: Segments, found: Segments, thresholds: Sequence[float]
) -> dict[str, float]:
  number, recall, auc = temporal.average_recall(truth, found, thresholds)
  average = recall.mean(axis=0)
  return {
    "ar/10": float(np.interp(10.0, number, average)),
    "ar/100": float(average[-1]),
    "auc": float(auc),
  }
