"""Annotated segments as a file holds them, and as arrays with numbers for names.

The parsers of all formats fill a `Table`; `annotation_numbers.assemble` turns it into
`Annotations`, on the way mending or leaving out the segments that no video can hold.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from jaxvision.metrics.segments import Segments

UNLABELLED = ""  # the class of proposals, which have none
AMBIGUOUS = "Ambiguous"  # THUMOS14's mark for segments that count neither way
ROUNDING = 0.01  # seconds: durations are rounded, so a shorter excess is no mistake


class Row(NamedTuple):
  """One annotated segment, in seconds; predictions have a score."""

  video: str
  label: str
  start: float
  end: float
  score: float | None


class Video(NamedTuple):
  """What a file says of a video; NaN and "" where it does not."""

  duration: float = math.nan
  covered: float = math.nan  # seconds that its features cover
  subset: str = ""


class Table(NamedTuple):
  """A parsed file: segments and videos in the file's order."""

  rows: list[Row]
  videos: dict[str, Video]
  classes: set[str]


class Annotations(NamedTuple):
  """Segments and the names behind their numbers.

  Attributes:
    segments: `video` counts in `videos`, `label` in `classes`; seconds, file order.
    videos: names without the prefix of feature files, also those without segments.
    classes: names in alphabetical order, of all subsets of the file.
    durations: seconds, NaN where the file does not say.
    subsets: "" where the file does not say.
    notes: one line for each segment that was mended, left out, or kept though faulty.
    covered: seconds that the features cover. It differs from `durations` in files of
      BSN and BMN, whose features end with the last whole snippet: there, times on the
      axis of the features are seconds / covered.
  """

  segments: Segments
  videos: tuple[str, ...]
  classes: tuple[str, ...]
  durations: Float64[np.ndarray, " v"]
  subsets: tuple[str, ...]
  notes: tuple[str, ...]
  covered: Float64[np.ndarray, " v"]


def mend(row: Row, duration: float) -> tuple[Row | None, str]:
  """Returns the segment as it can be used, or None, and what is wrong with it.

  A segment that runs backwards is turned around, one that leaves the video is cut, one
  of no length or outside of the video is given up.

  Args:
    row: the segment.
    duration: of its video in seconds; NaN checks nothing against it.

  Returns:
    (segment or None, fault); the fault is "" if there is none, or only an excess over
    the video's ends by `ROUNDING`, which is cut without a word.
  """
  start, end = min(row.start, row.end), max(row.start, row.end)
  faults = ["runs backwards"] if row.end < row.start else []
  if start == end:
    return None, "has no length"
  if not math.isnan(duration):
    outside = start < -ROUNDING or end > duration + ROUNDING
    start, end = max(start, 0.0), min(end, duration)
    if outside or end <= start:
      faults.append(f"leaves the video of {duration:g} s")
  mended = row._replace(start=start, end=end) if start < end else None
  return mended, " and ".join(faults)


def describe(row: Row) -> str:
  """Names a segment in a message."""
  label = f" of {row.label!r}" if row.label else ""
  return f"video {row.video!r}: the segment [{row.start:g}, {row.end:g}]{label}"
