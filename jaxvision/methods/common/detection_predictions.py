"""What a temporal detector found in files, as ActivityNet's JSON and as timelines."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ml_collections import ConfigDict

from jaxvision.data.annotations import write_activitynet
from jaxvision.data.temporal import TemporalDataset, Windows
from jaxvision.methods.common import detection, windows
from jaxvision.methods.common import detection_rows as rows_of
from jaxvision.methods.common.detection_inputs import Piece
from jaxvision.metrics.temporal import Segments
from jaxvision.typing import PyTree
from jaxvision.viz import timeline
from jaxvision.viz.timeline_rows import Bars


class Known(NamedTuple):
  """What the data set knows of a video, in seconds.

  Attributes:
    origin: time at the beginning of its features.
    window: duration of a window.
    duration: of the video.
    truth: its actions.
  """

  origin: float
  window: float
  duration: float
  truth: Segments


def write(
  config: ConfigDict, data: TemporalDataset, outputs: Mapping[str, PyTree], folder: Path
) -> None:
  """Writes ActivityNet's `results.json` and a timeline for each video.

  Times are in seconds for videos that the data know and, of sliding windows, where
  `data.step` is given; otherwise they are fractions of the whole. Windows of one video
  are merged by suppression.

  Args:
    config: `data` and `suppression` are read.
    data: names of classes, and what is known of the videos.
    outputs: {name of an input: what `detection.predictor` gives}.
    folder: to write to.
  """
  known = known_videos(data)
  pieces = [_named(Piece.parse(name), known, config.data.prefix) for name in outputs]
  names = list(dict.fromkeys(piece.video for piece in pieces))
  length = next(iter(data.splits.values())).shape[0]  # alike in all
  where = _place(pieces, names, known, length, config.data)
  stacked = {
    key: np.stack([np.asarray(found[key]) for found in outputs.values()])
    for key in next(iter(outputs.values()))
  }
  found = {key: stacked[key] for key in ("segments", "label", "score")}
  merged = windows.merge(where, found, config.suppression, detection.suppress)
  folder.mkdir(parents=True, exist_ok=True)
  write_activitynet(folder / "results.json", merged, names, data.classes)
  drawn = {}
  for number, name in enumerate(names):
    of = np.flatnonzero(where.video == number)
    rows = [
      *_truth(known.get(name)),
      rows_of.found(merged.take(np.flatnonzero(merged.video == number))),
      *rows_of.kernels({k: v[of] for k, v in stacked.items()}, where.take(of)),
    ]
    drawn[name] = timeline.Video(rows, float(where.duration[of[0]]))
  timeline.draw_timelines(drawn, folder, classes=data.classes)


def known_videos(data: TemporalDataset) -> dict[str, Known]:
  """What the data set knows of its videos, by name."""
  found: dict[str, Known] = {}
  for split in data.splits.values():
    table = split.windows
    video, first = np.unique(table.video, return_index=True)
    for number, row in zip(video.tolist(), first.tolist(), strict=True):
      start, end, duration = (float(x[row]) for x in table[1:])
      truth = split.truth.take(np.flatnonzero(split.truth.video == number))
      found[split.videos[number]] = Known(start, end - start, duration, truth)
  return found


def _named(piece: Piece, known: Mapping[str, Known], prefix: str) -> Piece:
  """The piece under the name of the annotations, which lacks the files' prefix."""
  for start in filter(None, (prefix, "v_")):
    name = piece.video.removeprefix(start)
    if piece.video not in known and name in known:
      return piece._replace(video=name)
  return piece


def _place(
  pieces: Sequence[Piece],
  names: Sequence[str],
  known: Mapping[str, Known],
  length: int,
  config: ConfigDict,
) -> Windows:
  """Where the windows lie in their videos."""
  rows = [
    (names.index(p.video), *_times(p, known.get(p.video), length, config))
    for p in pieces
  ]
  number, start, end, duration = (np.array(x) for x in zip(*rows, strict=True))
  times = (x.astype(np.float64) for x in (start, end, duration))
  return Windows(number.astype(np.int64), *times)


def _times(
  piece: Piece, known: Known | None, length: int, config: ConfigDict
) -> tuple[float, float, float]:
  """(start, end of a window, duration of its video)."""
  if not piece.steps:
    return (
      (known.origin, known.origin + known.window, known.duration)
      if known
      else (0.0, 1.0, 1.0)
    )
  if known:
    origin, step, duration = known.origin, known.window / length, known.duration
  elif config.step > 0:
    origin = config.first - config.step / 2 if config.first >= 0 else 0.0
    step, duration = config.step, origin + piece.steps * config.step
  else:
    origin, step, duration = 0.0, 1 / piece.steps, 1.0
  start = origin + piece.first * step
  return start, start + length * step, duration


def _truth(known: Known | None) -> Iterator[Bars]:
  if known is not None and len(known.truth.start):
    times = np.stack((known.truth.start, known.truth.end), -1).astype(np.float64)
    yield Bars("truth", times, known.truth.label)
