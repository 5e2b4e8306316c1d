"""Files and figures of temporal detectors: features read, detections written, drawn."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import jax
import numpy as np

from jaxvision.data.annotations import write_activitynet
from jaxvision.data.temporal import TemporalDataset
from jaxvision.errors import UserError
from jaxvision.layers.insertion import Inserted
from jaxvision.metrics.temporal import Segments
from jaxvision.typing import Array, PyTree
from jaxvision.viz import timeline
from jaxvision.viz.timeline_rows import Bars, Kernels

FEATURES = (".npy", ".npz", ".csv", ".h5", ".hdf5")
Detect = Callable[[PyTree, Array], dict[str, Array]]


def feature_paths(paths: Sequence[str]) -> Iterator[Path]:
  """Yields feature files; a folder stands for those in it, sorted.

  Raises:
    UserError: a path that is missing, or a folder without features.
  """
  for path in map(Path, paths):
    if path.is_file():
      yield path
      continue
    found = sorted(p for p in path.glob("*") if p.suffix in FEATURES)
    if not found:
      raise UserError(f"--inputs: {path} is no file and has no {', '.join(FEATURES)}.")
    yield from found


def write(
  data: TemporalDataset, outputs: Mapping[str, PyTree], folder: Path, *, top: int = 12
) -> None:
  """Writes ActivityNet's `results.json` and a timeline for each video.

  Segments are in seconds for the videos that the data know, and otherwise fractions
  of the whole.
  """
  known = {
    split.videos[v]: float(d)
    for split in data.splits.values()
    for v, d in zip(split.windows.video, split.windows.duration, strict=True)
  }
  names = list(outputs)
  durations = [known.get(name, 1.0) for name in names]
  parts, drawn = [], {}
  for i, (name, duration) in enumerate(zip(names, durations, strict=True)):
    found = {k: np.asarray(v) for k, v in outputs[name].items()}
    real = (found["score"] > 0) & (found["segments"][:, 1] > found["segments"][:, 0])
    rows = {k: v[real] for k, v in found.items()}
    seconds = rows["segments"].astype(np.float64) * duration
    parts.append(
      (np.full(len(seconds), i), rows["label"].astype(np.int64), *seconds.T,
       rows["score"].astype(np.float64))
    )  # fmt: skip
    bars = Bars("found", seconds, rows["label"], rows["score"].astype(np.float64))
    drawn[name] = timeline.Video([bars], duration)
  joined = Segments(*(np.concatenate(part) for part in zip(*parts, strict=True)))
  folder.mkdir(parents=True, exist_ok=True)
  write_activitynet(folder / "results.json", joined, names, data.classes)
  timeline.draw_timelines(drawn, folder, classes=data.classes)


def draw(
  data: TemporalDataset,
  model: Inserted,
  detect: Detect,
  variables: PyTree,
  folder: Path,
  *,
  count: int = 4,
) -> None:
  """Draws timelines of the first test windows: truth, detections, anchors by layer."""
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


def _found(detections: Mapping[str, np.ndarray], *, scale: float = 1.0) -> Bars:
  """The detections of one window without its empty slots."""
  found = {k: np.asarray(v) for k, v in detections.items()}
  start, end = found["segments"].T
  real = (found["score"] > 0) & (end > start)
  return Bars(
    "found",
    found["segments"][real].astype(np.float64) * scale,
    found["label"][real].astype(np.int64),
    found["score"][real].astype(np.float64),
  )


def _kernels(outputs: PyTree, i: int) -> Iterator[Kernels]:
  """The anchors of a window by layer, as Gaussians of half their width."""
  for layer in np.unique(outputs.layer):
    at = outputs.layer == layer
    center, width = outputs.anchors[i][at].astype(np.float64).T
    yield Kernels(f"layer {layer}", center, width / 2, outputs.valid[i][at])
