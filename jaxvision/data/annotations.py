"""Annotated and predicted segments of videos: ActivityNet's and THUMOS14's files.

A reader returns `Annotations`: `Segments` with integer numbers, which the metrics of
`jaxvision.metrics.temporal` take, and the names behind the numbers. Truth and
predictions get the same numbers by `like`:

  truth = read_activitynet("activity_net.v1-3.min.json", "validation")
  predictions = read_activitynet("results.json", like=truth)
"""

from jaxvision.data.activitynet import read_activitynet
from jaxvision.data.activitynet_writer import write_activitynet
from jaxvision.data.annotation_table import AMBIGUOUS, UNLABELLED, Annotations
from jaxvision.data.thumos import read_thumos
from jaxvision.data.thumos_classes import DEVKIT_CLASSES, read_class_list
from jaxvision.data.thumos_writer import write_thumos
from jaxvision.metrics.segments import Segments

__all__ = [
  "AMBIGUOUS", "DEVKIT_CLASSES", "UNLABELLED", "Annotations", "Segments",
  "read_activitynet", "read_class_list", "read_thumos", "write_activitynet",
  "write_thumos",
]  # fmt: skip
