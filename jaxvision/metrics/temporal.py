"""Metrics of temporal action localization: the names to import from.

Numpy on the host: rankings gather all predictions, and their shapes depend on them.
"""

from jaxvision.metrics.segments import Segments
from jaxvision.metrics.temporal_detection import detection_average_precision
from jaxvision.metrics.temporal_proposals import average_recall
from jaxvision.metrics.temporal_thumos import thumos_average_precision

__all__ = [
  "Segments",
  "average_recall",
  "detection_average_precision",
  "thumos_average_precision",
]
