"""THUMOS14's files: the text files of its development kit, and JSON.

- Annotations are a folder of files `<class>_val.txt` or `<class>_test.txt` with lines
  `video start end`; what counts neither way is in `Ambiguous_val.txt` and
  `Ambiguous_test.txt`.
- Detections are one text file with lines `video start end class score`, where the class
  is a number of the class list, a file with lines `number name`.
- The JSON form is ActivityNet's, see `jaxvision.data.activitynet`, with the subsets
  "Validation" and "Test"; ambiguous segments have the label "Ambiguous".

Times are seconds. The text files know no durations of videos.
"""

import pathlib

from jaxvision.data.activitynet import parse_activitynet
from jaxvision.data.annotation_numbers import assemble, select
from jaxvision.data.annotation_table import AMBIGUOUS, Annotations, Row, Table, Video
from jaxvision.data.json_files import Complain, number, read_json, read_text, refuse
from jaxvision.data.thumos_classes import DEVKIT_CLASSES, read_class_list
from jaxvision.errors import UserError

SUFFIXES = {"val": "validation", "test": "test"}  # of the names of text files
TRUTH, DETECTION = "video start end", "video start end class score"


def read_thumos(
  path: str | pathlib.Path,
  subset: str | None = None,
  *,
  like: Annotations | None = None,
  class_list: str | pathlib.Path | None = None,
  ambiguous: bool = False,
  invalid: str = "keep",
) -> Annotations:
  """Reads annotations or detections in one of the forms above.

  Args:
    path: the folder (or the one above its `annotation`), or a text or JSON file.
    subset: "val" or "validation", or "test", in any case; None reads all.
    like: annotations whose numbers of videos and classes are kept: read detections and
      ambiguous segments with `like=truth`.
    class_list: the class list of detections; None is that of THUMOS14.
    ambiguous: whether to read the ambiguous segments, and them alone; else they are
      left out.
    invalid: "repair" or "keep", see `read_activitynet`.

  Returns:
    The annotations; segments keep the order of the file, which the evaluation of the
    development kit depends on, and have scores if the file has.

  Raises:
    UserError: naming the file and the line or the video, if anything is malformed.
  """
  complain = refuse(path)
  known = like.videos if like is not None else ()
  table = parse_thumos(path, complain, class_list=class_list, known=known)
  table = only(select(table, subset, path), ambiguous)
  return assemble(table, like=like, invalid=invalid)


def only(table: Table, ambiguous: bool) -> Table:
  """The ambiguous segments of a table, or the others.

  Videos with nothing but ambiguous segments belong to the former alone.
  """
  rows = [row for row in table.rows if (row.label == AMBIGUOUS) == ambiguous]
  kept = {row.video for row in rows}
  if not ambiguous:  # videos without any segment stay, too
    kept |= table.videos.keys() - {row.video for row in table.rows}
  videos = {name: video for name, video in table.videos.items() if name in kept}
  classes = {AMBIGUOUS} if ambiguous else table.classes - {AMBIGUOUS}
  return Table(rows, videos, classes)


def parse_thumos(
  path: str | pathlib.Path,
  complain: Complain,
  *,
  class_list: str | pathlib.Path | None = None,
  known: tuple[str, ...] = (),
) -> Table:
  """Reads any of the forms into a table.

  Args:
    path: see `read_thumos`.
    complain: takes a sentence for each malformed part, which is then left out.
    class_list: see `read_thumos`.
    known: names of videos that must be met.

  Returns:
    The table, with the subsets "validation" and "test" as far as names of files tell,
    and ambiguous segments among the others.
  """
  file = pathlib.Path(path).expanduser()
  if not file.is_dir() and file.suffix != ".txt":
    return parse_activitynet(read_json(file, complain), complain, known=known)
  table = Table([], {}, set())
  names = DEVKIT_CLASSES if class_list is None else read_class_list(class_list)
  for text_file in _class_files(file) if file.is_dir() else [file]:
    _read_lines(text_file, table, names, complain)
  return table


def _class_files(folder: pathlib.Path) -> list[pathlib.Path]:
  if (folder / "annotation").is_dir():
    folder = folder / "annotation"
  texts = sorted(folder.glob("*.txt"))
  found = [f for f in texts if f.stem.rpartition("_")[2] in SUFFIXES]
  if not found:
    raise UserError(
      f"{folder} holds no files <class>_val.txt or <class>_test.txt: give the folder of"
      " THUMOS14's annotations."
    )
  return found


def _read_lines(
  file: pathlib.Path, table: Table, class_names: dict[int, str], complain: Complain
) -> None:
  """Adds the lines of one text file to the table."""
  lines = enumerate(read_text(file).splitlines(), 1)
  fields = {i: line.split() for i, line in lines if line.strip()}
  detections = len(next(iter(fields.values()), ())) == len(DETECTION.split())
  name, _, suffix = file.stem.rpartition("_")
  if not detections and suffix not in SUFFIXES:
    complain(
      f"{file.name} holds no detections, {DETECTION!r}, and is not named"
      " <class>_val.txt or <class>_test.txt, as annotations are."
    )
    return
  subset = "" if detections else SUFFIXES[suffix]
  if not detections:
    table.classes.add(name)
  for i, words in fields.items():
    row = _detection(words, class_names) if detections else _truth(words, name)
    if row is None:
      form = f"{DETECTION!r} with a class of the list" if detections else repr(TRUTH)
      complain(f"{file.name} line {i} is {' '.join(words)!r}, but it should be {form}.")
      continue
    other = table.videos.get(row.video, Video(subset=subset)).subset
    if other != subset:
      complain(
        f"{file.name} line {i}: video {row.video!r} is in {subset!r} and, by another"
        f" file, in {other!r}: keep it in one of them."
      )
    table.rows.append(row)
    table.classes.add(row.label)
    table.videos[row.video] = Video(subset=subset)


def _truth(words: list[str], label: str) -> Row | None:
  numbers = [_number(word) for word in words[1:]]
  if len(numbers) != 2 or None in numbers:
    return None
  return Row(words[0], label, *numbers, None)


def _detection(words: list[str], class_names: dict[int, str]) -> Row | None:
  numbers = [_number(word) for word in words[1:]]
  if len(numbers) != 4 or None in numbers or numbers[2] not in class_names:
    return None
  start, end, label, score = numbers
  return Row(words[0], class_names[int(label)], start, end, score)


def _number(word: str) -> float | None:
  try:
    return number(float(word))
  except ValueError:
    return None
