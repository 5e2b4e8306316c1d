"""ActivityNet's JSON files, and those of other data sets in the same forms.

- the official annotations, `{"version", "taxonomy", "database": {ID: {"duration",
  "subset", "annotations": [{"segment": [start, end], "label"}]}}}`, also the form in
  which later works hand around THUMOS14;
- the simplified one of BSN and BMN, `{"v_ID": {"duration_second", "duration_frame",
  "feature_frame", "annotations": [...]}}`;
- results, `{"version", "results": {ID: [{"label", "score", "segment"}]},
  "external_data"}`; proposals are results without labels.

Times are seconds. Any of them may be compressed (.gz).
"""

import math
import pathlib
from typing import Any

from jaxvision.data.annotation_numbers import assemble, select, strip_prefix
from jaxvision.data.annotation_table import (
  UNLABELLED,
  Annotations,
  Row,
  Table,
  Video,
)
from jaxvision.data.json_files import Complain, number, read_json, refuse


def read_activitynet(
  path: str | pathlib.Path,
  subset: str | None = None,
  *,
  like: Annotations | None = None,
  prefix: str = "v_",
  invalid: str = "keep",
) -> Annotations:
  """Reads annotations or results in one of the forms above.

  Args:
    path: the file; `~` is the home folder.
    subset: "training", "validation", ... in any case; None reads all. Classes are
      numbered over the whole file, so that all subsets agree.
    like: annotations whose numbers of videos and classes are kept: read predictions
      with `like=truth`.
    prefix: taken from the names of videos if all of them have it.
    invalid: "keep" changes nothing, as the official evaluation does; "repair", for
      training, turns segments around that run backwards, cuts those that leave their
      video and leaves out those without length. Both report them in `notes`.

  Returns:
    The annotations; segments have scores if the file has.

  Raises:
    UserError: naming the file and the video, if anything is malformed.
  """
  complain = refuse(path)
  known = like.videos if like is not None else ()
  table = parse_activitynet(
    read_json(path, complain), complain, prefix=prefix, known=known
  )
  return assemble(select(table, subset, path), like=like, invalid=invalid)


def parse_activitynet(
  content: Any, complain: Complain, *, prefix: str = "v_", known: tuple[str, ...] = ()
) -> Table:
  """Turns the content of a JSON file into a table.

  Args:
    content: what `read_json` returns.
    complain: takes a sentence for each malformed part, which is then left out.
    prefix: see `read_activitynet`.
    known: names of videos that must be met, see `strip_prefix`.

  Returns:
    The table.
  """
  content, scored = _entries(content, complain)
  names = strip_prefix(list(content), prefix, known)
  table = Table([], {}, set())
  for key, entry in content.items():
    if names[key] in table.videos:
      complain(f"video {key!r} is there with and without {prefix!r}: keep one of them.")
    if scored:
      table.videos[names[key]], annotations = Video(), entry
    elif isinstance(entry, dict):
      table.videos[names[key]] = _video(key, entry, complain)
      annotations = entry.get("annotations")
    else:
      complain(
        f"video {key!r} is {type(entry).__name__} and no object: see the others."
      )
      continue
    if not isinstance(annotations, list):
      complain(f"video {key!r} has no list of annotations: give [] if it has none.")
      continue
    parsed = (
      _row(names[key], i, a, scored, complain) for i, a in enumerate(annotations)
    )
    table.rows.extend(row for row in parsed if row is not None)
  if len({row.score is None for row in table.rows}) > 1:
    complain("some segments have a score and some have none: give all or none one.")
  table.classes.update(row.label for row in table.rows)
  return table


def _entries(content: Any, complain: Complain) -> tuple[dict[str, Any], bool]:
  """{video: entry}, and whether these are results."""
  if isinstance(content, dict):
    for key in ("results", "database"):
      if isinstance(content.get(key), dict):
        return content[key], key == "results"
    # The simplified form has no mark of its own. One entry that looks like it is
    # enough, so that the message names those that do not.
    if any(isinstance(v, dict) and "annotations" in v for v in content.values()):
      return content, False
  complain(
    'neither "database" nor "results" nor videos with "annotations" are in it: give a'
    " file in one of ActivityNet's forms."
  )
  return {}, False


def _video(name: str, entry: dict[str, Any], complain: Complain) -> Video:
  subset = entry.get("subset", "")
  if not isinstance(subset, str):
    complain(f"video {name!r} has the subset {subset!r}: give its name as text.")
    subset = ""
  key = "duration" if "duration" in entry else "duration_second"
  duration = number(entry.get(key))
  if duration is None or duration <= 0:
    complain(
      f"video {name!r} has the {key} {entry.get(key)!r}: give seconds greater than 0."
    )
    return Video(subset=subset)
  return Video(duration, _covered(name, entry, duration, complain), subset)


def _covered(
  name: str, entry: dict[str, Any], duration: float, complain: Complain
) -> float:
  """Seconds up to the last frame that has features."""
  if "feature_frame" not in entry:
    return duration
  features, frames = (number(entry.get(k)) for k in ("feature_frame", "duration_frame"))
  if not features or not frames or features < 0 or frames < 0:
    complain(
      f"video {name!r} has the feature_frame {entry['feature_frame']!r} of the"
      f" duration_frame {entry.get('duration_frame')!r}: give counts greater than 0."
    )
    return duration
  covered = features / frames * duration
  if covered > 0 and math.isfinite(covered):
    return covered
  complain(f"video {name!r} has features of {covered:g} s: check feature_frame.")
  return duration


def _row(
  video: str, index: int, entry: Any, scored: bool, complain: Complain
) -> Row | None:
  place = f"video {video!r}, segment {index}"
  if not isinstance(entry, dict):
    complain(f"{place} is {type(entry).__name__}, but it must be an object.")
    return None
  segment = entry.get("segment")
  ends = [number(x) for x in segment] if isinstance(segment, list) else []
  if len(ends) != 2 or None in ends:
    complain(f"{place} has the ends {segment!r}: give [start, end] in seconds.")
    return None
  label = entry.get("label", UNLABELLED if scored else None)
  if not isinstance(label, str) or (not scored and not label):
    complain(f"{place} has the label {label!r}: give the name of its class.")
    return None
  score = number(entry.get("score"))
  if score is None and (scored or "score" in entry):
    complain(f"{place} has the score {entry.get('score')!r}: give a finite number.")
    return None
  return Row(video, label, ends[0], ends[1], score)
