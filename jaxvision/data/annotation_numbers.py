"""From a table of names to arrays of numbers: prefixes, subsets, shared numbering."""

import math

import numpy as np

from jaxvision.data.annotation_table import (
  AMBIGUOUS,
  UNLABELLED,
  Annotations,
  Row,
  Table,
  Video,
  describe,
  mend,
)
from jaxvision.errors import UserError
from jaxvision.metrics.segments import Segments

ALIASES = {"train": "training", "val": "validation"}
POLICIES = ("repair", "keep")
YOUTUBE = 11  # characters of an id, which may itself begin with "v_"


def strip_prefix(
  names: list[str], prefix: str, known: tuple[str, ...] = ()
) -> dict[str, str]:
  """Maps the names in a file to names without prefix.

  The prefix goes if all names have it. Ids of YouTube may begin with "v_", so names
  that all have the length of such ids keep theirs.

  Args:
    names: all names in the file.
    prefix: such as "v_"; "" changes nothing.
    known: names that must be met: with or without prefix, they come first.

  Returns:
    {name in the file: name}.
  """
  goes = bool(prefix) and all(n.startswith(prefix) for n in names)
  goes = goes and any(len(n) != YOUTUBE for n in names)
  known_names = set(known)
  result = {}
  for name in names:
    short = name.removeprefix(prefix)
    met = [n for n in (name, short, prefix + name) if n in known_names]
    result[name] = met[0] if met else short if goes else name
  return result


def select(table: Table, subset: str | None, path: object) -> Table:
  """The part of the table in one subset, whatever the case of its name; None is all."""
  if subset is None:
    return table
  wanted = subset.casefold()
  wanted = ALIASES.get(wanted, wanted)
  videos = {n: v for n, v in table.videos.items() if v.subset.casefold() == wanted}
  if not videos:
    names = sorted({v.subset for v in table.videos.values()} - {""})
    raise UserError(
      f"{path} has no subset {subset!r}, but {', '.join(names) or 'no subsets at all'}:"
      " choose another one, or none."
    )
  return table._replace(
    videos=videos, rows=[r for r in table.rows if r.video in videos]
  )


def assemble(table: Table, *, like: Annotations | None, invalid: str) -> Annotations:
  """Numbers the names of a table.

  Args:
    table: what a file holds.
    like: annotations whose numbers of videos and classes are kept; names that it lacks
      get numbers after them. So truth and predictions can be compared.
    invalid: "repair" mends faulty segments as `mend` does; "keep" leaves all as they
      are. The notes say so either way.

  Returns:
    The annotations, segments in the order of the table.
  """
  if invalid not in POLICIES:
    raise UserError(f"invalid={invalid!r} is unknown: give {' or '.join(POLICIES)}.")
  rows, notes = _mend_all(table, invalid)
  old = like or _EMPTY
  before = set(old.videos)
  videos = (*old.videos, *(n for n in table.videos if n not in before))
  new = tuple(sorted(table.classes - set(old.classes)))
  if like is not None:
    notes += [
      f"the class {name!r} is not among the {len(old.classes)} known ones"
      for name in new
      if name not in (UNLABELLED, AMBIGUOUS)
    ]
  merged = _merge(old, videos, table)
  classes = (*old.classes, *new)
  return Annotations(
    _segments(rows, videos, classes),
    videos,
    classes,
    np.array([v.duration for v in merged], np.float64),
    tuple(v.subset for v in merged),
    tuple(notes),
    np.array([v.covered for v in merged], np.float64),
  )


def _mend_all(table: Table, invalid: str) -> tuple[list[Row], list[str]]:
  rows, notes = [], []
  for row in table.rows:
    mended, fault = mend(row, table.videos[row.video].duration)
    if invalid == "keep":
      mended, done = row, "kept as it is"
    elif mended is None:
      done = "left out"
    else:
      done = f"read as [{mended.start:g}, {mended.end:g}]"
    if fault:
      notes.append(f"{describe(row)} {fault}: {done}")
    if mended is not None:
      rows.append(mended)
  return rows, notes


def _merge(old: Annotations, videos: tuple[str, ...], table: Table) -> list[Video]:
  """What the table says of each video and, where it is silent, what `old` says."""
  before = zip(old.durations.tolist(), old.covered.tolist(), old.subsets, strict=True)
  known = dict(zip(old.videos, map(Video._make, before), strict=True))
  merged = []
  for name in videos:
    now, past = table.videos.get(name, Video()), known.get(name, Video())
    merged.append(
      Video(
        past.duration if math.isnan(now.duration) else now.duration,
        past.covered if math.isnan(now.covered) else now.covered,
        now.subset or past.subset,
      )
    )
  return merged


def _segments(
  rows: list[Row], videos: tuple[str, ...], classes: tuple[str, ...]
) -> Segments:
  video = {name: i for i, name in enumerate(videos)}
  label = {name: i for i, name in enumerate(classes)}
  scored = any(row.score is not None for row in rows)
  return Segments(
    np.array([video[row.video] for row in rows], np.int64),
    np.array([label[row.label] for row in rows], np.int64),
    np.array([row.start for row in rows], np.float64),
    np.array([row.end for row in rows], np.float64),
    np.array([row.score for row in rows], np.float64) if scored else None,
  )


_NOTHING = np.zeros(0, np.float64)
_EMPTY = Annotations(_segments([], (), ()), (), (), _NOTHING, (), (), _NOTHING)
