"""Labelled time segments of many videos, as flat arrays."""

from typing import NamedTuple

import numpy as np

from jaxvision.typing import Float, Int


class Segments(NamedTuple):
  """Segments of many videos, one a row: ground truth, detections or proposals.

  Ids are integers without further meaning; times share one unit within a video (of
  seconds, frames or fractions of the video). Predictions have a score, truth none.
  """

  video: Int[np.ndarray, " n"]
  label: Int[np.ndarray, " n"]
  start: Float[np.ndarray, " n"]
  end: Float[np.ndarray, " n"]
  score: Float[np.ndarray, " n"] | None = None

  def take(self, rows: np.ndarray) -> "Segments":
    """The segments at `rows` (indices, a slice or a mask), in that order."""
    return Segments(*(None if field is None else field[rows] for field in self))


def check_truth(segments: Segments, name: str = "truth") -> Segments:
  """Returns the segments with times in float64, scores dropped.

  A segment may end before it starts: ActivityNet annotates three videos so, and the
  official evaluator counts them as instances that nothing can find.

  Raises:
    ValueError: fields of different lengths, ids that are no integers, times that are
      not finite.
  """
  video, label = (_ids(segments, field, name) for field in ("video", "label"))
  start, end = (_numbers(segments, field, name) for field in ("start", "end"))
  return Segments(video, label, start, end)


def check_predictions(segments: Segments, name: str = "predictions") -> Segments:
  """Returns the segments with times and scores in float64.

  Raises:
    ValueError: as `check_truth`, or no scores, or a segment that ends before it starts
      (zero length, as clipping may leave, is a segment that finds nothing).
  """
  if segments.score is None:
    raise ValueError(f"{name} have no score; give one a segment")
  score = _numbers(segments, "score", name)
  checked = check_truth(segments, name)._replace(score=score)
  backwards = checked.end < checked.start
  if backwards.any():
    row = int(np.argmax(backwards))
    raise ValueError(
      f"{name} row {row} ends at {checked.end[row]:g} before it starts at"
      f" {checked.start[row]:g}; segments are (start, end)"
    )
  return checked


def _ids(segments: Segments, field: str, name: str) -> np.ndarray:
  values = _column(segments, field, name)
  if values.size and not np.issubdtype(values.dtype, np.integer):
    raise ValueError(f"{name}.{field} is {values.dtype}; ids are integers")
  return values.astype(np.int64, copy=False)


def _numbers(segments: Segments, field: str, name: str) -> np.ndarray:
  values = _column(segments, field, name).astype(np.float64, copy=False)
  bad = ~np.isfinite(values)
  if bad.any():
    row = int(np.argmax(bad))
    raise ValueError(f"{name}.{field} is {values[row]} in row {row}; it must be finite")
  return values


def _column(segments: Segments, field: str, name: str) -> np.ndarray:
  values, n = np.asarray(getattr(segments, field)), np.size(segments.video)
  if values.shape != (n,):
    raise ValueError(
      f"{name}.{field} has shape {values.shape}; expected ({n},), one value a segment"
    )
  return values
