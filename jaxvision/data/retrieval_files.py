"""Image files of UK-Bench and INRIA Holidays, whose names say what belongs together.

- UK-Bench (Nister and Stewenius, CVPR 2006): `ukbench00000.jpg`, `ukbench00001.jpg`,
  ...; four images in a row show one object.
- Holidays (Jegou, Douze, Schmid; ECCV 2008): six digits, as in `100001.jpg`; the first
  four number the group, the last two the image in it, and 00 is the query.

Hidden files and files that are no images by their suffix are left out.
"""

import pathlib
import re
from typing import NamedTuple

import numpy as np

from jaxvision.data.image_files import SUFFIXES
from jaxvision.errors import UserError
from jaxvision.typing import Bool, Int

UKBENCH_GROUP = 4  # images of an object
HOLIDAYS_GROUP = 100  # numbers of a group


class RetrievalFiles(NamedTuple):
  """Image files in the order of their numbers.

  Attributes:
    paths: one an image.
    number: what the names say.
    group: images of one group show the same thing.
  """

  paths: tuple[pathlib.Path, ...]
  number: Int[np.ndarray, " n"]
  group: Int[np.ndarray, " n"]


def read_ukbench(folder: str | pathlib.Path) -> RetrievalFiles:
  """Lists the images of UK-Bench, or of some of its groups.

  Args:
    folder: holds the files themselves; `~` is the home folder.

  Returns:
    Files with `group = number // 4`, all of four images.

  Raises:
    UserError: no such folder, no images, a file of another name, a number twice, a
      group that is not complete.
  """
  paths, number = _numbered(folder, r"ukbench(\d{5})", "ukbench00000.jpg")
  group = number // UKBENCH_GROUP
  groups, size = np.unique(group, return_counts=True)
  for index in groups[size < UKBENCH_GROUP][:1]:
    first = UKBENCH_GROUP * index
    absent = min(set(range(first, first + UKBENCH_GROUP)) - set(number.tolist()))
    raise UserError(
      f"{folder} has no ukbench{absent:05d}, though it has others of its group of"
      f" {UKBENCH_GROUP}: add it or remove the group."
    )
  return RetrievalFiles(paths, number, group)


def read_holidays(folder: str | pathlib.Path) -> RetrievalFiles:
  """Lists the images of Holidays, or of some of its groups.

  Args:
    folder: holds the files themselves; `~` is the home folder.

  Returns:
    Files with `group = number // 100`; every group has a query (see `is_query`) and
    other images.

  Raises:
    UserError: no such folder, no images, a file of another name, a number twice, a
      group without its query or with nothing else.
  """
  paths, number = _numbered(folder, r"(\d{6})", "100000.jpg")
  group = number // HOLIDAYS_GROUP
  for index in np.setdiff1d(group, group[is_query(number)])[:1]:
    raise UserError(
      f"{folder} has images of group {index} but not the query {index:04d}00: add it"
      " or remove the group."
    )
  groups, size = np.unique(group, return_counts=True)
  for index in groups[size == 1][:1]:
    raise UserError(
      f"{folder} has the query {index:04d}00 alone, with nothing to find: add the"
      " other images of its group or remove it."
    )
  return RetrievalFiles(paths, number, group)


def is_query(number: Int[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
  """Which images of Holidays are queries."""
  return number % HOLIDAYS_GROUP == 0


def _numbered(
  folder: str | pathlib.Path, pattern: str, example: str
) -> tuple[tuple[pathlib.Path, ...], Int[np.ndarray, " n"]]:
  """The image files of a folder by ascending number, which `pattern` finds."""
  root = pathlib.Path(folder).expanduser()
  if not root.is_dir():
    raise UserError(f"there is no folder {root}: give the one with {example}.")
  known: dict[int, pathlib.Path] = {}
  for path in sorted(root.iterdir()):
    if path.suffix.lower() not in SUFFIXES or path.name.startswith("."):
      continue
    # re.ASCII: `\d` would take the digits of all scripts.
    match = re.fullmatch(pattern, path.stem, re.ASCII)
    if not match:
      raise UserError(
        f"{path} is not named like {example}: rename it or move it elsewhere."
      )
    number = int(match[1])
    if number in known:
      raise UserError(f"{known[number]} and {path} have one number: remove one.")
    known[number] = path
  if not known:
    raise UserError(f"{root} has no images: give the folder with {example}.")
  ascending = sorted(known)
  return tuple(known[n] for n in ascending), np.array(ascending)
