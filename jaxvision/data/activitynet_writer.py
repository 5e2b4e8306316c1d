"""Writes ActivityNet's JSON files; `activitynet` describes and reads them."""

import gzip
import json
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxvision import files
from jaxvision.data.annotation_table import UNLABELLED
from jaxvision.errors import UserError
from jaxvision.metrics.segments import Segments

VERSION = "VERSION 1.3"


def write_activitynet(
  path: str | pathlib.Path,
  segments: Segments,
  videos: Sequence[str],
  classes: Sequence[str],
  *,
  durations: Sequence[float] | np.ndarray | None = None,
  subsets: Sequence[str] = (),
) -> None:
  """Writes results if the segments have scores, and annotations otherwise.

  Args:
    path: the file; with the suffix .gz it is compressed.
    segments: in seconds, in any order; of one video they keep theirs.
    videos: names of all videos, also of those without segments.
    classes: names of the classes; the label of a class named "" is left out.
    durations: seconds, one a video; annotations need them.
    subsets: one a video, or none.

  Raises:
    UserError: if a duration is missing, or a number is not finite.
  """
  lists = _by_video(segments, videos, classes)
  if segments.score is not None:
    content = {"version": VERSION, "results": lists, "external_data": {}}
  else:
    seconds = np.full(len(videos), np.nan) if durations is None else durations
    database = {}
    for i, name in enumerate(videos):
      if not np.isfinite(seconds[i]):
        raise UserError(f"{path}: video {name!r} needs a duration: pass durations=.")
      entry = {"duration": float(seconds[i])} | (
        {"subset": subsets[i]} if subsets else {}
      )
      database[name] = entry | {"annotations": lists[name]}
    content = {"version": VERSION, "taxonomy": [], "database": database}
  try:
    text = json.dumps(content, allow_nan=False) + "\n"
  except ValueError as error:
    raise UserError(f"{path}: a segment or score is NaN or infinite.") from error
  data = text.encode()
  file = pathlib.Path(path).expanduser()
  files.write_bytes(
    file, gzip.compress(data, mtime=0) if file.suffix == ".gz" else data
  )


def _by_video(
  segments: Segments, videos: Sequence[str], classes: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
  lists: dict[str, list[dict[str, Any]]] = {name: [] for name in videos}
  for i in range(len(segments.start)):
    entry: dict[str, Any] = {
      "segment": [float(segments.start[i]), float(segments.end[i])]
    }
    if classes[segments.label[i]] != UNLABELLED:
      entry["label"] = classes[segments.label[i]]
    if segments.score is not None:
      entry["score"] = float(segments.score[i])
    lists[videos[segments.video[i]]].append(entry)
  return lists
