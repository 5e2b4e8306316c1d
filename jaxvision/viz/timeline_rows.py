"""The rows of a timeline: what they hold and on which lines it lies."""

from typing import NamedTuple

import numpy as np

from jaxvision.typing import Bool, Float, Int


class Bars(NamedTuple):
  """A row of segments: the truth, predictions or distractors.

  Attributes:
    name: of the row.
    segments: (start, end) in the unit of the axis.
    label: class of each segment; None draws all in grey, as what is no class.
    score: in [0, 1], the opacity; None is no predictions.
  """

  name: str
  segments: Float[np.ndarray, "n 2"]
  label: Int[np.ndarray, " n"] | None = None
  score: Float[np.ndarray, " n"] | None = None


class Kernels(NamedTuple):
  """A row of Gaussian kernels: those of one layer.

  Attributes:
    name: of the row.
    centers: in the unit of the axis.
    sigmas: standard deviations, in the same unit.
    valid: which of them there are; None is all.
  """

  name: str
  centers: Float[np.ndarray, " n"]
  sigmas: Float[np.ndarray, " n"]
  valid: Bool[np.ndarray, " n"] | None = None


def checked(row: Bars | Kernels) -> Bars | Kernels:
  """Returns a row as it can be drawn, without kernels that are not valid.

  Raises:
    ValueError: NaN or infinity, scores out of [0, 1], a sigma that is not positive, or
      a segment that ends before it starts.
  """
  if isinstance(row, Kernels):
    kept = np.ones(len(row.centers), bool) if row.valid is None else row.valid
    row = row._replace(centers=row.centers[kept], sigmas=row.sigmas[kept], valid=None)
    if not (np.isfinite(row.centers).all() and (row.sigmas > 0).all()):
      raise ValueError(f"row {row.name!r} has a kernel without a center or a width.")
    return row
  if not np.isfinite(row.segments).all() or (np.diff(row.segments) < 0).any():
    raise ValueError(f"row {row.name!r} has a segment that is not (start, end).")
  score = row.score
  if score is not None and not ((score >= 0) & (score <= 1)).all():
    raise ValueError(f"row {row.name!r} has scores outside [0, 1].")
  return row


def best(row: Bars | Kernels, top: int) -> Bars | Kernels:
  """The predictions with the highest scores; other rows as they are."""
  if isinstance(row, Kernels) or row.score is None:
    return row
  best = np.argsort(-row.score, kind="stable")[:top]
  label = None if row.label is None else row.label[best]
  more = f"\ntop {top} of {len(row.score)}" * (len(row.score) > top)
  return Bars(row.name + more, row.segments[best], label, row.score[best])


def stack(segments: Float[np.ndarray, "n 2"]) -> Int[np.ndarray, " n"]:
  """The line of each bar: the first where it covers none that came before it."""
  line = np.zeros(len(segments), np.int64)
  for i, (start, end) in enumerate(segments):
    earlier = segments[:i]
    covered = (earlier[:, 0] < end) & (earlier[:, 1] > start)
    taken = set(line[:i][covered].tolist())
    line[i] = next(k for k in range(i + 1) if k not in taken)
  return line
