"""Temporal features of videos on disk: one array [t, d] a video.

A location is a file `.npy`, `.npz`, `.csv`, `.h5` (`.hdf5`), `.pkl` or `.pt` or, where
a file holds several arrays, `FILE::KEY`. A text file has one line a time step, perhaps
after a line of names. HDF5 needs the extra `jaxvision[h5]`, `.pt` torch; `.pkl` is only
read on demand, as is an array of Python objects, because loading it can run any code.
"""

import collections
import pathlib
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Literal

import numpy as np
from jaxtyping import Float32

from jaxvision.data.feature_files import (
  HDF5,
  OBJECTS,
  SEPARATOR,
  SUFFIXES,
  list_keys,
  read_array,
)
from jaxvision.data.feature_windows import Window, resize_features, sliding_windows
from jaxvision.errors import UserError

__all__ = [
  "Features", "Layout", "Window", "find_features", "list_features", "locate",
  "read_features", "resize_features", "sliding_windows",
]  # fmt: skip

Features = Float32[np.ndarray, "t d"]
Layout = Literal["auto", "td", "dt"]
HOLDERS = (".npz", *HDF5)  # one file may hold the features of all videos
VIDEO = "VIDEO"  # where the name of the video stands in the keys
PREFIX = "v_"  # of the feature files of ActivityNet, whose annotations lack it


def read_features(
  location: str | pathlib.Path,
  *,
  allow_pickle: bool = False,
  layout: Layout = "auto",
  width: int | None = None,
) -> Features:
  """Reads the features of one video.

  Axes of length 1 around the array are dropped, those behind it first. Of several
  arrays in a file without a key, the one named features, feature, feats or feat is
  taken.

  Args:
    location: `FILE` or `FILE::KEY`; `~` is the home folder.
    allow_pickle: whether Python objects may be loaded, which can run any code.
    layout: "td" is one row a time step, "dt" one column; "auto" turns the array such
      that its rows have `width` numbers, and leaves it as it is without a width.
      `feature_layout.infer_layout` finds both from many files.
    width: d, checked if given.

  Returns:
    Finite features, float32 [t, d].

  Raises:
    UserError: naming the file, if it is missing, damaged, of another width or shape,
      or holds NaN, infinities, no numbers or none at all.
  """
  x = _matrix(location, read_array(location, allow_pickle=allow_pickle))
  if layout == "dt" or (
    layout == "auto" and width is not None and x.shape[1] != width == x.shape[0]
  ):
    x = x.T
  if width is not None and x.shape[1] != width:
    raise UserError(
      f"{location} has features of shape {x.shape}, but {width} numbers a time step are"
      " expected: give the other files' kind of features."
    )
  with np.errstate(over="ignore"):  # checked below
    x = np.ascontiguousarray(x, np.float32)
  finite = np.isfinite(x)
  if not finite.all():
    t, d = np.argwhere(~finite)[0]
    raise UserError(
      f"{location} holds {np.size(finite) - np.sum(finite)} values that are NaN or"
      f" infinite, the first at time step {t}, number {d}: compute it again."
    )
  return x


def _matrix(location: str | pathlib.Path, x: np.ndarray) -> np.ndarray:
  """Numbers with two axes."""
  if x.dtype == object:
    try:
      x = np.array(x.tolist(), np.float64)
    except (TypeError, ValueError) as error:
      raise UserError(f"{location} holds no array of numbers: save one.") from error
  while x.ndim > 2 and x.shape[-1] == 1:
    x = x[..., 0]
  while x.ndim > 2 and x.shape[0] == 1:
    x = x[0]
  if x.ndim != 2 or not x.size:
    raise UserError(
      f"{location} has the shape {x.shape}, but features are [time, width], not empty."
    )
  if x.dtype.kind not in "fiu":
    raise UserError(f"{location} is of type {x.dtype}, but features are real numbers.")
  return x


