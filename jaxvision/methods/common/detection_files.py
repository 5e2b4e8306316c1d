"""Figures of a temporal detector in training: what it finds in test windows."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import jax
import numpy as np

from jaxvision.data.temporal import TemporalDataset
from jaxvision.layers.insertion import Inserted
from jaxvision.typing import Array, PyTree
from jaxvision.viz import film, timeline
from jaxvision.viz.timeline_rows import Bars, Kernels

Detect = Callable[[PyTree, Array], dict[str, Array]]


def draw(
  data: TemporalDataset,
  model: Inserted,
  detect: Detect,
  variables: PyTree,
  folder: Path,
  *,
  count: int = 4,
) -> None:
  """Draws timelines of the first test windows: truth, detections, anchors by layer.

  Where the data set has frames, films of the same windows are drawn, too.
  """
  test = data.splits["test"]
  features = test[np.arange(min(count, len(test)))]["features"]
  found = jax.device_get(jax.jit(detect)(variables, features))
  outputs = jax.device_get(jax.jit(model.apply)(variables, features))
  videos = {}
  for i in range(len(features)):
    valid = test.valid[i]
    rows = [
      Bars("truth", test.segments[i][valid].astype(np.float64), test.label[i][valid]),
      _found({k: v[i] for k, v in found.items()}),
      *_kernels(outputs, i),
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


def _found(detections: Mapping[str, np.ndarray]) -> Bars:
  """The detections of one window without its empty slots."""
  found = {k: np.asarray(v) for k, v in detections.items()}
  start, end = found["segments"].T
  real = (found["score"] > 0) & (end > start)
  return Bars(
    "found",
    found["segments"][real].astype(np.float64),
    found["label"][real].astype(np.int64),
    found["score"][real].astype(np.float64),
  )


def _kernels(outputs: PyTree, i: int) -> Iterator[Kernels]:
  """The anchors of a window by layer, as Gaussians of half their width."""
  for layer in np.unique(outputs.layer):
    at = outputs.layer == layer
    center, width = outputs.anchors[i][at].astype(np.float64).T
    yield Kernels(f"layer {layer}", center, width / 2, outputs.valid[i][at])
