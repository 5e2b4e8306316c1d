"""Arrays in feature files of all formats; a damaged one is refused by its name."""

import functools
import pathlib
import pickle
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import numpy as np

from jaxvision.data.feature_objects import (
  damaged,
  read_pickle,
  read_torch,
  refuse_pickle,
)
from jaxvision.data.json_files import read_text
from jaxvision.errors import UserError

SEPARATOR = "::"  # between a file of several arrays and the key of one
KEYS = ("features", "feature", "feats", "feat")  # one of several arrays without a key
HDF5 = (".h5", ".hdf5")
OBJECTS = (".pkl", ".pt")
SUFFIXES = (".npy", ".npz", ".csv", *HDF5, *OBJECTS)
# All that the readers of these formats were seen to raise of bytes changed at random.
BROKEN = (
  zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, MemoryError,
  pickle.UnpicklingError, tokenize.TokenError, RuntimeError, KeyError, OverflowError,
  TypeError,
)  # fmt: skip


def read_array(location: str | pathlib.Path, *, allow_pickle: bool) -> np.ndarray:
  """Returns the array at a location `FILE` or `FILE::KEY`, as it is.

  Raises:
    UserError: if there is no such file or key, or the file is damaged, of another
      format, or holds Python objects without `allow_pickle`.
  """
  name, _, key = str(location).partition(SEPARATOR)
  file = pathlib.Path(name).expanduser()
  if file.suffix not in SUFFIXES:
    raise UserError(
      f"{file} is no feature file by its name: give one of {', '.join(SUFFIXES)}."
    )
  if not file.is_file():
    raise UserError(f"there is no feature file {file}: give an existing one.")
  if key and file.suffix in (".npy", ".csv"):
    raise UserError(f"{location}: a {file.suffix} file has no keys: leave {key!r} out.")
  readers: dict[str, Callable[[], np.ndarray]] = {
    ".npy": functools.partial(_read_npy, file, allow_pickle),
    ".npz": functools.partial(_read_npz, file, key, allow_pickle),
    ".csv": functools.partial(_read_csv, file),
    ".pkl": lambda: _array(file, key, read_pickle(file, allow_pickle=allow_pickle)),
    ".pt": lambda: _array(file, key, read_torch(file)),
  }
  read = readers.get(file.suffix, functools.partial(_read_hdf5, file, key))
  try:
    return read()
  except BROKEN as error:
    if "allow_pickle=False" in str(error):
      raise refuse_pickle(file) from error
    raise damaged(file, error) from error


def list_keys(path: str | pathlib.Path) -> tuple[str, ...]:
  """The keys of all arrays in an .npz or HDF5 file.

  Raises:
    UserError: if the file is damaged, or is HDF5 and h5py is missing.
  """
  file = pathlib.Path(path).expanduser()
  try:
    if file.suffix in HDF5:
      with _h5py(file).File(file, "r") as archive:
        return _datasets(archive)
    with zipfile.ZipFile(file) as archive:
      return tuple(name.removesuffix(".npy") for name in archive.namelist())
  except BROKEN as error:
    raise damaged(file, error) from error


def _array(file: pathlib.Path, key: str, content: Any) -> np.ndarray:
  """What a file of Python objects holds, or what it holds at a key."""
  if isinstance(content, Mapping):
    keys = tuple(map(str, content))
    content = list(content.values())[keys.index(_choose(file, key, keys))]
  elif key:
    raise UserError(f"{file} holds no arrays by key: leave {SEPARATOR}{key} out.")
  return np.asarray(content)


def _read_npy(file: pathlib.Path, allow_pickle: bool) -> np.ndarray:
  with file.open("rb") as stream:  # numpy.load would take other formats, too
    return np.lib.format.read_array(stream, allow_pickle=allow_pickle)


def _read_npz(file: pathlib.Path, key: str, allow_pickle: bool) -> np.ndarray:
  if not zipfile.is_zipfile(file):  # numpy would take it for a pickle
    raise ValueError("it is no zip archive")
  with np.load(file, allow_pickle=allow_pickle) as archive:
    # a zip archive may also hold files that are no arrays: bytes
    return np.asarray(archive[_choose(file, key, tuple(archive.files))])


def _read_csv(file: pathlib.Path) -> np.ndarray:
  """Numbers between commas or spaces, perhaps below one line of names."""
  lines = [line for line in read_text(file).splitlines() if line.strip()]
  delimiter = "," if lines and "," in lines[0] else None
  words = [line.split(delimiter) for line in lines[:2]]
  lines = lines[words != [] and _is_header(words) :]
  if not lines:
    raise ValueError("it holds no lines of numbers")
  return np.loadtxt(lines, np.float64, delimiter=delimiter, comments=None, ndmin=2)


def _is_header(lines: list[list[str]]) -> bool:
  """Whether the first of two lines, as words, is one of names."""
  first, *second = lines
  try:
    _ = [float(word) for word in first]
  except ValueError:
    return True
  # pandas names columns 0, 1, 2, ...; numbers that begin so would go on whole
  counted = [word.strip() for word in first] == [str(i) for i in range(len(first))]
  return counted and any("." in word for words in second for word in words)


def _read_hdf5(file: pathlib.Path, key: str) -> np.ndarray:
  with _h5py(file).File(file, "r") as archive:
    return np.asarray(archive[_choose(file, key, _datasets(archive))][()])


def _datasets(archive: Any) -> tuple[str, ...]:
  keys: list[str] = []

  def visit(name: str, item: Any) -> None:
    if hasattr(item, "shape"):  # and is no group or type
      keys.append(name)

  archive.visititems(visit)
  return tuple(keys)


def _h5py(file: pathlib.Path) -> ModuleType:
  try:
    import h5py
  except ImportError as error:
    raise UserError(
      f"{file} needs h5py, which is not installed: pip install 'jaxvision[h5]'."
    ) from error
  return h5py


def _choose(file: pathlib.Path, key: str, keys: tuple[str, ...]) -> str:
  """The key asked for, the only one, or the one that is named like features."""
  wanted = (key,) if key else keys if len(keys) == 1 else KEYS
  found = [k for k in wanted if k in keys]
  if not found:
    held = ", ".join(keys[:5]) + ", ..." * (len(keys) > 5)
    raise UserError(
      f"{file} has no array {key!r}, but {held or 'none'}: give {file.name}::KEY."
      if key
      else f"{file} holds {len(keys)} arrays, {held or 'none'}: give {file.name}::KEY."
    )
  return found[0]
