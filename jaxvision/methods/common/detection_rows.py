"""Rows of a timeline from what `detection.predictor` gives."""

from collections.abc import Iterator, Mapping

import numpy as np

from jaxvision.data.temporal import Windows
from jaxvision.metrics.temporal import Segments
from jaxvision.viz.timeline_rows import Bars, Kernels


def found(detections: Segments) -> Bars:
  """The detections of one video, as bars."""
  times = np.stack((detections.start, detections.end), -1)
  return Bars("found", times, detections.label, detections.score)


def kernels(outputs: Mapping[str, np.ndarray], where: Windows) -> Iterator[Kernels]:
  """The anchors of one video by layer, as Gaussians of half their width.

  Args:
    outputs: "anchors", "valid" and "layer" of the video's windows; without them there
      are no kernels to show.
    where: the windows lie.
  """
  if "anchors" not in outputs:
    return
  start, length = where.start[:, None], (where.end - where.start)[:, None]
  anchors = outputs["anchors"].astype(np.float64)
  center, sigma = start + anchors[..., 0] * length, anchors[..., 1] / 2 * length
  for number in np.unique(outputs["layer"]):
    at = (outputs["layer"] == number) & outputs["valid"]
    yield Kernels(f"layer {number}", center[at], sigma[at])
