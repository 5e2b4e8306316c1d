"""Who is searched for, and among whom: the random splits of re-identification.

Ten splits of each data set, over which metrics are averaged; every query has one match.
They follow from a fixed seed and the files, or are read from the JSON file where they
were written, `[{"query": [[path, identity, camera], ...], "gallery": ...}, ...]`.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Int

from jaxvision import files as file_lib
from jaxvision.data.reid_examples import Split
from jaxvision.data.reid_layouts import PersonFiles
from jaxvision.errors import UserError

SPLITS = 10
PAIRED = 200  # PRID: persons up to this number are in both views
PARTITIONS = "features_and_partitions.mat"
Rows = Int[np.ndarray, " r"]
Protocol = Callable[[PersonFiles, np.random.Generator], Split]


def make_splits(name: str, files: PersonFiles) -> tuple[Split, ...]:
  """Draws the splits of a data set, always the same ones.

  Args:
    name: "viper", "prid", "grid", "ilids"; of another one, people in two cameras are
      searched for, with one image in each (see `single_shot`).
    files: of the data set.

  Raises:
    UserError: nobody to search for, or no file of partitions.
  """
  if name == "grid":
    return grid_splits(files)
  protocol = PROTOCOLS.get(name, single_shot)
  return tuple(protocol(files, np.random.default_rng((0, i))) for i in range(SPLITS))


def viper_split(files: PersonFiles, rng: np.random.Generator) -> Split:
  """Half of the people: camera a searches in camera b."""
  people = np.intersect1d(*(files.identity[files.camera == c] for c in (0, 1)))
  return _between(files, _half(people, rng))


def prid_split(files: PersonFiles, rng: np.random.Generator) -> Split:
  """Half of those in both views: view a searches in view b, where 549 others are."""
  both = np.intersect1d(*(files.identity[files.camera == c] for c in (0, 1)))
  found = _between(files, _half(both[both <= PAIRED], rng))
  others = np.flatnonzero((files.camera == 1) & (files.identity > PAIRED))
  return Split(found.query, np.concatenate([found.gallery, others]))


def ilids_split(files: PersonFiles, rng: np.random.Generator) -> Split:
  """Half of the people: one image each searches for another one."""
  rows = [np.flatnonzero(files.identity == p) for p in np.unique(files.identity)]
  rows = [own for own in rows if len(own) > 1]
  chosen = _half(np.arange(len(rows)), rng)
  pairs = np.array([rng.permutation(rows[i])[:2] for i in chosen], int).reshape(-1, 2)
  return Split(pairs[:, 0], pairs[:, 1])


def grid_splits(files: PersonFiles) -> tuple[Split, ...]:
  """The ten published partitions: probe images search in the gallery's folder.

  Raises:
    UserError: the file of partitions is missing or another.
  """
  train = _partitions(files.root / PARTITIONS)
  probe = np.array([path.parent.name == "probe" for path in files.paths])
  splits = []
  for people in train:
    kept = ~np.isin(files.identity, people)
    splits.append(Split(np.flatnonzero(kept & probe), np.flatnonzero(kept & ~probe)))
  return tuple(splits)


def _partitions(path: Path) -> list[Rows]:
  """The people of GRID's training sets."""
  import scipy.io

  if not path.is_file():
    raise UserError(f"there is no {path}: it tells the splits of GRID; put it there.")
  try:
    cells = scipy.io.loadmat(path)["trainIdxAll"][0]
    return [np.asarray(cell[0][0][2][0], int).ravel() for cell in cells[:SPLITS]]
  except Exception as error:  # of many types, in a file that is another one
    raise UserError(f"{path} holds no trainIdxAll of GRID: get it again.") from error


def single_shot(files: PersonFiles, rng: np.random.Generator) -> Split:
  """All people in two cameras: an image of one searches for one of another camera.

  Others have an image in the gallery. Where cameras are not known, every image counts
  as of its own.
  """
  query, gallery = [], []
  for person in np.unique(files.identity):
    rows = rng.permutation(np.flatnonzero(files.identity == person))
    camera = files.camera[rows]
    away = rows[(camera != camera[0]) | (camera < 0)]
    away = away[away != rows[0]]
    query += [rows[0]] if len(away) else []
    gallery.append(away[0] if len(away) else rows[0])
  return Split(np.array(query, int), np.array(gallery, int))


PROTOCOLS: dict[str, Protocol] = {
  "viper": viper_split,
  "prid": prid_split,
  "ilids": ilids_split,
}


def _half(people: Rows, rng: np.random.Generator) -> Int[np.ndarray, " half"]:
  """Those of a random split who are not in its smaller, the training half."""
  return np.sort(rng.permutation(people)[len(people) // 2 :])


def _between(files: PersonFiles, people: Rows) -> Split:
  """Images of people in camera 0, and those in camera 1."""
  chosen = np.isin(files.identity, people)
  query, gallery = (np.flatnonzero(chosen & (files.camera == c)) for c in (0, 1))
  return Split(query, gallery)


def stored_splits(name: str, files: PersonFiles, folder: Path) -> tuple[Split, ...]:
  """Reads the splits of a data set, or makes them and writes them down.

  Args:
    name: of the data set; the file is `splits_<name>.json`.
    files: of the data set.
    folder: of the file.

  Raises:
    UserError: a file that is damaged or of other images, or that cannot be written.
  """
  path = folder / f"splits_{name}.json"
  if path.is_file():
    return _read(path, files)
  splits = make_splits(name, files)
  if not all(len(split.query) for split in splits):
    raise UserError(f"{files.root} shows nobody twice: there is nobody to search for.")
  try:
    file_lib.write_json(path, [_entries(files, split) for split in splits])
  except OSError as error:
    raise UserError(
      f"{path} cannot be written ({error}): set config.data.splits to a folder where"
      " it can."
    ) from error
  return splits


def _entries(files: PersonFiles, split: Split) -> dict[str, list]:
  named = split._asdict().items()
  return {f: [list(_entry(files, row)) for row in rows.tolist()] for f, rows in named}


def _entry(files: PersonFiles, row: int) -> tuple[str, int, int]:
  path = files.paths[row].relative_to(files.root).as_posix()
  return path, int(files.identity[row]), int(files.camera[row])


def _read(path: Path, files: PersonFiles) -> tuple[Split, ...]:
  number = {_entry(files, row): row for row in range(len(files.paths))}
  try:
    splits = tuple(
      Split(*(np.array([number[tuple(e)] for e in s[f]], int) for f in Split._fields))
      for s in json.loads(path.read_text())
    )
  except KeyError as error:
    raise UserError(
      f"{path} names {error}, which {files.root} does not hold so: remove the file, and"
      " new splits are made."
    ) from error
  except (TypeError, ValueError) as error:
    raise UserError(f"{path} is no file of splits ({error}): remove it.") from error
  people = files.identity
  match = [np.isin(people[split.query], people[split.gallery]) for split in splits]
  if not match or not all(rows.any() for rows in match):
    raise UserError(f"{path} has a split that finds nobody, or none: remove it.")
  return splits