def list_features(path: str | pathlib.Path, key: str = "") -> dict[str, list[str]]:
  """Lists what feature files there are.

  Args:
    path: a folder, whose files count and not those of its folders, or one .npz or HDF5
      file of many videos.
    key: of the arrays in files of several, where VIDEO stands for the name of the
      video (`v_VIDEO/c3d_features`). "" takes all keys of one file, and of the files
      of a folder the array that `read_features` takes.

  Returns:
    {name: locations}: names of files without suffix, or of keys up to the first
    slash or as `key` tells, and mostly one location each.

  Raises:
    UserError: if there is no such folder or file, or no such key in it.
  """
  root = pathlib.Path(path).expanduser()
  if root.is_dir():
    return _list_folder(root, key)
  if root.is_file() and root.suffix in HOLDERS:
    return _list_keys(root, key)
  raise UserError(
    f"there is no folder {root}, nor is it an .npz or HDF5 file: give the folder of"
    " the feature files."
  )


def _list_folder(root: pathlib.Path, key: str) -> dict[str, list[str]]:
  found: dict[str, list[str]] = collections.defaultdict(list)
  for file in sorted(root.iterdir()):
    if file.suffix in SUFFIXES and not file.name.startswith("."):
      holds = bool(key) and file.suffix in (*HOLDERS, *OBJECTS)
      inside = SEPARATOR + key.replace(VIDEO, file.stem) if holds else ""
      found[file.stem].append(f"{file}{inside}")
  return dict(found)


def _list_keys(file: pathlib.Path, key: str) -> dict[str, list[str]]:
  if key and key.count(VIDEO) != 1:
    raise UserError(
      f"the key {key!r} does not tell the videos of {file} apart: write {VIDEO} once,"
      f" where their names stand, as in {VIDEO}/c3d_features."
    )
  start, _, end = map(re.escape, key.partition(VIDEO))
  pattern = f"{start}(.+){end}" if key else "([^/]*).*"
  found: dict[str, list[str]] = collections.defaultdict(list)
  keys = list_keys(file)
  for held in keys:
    if match := re.fullmatch(pattern, held, re.DOTALL):
      found[match[1]].append(f"{file}{SEPARATOR}{held}")
  if keys and not found:
    raise UserError(f"{file} has no key like {key!r}, but {keys[0]!r}: give its form.")
  return dict(found)


def find_features(
  path: str | pathlib.Path, videos: Iterable[str], prefix: str = "", key: str = ""
) -> dict[str, str]:
  """Finds the features of videos.

  Args:
    path: see `list_features`.
    videos: names.
    prefix: of the files' names before the videos'. "" also finds files whose names
      begin with "v_", as ActivityNet's do.
    key: see `list_features`.

  Returns:
    {video: location}, in the order of `videos`; a video without features is left out.

  Raises:
    UserError: if a video has two locations, or `path` is none.
  """
  listed = list_features(path, key)
  names = dict.fromkeys(videos)
  found = {}
  for video in names:
    locations = locate(video, listed, prefix, names)
    if len(locations) > 1:
      raise UserError(
        f"the features of {video!r} are in both {locations[0]} and {locations[1]}:"
        " remove one, or tell them apart by the prefix or the key."
      )
    if locations:
      found[video] = locations[0]
  return found


def locate(
  video: str,
  listed: Mapping[str, list[str]],
  prefix: str,
  videos: Collection[str],
) -> list[str]:
  """All locations of the features of a video.

  Args:
    video: its name.
    listed: what `list_features` found.
    prefix: see `find_features`.
    videos: names of all videos; one of them may itself begin with "v_".

  Returns:
    Mostly one location; none if the features are missing, and several if it is not
    known which to take.
  """
  names = [prefix + video]
  if not prefix and PREFIX + video not in videos:
    names.append(PREFIX + video)
  return [location for name in names for location in listed.get(name, [])]
