"""Writes THUMOS14's files; `thumos` describes and reads them."""

import pathlib
from collections.abc import Sequence

import numpy as np

from jaxvision import files
from jaxvision.data.activitynet_writer import write_activitynet
from jaxvision.data.thumos_classes import DEVKIT_CLASSES, read_class_list
from jaxvision.errors import UserError
from jaxvision.metrics.segments import Segments

SUFFIXES = {"validation": "val", "val": "val", "test": "test"}


def write_thumos(
  path: str | pathlib.Path,
  segments: Segments,
  videos: Sequence[str],
  classes: Sequence[str],
  *,
  subset: str = "test",
  class_list: str | pathlib.Path | None = None,
  durations: Sequence[float] | np.ndarray | None = None,
) -> None:
  """Writes detections if the segments have scores, and annotations otherwise.

  Args:
    path: a name that ends with .json or .json.gz gives ActivityNet's form; else it is
      the text file of detections or the folder of annotations.
    segments: in seconds.
    videos: names of the videos; text files do not tell of those without segments.
    classes: names of the classes.
    subset: "val" or "validation", or "test": of all videos.
    class_list: the class list that numbers the classes of detections; None is that of
      THUMOS14.
    durations: seconds, one a video; annotations in JSON need them.

  Raises:
    UserError: if a name does not fit the format, a class has no number, a duration is
      missing, or a number is not finite.
  """
  file = pathlib.Path(path).expanduser()
  if subset not in SUFFIXES:
    raise UserError(f"subset={subset!r} is unknown: give val or test.")
  if ".json" in file.suffixes:
    subsets = ["Test" if subset == "test" else "Validation"] * len(videos)
    write_activitynet(
      file, segments, videos, classes, durations=durations, subsets=subsets
    )
    return
  _check(file, segments, [*videos, *classes])
  if segments.score is not None:
    numbers = DEVKIT_CLASSES if class_list is None else read_class_list(class_list)
    files.write_text(file, _detections(file, segments, videos, classes, numbers))
    return
  for label, name in enumerate(classes):
    text = _annotations(segments, videos, label)
    files.write_text(file / f"{name}_{SUFFIXES[subset]}.txt", text)


def _check(file: pathlib.Path, segments: Segments, names: list[str]) -> None:
  for name in names:
    if name.split() != [name] or "/" in name:
      raise UserError(
        f"{file}: the name {name!r} is empty or has spaces or slashes, which THUMOS14's"
        " text files cannot hold: write JSON."
      )
  for values in (segments.start, segments.end, segments.score):
    if values is not None and not np.isfinite(values).all():
      raise UserError(f"{file}: a segment or score is NaN or infinite.")


def _annotations(segments: Segments, videos: Sequence[str], label: int) -> str:
  lines = [
    f"{videos[segments.video[i]]} {float(segments.start[i])} {float(segments.end[i])}\n"
    for i in np.flatnonzero(segments.label == label)
  ]
  return "".join(lines)


def _detections(
  file: pathlib.Path,
  segments: Segments,
  videos: Sequence[str],
  classes: Sequence[str],
  numbers: dict[int, str],
) -> str:
  number = {name: i for i, name in numbers.items()}
  lines = []
  for i, label in enumerate(segments.label):
    name = classes[label]
    if name not in number:
      raise UserError(
        f"{file}: the class {name!r} has no number: pass class_list=, a file with lines"
        " 'number name'."
      )
    lines.append(
      f"{videos[segments.video[i]]} {float(segments.start[i])}"
      f" {float(segments.end[i])} {number[name]} {float(segments.score[i])}\n"
    )
  return "".join(lines)
