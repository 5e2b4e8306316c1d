"""Figures of a temporal detector in training: what it finds in test windows."""

from collections.abc import Mapping
from pathlib import Path

import jax
import numpy as np

from jaxvision.data.temporal import TemporalDataset, Windows
from jaxvision.methods.common import detection_rows, windows
from jaxvision.methods.common.detection import Detect
from jaxvision.typing import PyTree
from jaxvision.viz import film, timeline
from jaxvision.viz.timeline_rows import Bars


def draw(
  data: TemporalDataset,
  predict: Detect,
  variables: PyTree,
  folder: Path,
  *,
  count: int = 4,
) -> None:
  """Draws timelines of the first test windows: truth, detections, anchors by layer.

  Where the data set has frames, films of the same windows are drawn, too.

  Args:
    data: with a split "test".
    predict: `detection.predictor`.
    variables: of the model.
    folder: to draw into.
    count: windows at most.
  """
  test = data.splits["test"]
  features = test[np.arange(min(count, len(test)))]["features"]
  outputs = jax.device_get(jax.jit(predict)(variables, features))
  number = np.arange(len(features))
  unit = Windows(number, *(np.full(len(number), x) for x in (0.0, 1.0, 1.0)))
  listed = windows.listed(outputs, number)
  videos = {}
  for i in number:
    valid = test.valid[i]
    rows = [
      Bars("truth", test.segments[i][valid].astype(np.float64), test.label[i][valid]),
      detection_rows.found(listed.take(np.flatnonzero(listed.video == i))),
      *detection_rows.kernels(
        {k: v[[i]] for k, v in outputs.items()}, unit.take(number[[i]])
      ),
    ]
    videos[f"window {i}"] = timeline.Video(rows, 1.0)
  timeline.draw_timelines(
    videos, folder, classes=data.classes, count=count, xlabel="window"
  )
  if data.frames is not None:
    _draw_films(data, videos, folder)


def _draw_films(
  data: TemporalDataset, videos: Mapping[str, timeline.Video], folder: Path
) -> None:
  """Draws the frames of windows above truth and detections."""
  for i, (name, video) in enumerate(videos.items()):
    film.draw_film(
      data.frames(i),
      folder / f"film_{i}.png",
      rows=[row for row in video.rows if isinstance(row, Bars)],
      duration=video.duration,
      title=name,
      classes=data.classes,
      xlabel="window",
    )
