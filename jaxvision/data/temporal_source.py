"""Annotations and the feature files of their videos, brought together."""

from typing import NamedTuple

import ml_collections

from jaxvision.data.annotation_numbers import assemble
from jaxvision.data.annotation_table import Annotations
from jaxvision.data.features import find_features
from jaxvision.data.json_files import refuse
from jaxvision.data.temporal_features import find_layout, read_shapes, sample
from jaxvision.data.temporal_splits import Videos
from jaxvision.data.thumos import only, parse_thumos
from jaxvision.errors import UserError
from jaxvision.metrics.segments import Segments

SAMPLE = 16  # files whose shapes are compared where the others' lengths do not matter


class Source(NamedTuple):
  """What is known before any window is cut.

  Attributes:
    annotations: of all subsets.
    ambiguous: segments that count neither way.
    locations: {name of a video: of its features}.
    shapes: of the arrays at some or all of the locations, as they lie.
    layout: "td" or "dt".
    width: d.
    note: "", or on videos that have no features and are left out.
  """

  annotations: Annotations
  ambiguous: Segments
  locations: dict[str, str]
  shapes: dict[str, tuple[int, int]]
  layout: str
  width: int
  note: str

  def steps(self, video: int) -> int:
    """Feature steps of a video, 0 if its shape has not been looked up."""
    shape = self.shapes.get(self.locations[self.annotations.videos[video]], (0, 0))
    return shape[0 if self.layout == "td" else 1]

  def present(self, videos: Videos) -> Videos:
    """Those of the videos that have features."""
    names = self.annotations.videos
    return videos[[names[i] in self.locations for i in videos]]


def read_annotations(config: ml_collections.ConfigDict) -> tuple[Annotations, Segments]:
  """Reads the segments of all subsets, and apart from them the ambiguous ones.

  Raises:
    UserError: naming the file, if it is malformed or holds no truth.
  """
  path = config.annotations
  table = parse_thumos(path, refuse(path))
  annotations = assemble(only(table, False), like=None, invalid=config.invalid)
  if annotations.segments.score is not None:
    raise UserError(
      f"{path} holds predictions, which have scores: give annotations as"
      " --config.data.annotations=FILE."
    )
  if not len(annotations.segments.video):
    raise UserError(f"{path} holds no segments: there is nothing to learn from.")
  ambiguous = assemble(only(table, True), like=annotations, invalid="repair")
  return annotations, ambiguous.segments


def find_source(
  config: ml_collections.ConfigDict,
  annotations: Annotations,
  ambiguous: Segments,
  used: Videos,
) -> Source:
  """Finds the features of videos.

  Args:
    config: the fields of `jaxvision.data.temporal_defaults.DEFAULTS`.
    annotations: see `read_annotations`.
    ambiguous: as well.
    used: numbers of the videos that need features.

  Raises:
    UserError: if features are missing, or differ in width.
  """
  locations, note = _locations(config, annotations, used)
  every = config.window == "sliding" or config.step > 0  # their lengths matter
  files = list(locations.values())
  files = files if every else sample(files, SAMPLE)
  shapes = read_shapes(files, allow_pickle=config.allow_pickle)
  layout, width = find_layout(shapes, layout=config.layout, width=config.width)
  return Source(annotations, ambiguous, locations, shapes, layout, width, note)


def _locations(
  config: ml_collections.ConfigDict, annotations: Annotations, used: Videos
) -> tuple[dict[str, str], str]:
  """Where the features of the videos are, and a note on those that are nowhere."""
  names = [annotations.videos[i] for i in used]
  found = find_features(config.features, names, config.prefix, config.key)
  missing = [name for name in names if name not in found]
  if not missing:
    return found, ""
  sentence = (
    f"{config.features} has no features of {len(missing)} of the {len(names)} videos of"
    f" {config.annotations}, such as {missing[0]!r}"
  )
  if not found or not config.skip_missing:
    skip = "leave these videos out with --config.data.skip_missing=True"
    raise UserError(
      f"{sentence}: add them, or {skip}."
      if found
      else f"{sentence}: give the folder of the files, which are named like the videos"
      " with --config.data.prefix in front."
    )
  return found, f"{sentence}; they are left out"
