"""Partially supervised data from files: one source of videos, or two, or three."""

import functools
from collections.abc import Callable, Iterator

import ml_collections
import numpy as np

from jaxvision.data.annotation_table import Annotations
from jaxvision.data.class_splits import restrict, split_classes
from jaxvision.data.clips import Clips, whole_steps
from jaxvision.data.partial_examples import PartialDataset, clip_steps, section_config
from jaxvision.data.temporal_examples import AbstractFeatures, TemporalDataset
from jaxvision.data.temporal_features import FileFeatures, read_shapes
from jaxvision.data.temporal_files import load_files
from jaxvision.data.temporal_source import find_source, read_annotations
from jaxvision.data.temporal_splits import (
  Videos,
  evaluated_videos,
  split_videos,
  subset_videos,
)
from jaxvision.data.temporal_windows import time_axis
from jaxvision.errors import UserError

Choose = Callable[[Annotations, ml_collections.ConfigDict], Videos]


def load_partial_files(
  config: ml_collections.ConfigDict, *, read: bool = True
) -> PartialDataset:
  """Loads what the config's files hold.

  Args:
    config: the fields of `temporal_defaults.DEFAULTS` and `partial_defaults.PARTIAL`.
    read: False reads no features but shapes, for a plan.

  Raises:
    UserError: naming the file, the video, the class or the field that is wrong.
  """
  two = bool(config.target.annotations)
  target_config = section_config(config, "target")
  all_target = read_annotations(target_config)[0].classes if two else None
  source_classes, target_classes = split_classes(
    read_annotations(config)[0].classes, all_target, config.split
  )
  of_source = functools.partial(restrict, classes=source_classes, pure=True)
  of_target = functools.partial(restrict, classes=target_classes)
  source = load_files(config, read=read, only=of_source)
  steps, width = source.splits["train"].shape
  target_config = _sized(target_config, steps, width)
  apart = bool(config.moments.annotations)
  split = evaluated_videos if two and apart else split_videos
  target = load_files(target_config, read=read, only=of_target, split=split)
  clip_config, choose = target_config, _training
  if apart:
    clip_config, choose = section_config(target_config, "moments"), _subset
  clip = functools.partial(_clips, read=read)
  least, length = config.moments.least, clip_steps(config, steps)
  moments = clip(clip_config, length, least, of_target, choose)
  least, sized = config.foreground.least, _sized(config, steps, width)
  return PartialDataset(
    _described(source if two else target, target, moments),
    source_classes,
    source.splits["train"],
    moments,
    clip(sized, steps, least, of_source, _training),
  )


def _sized(
  config: ml_collections.ConfigDict, steps: int, width: int
) -> ml_collections.ConfigDict:
  """The config for windows like those of the source."""
  sized = ml_collections.ConfigDict(config)
  sized.length, sized.width = steps, width
  return sized


def _described(
  source: TemporalDataset, target: TemporalDataset, moments: Clips
) -> TemporalDataset:
  """The target's data set, with what is to be known of the others."""
  lacking = sorted(set(range(len(target.classes))) - set(moments.label.tolist()))
  missing = (
    f"target classes without a moment, which cannot be learned: {len(lacking)}, such as"
    f" {target.classes[lacking[0]]!r}"
    if lacking
    else ""
  )
  notes = dict.fromkeys(filter(None, (source.note, target.note, missing)))
  names = dict.fromkeys((source.name, target.name))
  return target._replace(name=" to ".join(names), note="; ".join(notes))


def _training(annotations: Annotations, config: ml_collections.ConfigDict) -> Videos:
  return split_videos(annotations, config)["train"]


def _subset(annotations: Annotations, config: ml_collections.ConfigDict) -> Videos:
  """The clips that `config.moments.subset` names, or all of them."""
  return subset_videos(annotations, config.moments.subset, "moments.subset", config)


def _clips(
  config: ml_collections.ConfigDict,
  length: int,
  least: int,
  only: Callable,
  choose: Choose,
  *,
  read: bool,
) -> Clips:
  """Cuts the actions of some videos out of their files, and resizes them.

  Args:
    config: as of `load_files`.
    length: steps of a clip.
    least: steps of the file that an action needs, or it is left out.
    only: see `load_files`.
    choose: (annotations, config) -> the videos.
    read: as of `load_files`.
  """
  annotations, ambiguous = only(*read_annotations(config))
  source = find_source(config, annotations, ambiguous, choose(annotations, config))
  places = list(source.locations.values())
  shapes = read_shapes(places, allow_pickle=config.allow_pickle)
  axis = 0 if source.layout == "td" else 1
  rows = [
    (places.index(place), *row)
    for name, place in source.locations.items()
    for row in _actions(annotations, name, shapes[place][axis], least, config)
  ]
  if not rows:
    raise UserError(
      f"no action of the {len(places)} videos chosen of {config.annotations} has"
      f" {least} steps: lower --config.data.moments.least or"
      " --config.data.foreground.least."
    )
  file, first, end, label = np.array(rows, np.int64).T
  files = FileFeatures(
    tuple(places),
    file,
    first,
    (length, source.width),
    source.layout,
    config.mode,
    config.allow_pickle,
    end,
  )
  label = label.astype(np.int32)
  if not read:
    return Clips(AbstractFeatures(files.shape), label)
  clips = Clips(files, label)
  return Clips(files.read(), label) if clips.nbytes <= config.resident_bytes else clips


def _actions(
  annotations: Annotations,
  name: str,
  steps: int,
  least: int,
  config: ml_collections.ConfigDict,
) -> Iterator[tuple[int, int, int]]:
  """Yields (first step, behind the last, label) of the long enough ones of a video."""
  video, truth = annotations.videos.index(name), annotations.segments
  time = time_axis(annotations, video, steps, config)
  for i in np.flatnonzero(truth.video == video):
    times = np.array([truth.start[i], truth.end[i]], np.float64)
    share = ((times - time.origin) / (time.end - time.origin)).clip(0, 1)
    first, end = whole_steps(*(share * steps).tolist())
    end = min(end, steps)
    if share[1] > share[0] and end - first >= least:
      yield first, end, int(truth.label[i])
