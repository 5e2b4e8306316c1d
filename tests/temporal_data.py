"""Segments for tests of the temporal metrics."""

import numpy as np

from jaxvision.metrics.temporal import Segments

THRESHOLDS = np.linspace(0.5, 0.95, 10)


def segments(rows, *, scored=False):
  """Segments from rows of (video, label, start, end[, score])."""
  table = np.array(rows, np.float64).reshape(len(rows), 5 if scored else 4)
  video, label = table[:, :2].astype(int).T
  return Segments(video, label, *table[:, 2:].T)


def random_segments(rng, n, *, scored, videos=6, classes=3, grid=None):
  """Random segments; on a grid of times and scores, so that many tie, if one is given.

  Ids have gaps, and are far apart if `videos` is: no table of them fits then.
  """
  start, length = rng.random(n), 0.1 + 0.6 * rng.random(n)
  score = rng.permutation(n) / max(n, 1)
  if grid is not None:
    start, score = np.round(start * grid) / grid, np.round(score * grid) / grid
    length = np.ceil(length * grid) / grid
  video = rng.integers(0, videos, n) * 3 - 4
  label = rng.integers(0, classes, n) * 5 + 2
  return Segments(video, label, start, start + length, score if scored else None)


def golden_segments(arrays, name, *, scored=True):
  """Truth ("gt"), detections ("pred") or proposals ("prop") of the golden file."""
  video, (start, end) = arrays[f"{name}/video"], arrays[f"{name}/segment"].T
  labelled = f"{name}/label" in arrays
  label = arrays[f"{name}/label"] if labelled else np.zeros_like(video)
  score = arrays[f"{name}/score"] if scored else None
  return Segments(video, label, start, end, score)
