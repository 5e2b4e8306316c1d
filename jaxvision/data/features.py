"""Temporal features of videos on disk: one array [t, d] a video.

A location is a file `.npy`, `.npz`, `.csv` or `.h5` (`.hdf5`) or, where a file holds
several arrays, `FILE::KEY`. A text file has one line a time step, perhaps after a line
of names. HDF5 needs the extra `jaxvision[h5]`.
"""

import collections
import pathlib
from collections.abc import Iterable, Mapping
from typing import Literal

import numpy as np
from jaxtyping import Float32

from jaxvision.data.feature_files import (
  HDF5,
  SEPARATOR,
  SUFFIXES,
  list_keys,
  read_array,
)
from jaxvision.data.feature_windows import Window, resize_features, sliding_windows
from jaxvision.errors import UserError

__all__ = [
  "Features", "Layout", "Window", "file_name", "find_features", "list_features",
  "read_features", "resize_features", "sliding_windows",
]  # fmt: skip

Features = Float32[np.ndarray, "t d"]
Layout = Literal["auto", "td", "dt"]
HOLDERS = (".npz", *HDF5)  # one file may hold the features of all videos
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


def list_features(path: str | pathlib.Path) -> dict[str, list[str]]:
  """Lists what feature files there are.

  Args:
    path: a folder, whose files count and not those of its folders, or one .npz or HDF5
      file of many videos.

  Returns:
    {name: locations}: names of files without suffix, or of keys up to the first
    slash (`v_ID/c3d_features`), and mostly one location each.

  Raises:
    UserError: if there is no such folder or file.
  """
  root = pathlib.Path(path).expanduser()
  found: dict[str, list[str]] = collections.defaultdict(list)
  if root.is_dir():
    for file in sorted(root.iterdir()):
      if file.suffix in SUFFIXES and not file.name.startswith("."):
        found[file.stem].append(str(file))
  elif root.is_file() and root.suffix in HOLDERS:
    for key in list_keys(root):
      found[key.split("/")[0]].append(f"{root}{SEPARATOR}{key}")
  else:
    raise UserError(
      f"there is no folder {root}, nor is it an .npz or HDF5 file: give the folder of"
      " the feature files."
    )
  return dict(found)


def find_features(
  path: str | pathlib.Path, videos: Iterable[str], prefix: str = ""
) -> dict[str, str]:
  """Finds the features of videos.

  Args:
    path: see `list_features`.
    videos: names.
    prefix: of the files' names before the videos'. "" also finds files whose names
      begin with "v_", as ActivityNet's do, if there is none without.

  Returns:
    {video: location}, in the order of `videos`; a video without features is left out.

  Raises:
    UserError: if a video has two locations, or `path` is none.
  """
  listed = list_features(path)
  found = {}
  for video in videos:
    locations = listed.get(file_name(video, listed, prefix), [])
    if len(locations) > 1:
      raise UserError(
        f"the features of {video!r} are in both {locations[0]} and {locations[1]}:"
        " remove one."
      )
    if locations:
      found[video] = locations[0]
  return found


def file_name(video: str, listed: Mapping[str, list[str]], prefix: str) -> str:
  """The name under which the features of a video are listed, if they are."""
  name = prefix + video
  return name if prefix or name in listed else PREFIX + video
