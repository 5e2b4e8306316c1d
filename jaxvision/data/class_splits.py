"""Which classes are source and which are target; annotations of some classes only."""

import pathlib
from collections.abc import Sequence

import ml_collections
import numpy as np

from jaxvision.data.annotation_table import Annotations
from jaxvision.data.json_files import read_text
from jaxvision.errors import UserError
from jaxvision.metrics.segments import Segments

Classes = tuple[str, ...]


def split_classes(
  source: Sequence[str], target: Sequence[str] | None, config: ml_collections.ConfigDict
) -> tuple[Classes, Classes]:
  """Decides which classes have untrimmed videos and which have moments only.

  Args:
    source: classes of the source videos.
    target: classes of the target videos, None if they are the same videos.
    config: `source` and `target` are files with one class a line, text behind a tab
      being ignored. Where neither is given, `numpy.random.default_rng(seed)` permutes
      the sorted classes of the one set, and the first round(share * count) are the
      source; .435 of ActivityNet's 200 are the 87 of AherNet, whose own list was not
      published. Of two sets all classes are taken. Where one file is given, of one set,
      all other classes are the other part.

  Returns:
    (source classes, target classes), sorted.

  Raises:
    UserError: a class that is not annotated, that is in both parts, or no class.
  """
  listed = {
    "source": _listed(config.source, source, "source"),
    "target": _listed(config.target, target or source, "target"),
  }
  if target is not None:
    parts = listed["source"] or set(source), listed["target"] or set(target)
  elif listed["source"] or listed["target"]:
    every = set(source)
    parts = (
      listed["source"] or every - listed["target"],
      listed["target"] or every - listed["source"],
    )
  else:
    order = np.random.default_rng(config.seed).permutation(sorted(source)).tolist()
    count = round(config.share * len(order))
    parts = set(order[:count]), set(order[count:])
  both = sorted(parts[0] & parts[1]) if target is None else []
  if both or not all(parts):
    fault = f"{both[0]!r} is in both parts" if both else "a part has no class"
    raise UserError(
      f"--config.data.split: {fault}: give other files, or another share of"
      f" {len(source)} classes."
    )
  return tuple(sorted(parts[0])), tuple(sorted(parts[1]))


def _listed(path: str, known: Sequence[str], part: str) -> set[str]:
  """The classes of a file; none without a file."""
  if not path:
    return set()
  text = read_text(pathlib.Path(path).expanduser())
  lines = (line.partition("\t")[0].strip() for line in text.splitlines())
  names = {line for line in lines if line}
  unknown = sorted(names - set(known))
  if unknown or not names:
    fault = f"names {unknown[0]!r}" if unknown else "names no class"
    raise UserError(
      f"--config.data.split.{part}={path} {fault}; the annotations have"
      f" {', '.join(sorted(known)[:5])}, ...: give one class a line."
    )
  return names


def restrict(
  annotations: Annotations,
  ambiguous: Segments,
  classes: Sequence[str],
  *,
  pure: bool = False,
) -> tuple[Annotations, Segments]:
  """Keeps the segments of some classes, and the videos that have one.

  Args:
    annotations: of all classes.
    ambiguous: segments that count neither way.
    classes: those that are kept; labels are their numbers.
    pure: whether videos with a segment of another class are left out: its background
      would show that class.

  Returns:
    The annotations and the ambiguous segments of the videos kept.

  Raises:
    UserError: nothing is left.
  """
  number = {name: i for i, name in enumerate(classes)}
  label = np.array([number.get(name, -1) for name in annotations.classes], np.int64)
  segments = annotations.segments
  wanted = label[segments.label] >= 0
  kept = np.unique(segments.video[wanted])
  if pure:
    kept = np.setdiff1d(kept, segments.video[~wanted])
  if not len(kept):
    raise UserError(
      f"no video has segments of the {len(classes)} classes {', '.join(classes[:3])},"
      " ...: check --config.data.split."
    )
  place = np.full(len(annotations.videos), -1, np.int64)
  place[kept] = np.arange(len(kept))
  found = segments.take(np.flatnonzero(wanted & (place[segments.video] >= 0)))
  rest = ambiguous.take(np.flatnonzero(place[ambiguous.video] >= 0))
  pick = lambda names: tuple(names[i] for i in kept)
  return (
    annotations._replace(
      segments=found._replace(video=place[found.video], label=label[found.label]),
      videos=pick(annotations.videos),
      classes=tuple(classes),
      durations=annotations.durations[kept],
      subsets=pick(annotations.subsets),
      covered=annotations.covered[kept],
    ),
    rest._replace(video=place[rest.video]),
  )
