"""A folder of features and an annotation file as a data set."""

import dataclasses
import pathlib
from collections.abc import Callable

import ml_collections
import numpy as np

from jaxvision import interruption
from jaxvision.data.annotation_table import Annotations
from jaxvision.data.temporal_defaults import NAME
from jaxvision.data.temporal_examples import (
  AbstractFeatures,
  FeatureArray,
  TemporalDataset,
  TemporalExamples,
)
from jaxvision.data.temporal_features import FileFeatures
from jaxvision.data.temporal_source import Source, find_source, read_annotations
from jaxvision.data.temporal_splits import Videos, split_videos
from jaxvision.data.temporal_windows import Cut, cut_video, pad_segments, tabulate
from jaxvision.errors import UserError
from jaxvision.metrics.segments import Segments

LENGTHS = (6, 9)  # powers of two, of windows whose length follows from the files


def load_files(
  config: ml_collections.ConfigDict,
  *,
  read: bool = True,
  only: Callable[[Annotations, Segments], tuple[Annotations, Segments]] | None = None,
  split: Callable[..., dict[str, Videos]] = split_videos,
) -> TemporalDataset:
  """Loads the data set that `config.features` and `config.annotations` name.

  Args:
    config: the fields of `jaxvision.data.temporal_defaults.DEFAULTS`.
    read: False reads no features but shapes, for a plan.
    only: (annotations, ambiguous segments) -> those that count; None is all of them.
    split: (annotations, config) -> the videos of each split.

  Returns:
    The data set; splits up to `config.resident_bytes` are in memory.

  Raises:
    UserError: naming the file, the video or the field that is wrong.
  """
  annotations, ambiguous = read_annotations(config)
  if only is not None:
    annotations, ambiguous = only(annotations, ambiguous)
  videos = split(annotations, config)
  used = np.unique(np.concatenate(list(videos.values())))
  source = find_source(config, annotations, ambiguous, used)
  config = _with_length(config, source)
  videos = {name: source.present(numbers) for name, numbers in videos.items()}
  cuts = {name: _cut(config, source, v, name) for name, v in videos.items()}
  slots = _slots(config, annotations, [cut for c in cuts.values() for cut in c])
  splits: dict[str, TemporalExamples] = {}
  for name, numbers in videos.items():
    if name == "test" and np.array_equal(numbers, videos["val"]):
      splits[name] = splits["val"]  # in memory once
    else:
      splits[name] = _examples(config, source, numbers, cuts[name], slots, read)
  notes = "; ".join(filter(None, (source.note, _mended(annotations))))
  return TemporalDataset(_name(config), notes, annotations.classes, splits)


def _with_length(
  config: ml_collections.ConfigDict, source: Source
) -> ml_collections.ConfigDict:
  """The config with the length of a window that suits the files, if it gives none."""
  if config.length:
    return config
  axis = 0 if source.layout == "td" else 1
  median = np.median([shape[axis] for shape in source.shapes.values()])
  known = ml_collections.ConfigDict(config)
  known.length = 2 ** int(np.log2(median).round().clip(*LENGTHS))
  return known


def _name(config: ml_collections.ConfigDict) -> str:
  """The name given, or that of the annotations."""
  file = pathlib.Path(config.annotations).name.removesuffix(".gz")
  return file.removesuffix(".json") if config.name == NAME else config.name


def _mended(annotations: Annotations) -> str:
  notes = annotations.notes
  return f"{len(notes)} faulty segments, the first: {notes[0]}" if notes else ""


def _cut(
  config: ml_collections.ConfigDict, source: Source, videos: Videos, split: str
) -> list[Cut]:
  """The windows of a split; training windows need segments unless `config.empty`."""
  cuts = []
  for video in videos.tolist():
    interruption.check()
    cuts += cut_video(source.annotations, video, source.steps(video), config)
  if split != "train" or config.empty:
    return cuts
  cuts = [cut for cut in cuts if len(cut.label)]
  if not cuts:
    raise UserError(
      f"none of the {len(videos)} training videos of {config.annotations} has a segment"
      " in a window: check --config.data.train, --config.data.length and"
      " --config.data.step."
    )
  return cuts


def _slots(
  config: ml_collections.ConfigDict, annotations: Annotations, cuts: list[Cut]
) -> int:
  """Segments that the arrays have room for in each window."""
  most = max(cuts, key=lambda cut: len(cut.label))
  if not config.max_segments:
    return max(len(most.label), 1)
  if len(most.label) > config.max_segments:
    raise UserError(
      f"a window of video {annotations.videos[most.video]!r} in {config.annotations}"
      f" has {len(most.label)} segments, but --config.data.max_segments is"
      f" {config.max_segments}: raise it, or set it to 0 for the most there are."
    )
  return config.max_segments


def _examples(
  config: ml_collections.ConfigDict,
  source: Source,
  videos: Videos,
  cuts: list[Cut],
  slots: int,
  read: bool,
) -> TemporalExamples:
  names, truth = source.annotations.videos, source.annotations.segments
  numbers = {number: row for row, number in enumerate(videos.tolist())}
  files = FileFeatures(
    tuple(source.locations[names[i]] for i in videos),
    np.array([numbers[cut.video] for cut in cuts], np.int64),
    np.array([cut.first for cut in cuts], np.int64),
    (config.length, source.width),
    source.layout,
    config.mode,
    config.allow_pickle,
  )
  features: FeatureArray = files if read else AbstractFeatures(files.shape)
  examples = TemporalExamples(
    features,
    *pad_segments(cuts, slots),
    tabulate(cuts),
    truth.take(np.isin(truth.video, videos)),
    source.ambiguous.take(np.isin(source.ambiguous.video, videos)),
    names,
  )
  if not read or examples.nbytes > config.resident_bytes:
    return examples
  return dataclasses.replace(examples, features=files.read())
