"""Checks of annotations and features that go on after each finding."""

import collections
import functools
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

from jaxvision import interruption
from jaxvision.data.annotation_numbers import select
from jaxvision.data.annotation_table import Table, describe, mend
from jaxvision.data.feature_layout import agree
from jaxvision.data.features import Layout, list_features, locate, read_features
from jaxvision.data.thumos import parse_thumos
from jaxvision.errors import UserError


class Report(NamedTuple):
  """What was checked and what was found.

  Attributes:
    findings: one sentence each.
    videos: checked.
    segments: in them.
    files: of features that were read.
  """

  findings: tuple[str, ...]
  videos: int
  segments: int
  files: int


def validate(
  annotations: str | pathlib.Path,
  features: str | pathlib.Path | None = None,
  *,
  subset: str | None = None,
  prefix: str = "",
  layout: Layout = "auto",
  width: int | None = None,
  class_list: str | pathlib.Path | None = None,
  key: str = "",
  allow_pickle: bool = False,
) -> Report:
  """Checks all of a data set and goes on after each finding.

  Args:
    annotations: a file of ActivityNet's or THUMOS14's, or the latter's folder.
    features: a folder of feature files, or one file of all; None checks none.
    subset: whose segments are checked and whose videos need features; None is all.
    prefix: of the feature files, see `find_features`.
    layout: of the features; "auto" takes the one that most files fit.
    width: that features must have; None takes that of most files.
    class_list: for THUMOS14's detections, see `read_thumos`.
    key: of the arrays in files of several, see `list_features`.
    allow_pickle: whether Python objects may be loaded, which can run any code.

  Returns:
    The report.

  Raises:
    UserError: if there are no such files, or no such subset.
  """
  if not pathlib.Path(annotations).expanduser().exists():
    raise UserError(f"there is no file {annotations}: give --annotations=FILE.")
  listed = list_features(features, key) if features is not None else {}
  findings: list[str] = []
  check_files = functools.partial(
    _check_files, listed, layout=layout, width=width, allow_pickle=allow_pickle
  )

  def complain(sentence: str) -> None:
    findings.append(f"{annotations}: {sentence}")

  try:
    everything = parse_thumos(annotations, complain, class_list=class_list)
  except UserError as error:  # nothing of the file can be read
    findings.append(str(error))
    return Report((*findings, *check_files()), 0, 0, len(listed))
  table = select(everything, subset, annotations) if everything.videos else everything
  for sentence in _check_segments(table):
    complain(sentence)
  if features is not None:
    findings += _check_presence(table, everything, listed, prefix, features)
    findings += check_files()
  return Report(
    tuple(findings), len(table.videos), len(table.rows), sum(map(len, listed.values()))
  )


def _check_segments(table: Table) -> Iterator[str]:
  if not table.rows:
    yield "there are no segments."
  for row, count in collections.Counter(table.rows).items():
    _, fault = mend(row, table.videos[row.video].duration)
    if fault:
      yield f"{describe(row)} {fault}."
    if count > 1:
      yield f"{describe(row)} occurs {count} times."


def _check_presence(
  table: Table,
  everything: Table,
  listed: dict[str, list[str]],
  prefix: str,
  features: str | pathlib.Path,
) -> Iterator[str]:
  for video in table.videos:
    locations = locate(video, listed, prefix, everything.videos)
    if not locations:
      yield f"{features}: video {video!r} has no features."
    elif len(locations) > 1:
      yield f"video {video!r} has features twice: {' and '.join(locations)}."
  # features of the other subsets are no mistake
  names = everything.videos
  known = {place for name in names for place in locate(name, listed, prefix, names)}
  for locations in listed.values():
    if known.isdisjoint(locations):
      yield f"{locations[0]}: these features belong to no video in the annotations."


def _check_files(
  listed: dict[str, list[str]],
  *,
  layout: Layout,
  width: int | None,
  allow_pickle: bool,
) -> Iterator[str]:
  """Reads every feature file, and compares widths."""
  shapes = {}
  for location in (location for found in listed.values() for location in found):
    interruption.check()
    try:
      axes = "td" if layout == "auto" else layout
      x = read_features(location, layout=axes, allow_pickle=allow_pickle)
      shapes[location] = x.shape
    except UserError as error:
      yield str(error)
  if shapes:
    yield from _check_widths(shapes, layout, width)


def _check_widths(
  shapes: dict[str, tuple[int, int]], layout: Layout, width: int | None
) -> Iterator[str]:
  axes: tuple[int, ...] = (1, 0) if layout == "auto" else (1,)
  source = "expected"
  if width is None:
    common = agree(shapes, axes=axes)
    width, source = common.width, "in most files"
    axes = (1,) if common.layout == "td" else (0,)
  for location, shape in shapes.items():
    if width not in [shape[axis] for axis in axes]:
      yield (
        f"{location} has features of shape {shape}, but {width} numbers a time step are"
        f" {source}."
      )
