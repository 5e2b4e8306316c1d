"""Image files in class folders.

Either the tree is split, `PATH/train/<class>/*.png` and `PATH/test/<class>/*.png`
(and, optionally, `PATH/val` or `PATH/validation`; without `test` the validation
images are the test images), or it is not, `PATH/<class>/*.png`, and a fifth of every
class is set apart for testing, always the same files. A class folder may have folders
of its own. Classes are numbered in the order of their names. Hidden files and files
that are no images by their suffix are left out. Images are grey if all of them are,
and RGB otherwise; transparency is dropped.
"""

import functools
import pathlib
from typing import NamedTuple

import numpy as np

from jaxvision import interruption
from jaxvision.data.decoding import decode, header
from jaxvision.data.examples import (
  Batch,
  ImageDataset,
  Indices,
  SourceExamples,
  Unavailable,
)
from jaxvision.errors import UserError

SUFFIXES = frozenset(
  (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".pgm", ".ppm", ".tif", ".tiff", ".webp")
)
SPLITS = {"train": "train", "val": "val", "validation": "val", "test": "test"}


class Files(NamedTuple):
  """Image files and the number of the class folder each of them lies in."""

  paths: list[pathlib.Path]
  label: np.ndarray


def load_folder(path: str, *, size: int, fit: str = "stretch") -> ImageDataset:
  """Lists the image files of a tree of class folders; reads their headers only.

  Args:
    path: the tree's root; `~` is the home folder.
    size: 0 if all images have one size, which is kept; else they are resized to
      size x size pixels.
    fit: how, as of `decoding.decode`.

  Returns:
    A data set whose images are decoded when they are asked for, with the splits that
    the tree has.

  Raises:
    Unavailable: if there is no such folder.
    UserError: naming the folder or the file that breaks a rule.
  """
  root = pathlib.Path(path).expanduser()
  if not root.is_dir():
    raise Unavailable(
      f"there is no folder {root}: give the folder that holds the class folders as"
      " --config.data.name=folder:PATH."
    )
  roots = _split_roots(root)
  classes = {split: _classes(folder) for split, folder in roots.items()}
  for split, names in classes.items():
    _check_same_classes(roots["train"], classes["train"], roots[split], names)
  names = classes["train"]
  files = {split: _files(folder, names) for split, folder in roots.items()}
  shape = _shape([p for f in files.values() for p in f.paths], size)
  splits = {split: _examples(f, shape, size, fit) for split, f in files.items()}
  return ImageDataset(f"folder:{path}", "", names, splits)


def _subfolders(folder: pathlib.Path) -> list[pathlib.Path]:
  found = (p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
  return sorted(found)


def _split_roots(root: pathlib.Path) -> dict[str, pathlib.Path]:
  """Split -> folder that holds its class folders."""
  folders = {p.name: p for p in _subfolders(root)}
  # "train" can also be a class, of vehicles: it is a split if it holds folders or if
  # all of its neighbours are named like splits.
  split = "train" in folders and (
    bool(_subfolders(folders["train"])) or folders.keys() <= SPLITS.keys()
  )
  if not split:
    return {"train": root}
  return {SPLITS[name]: p for name, p in folders.items() if name in SPLITS}


def _classes(folder: pathlib.Path) -> tuple[str, ...]:
  names = tuple(p.name for p in _subfolders(folder))
  if len(names) < 2:
    raise UserError(
      f"{folder} holds {len(names) or 'no'} class folder{'s' * (not names)}, but"
      " classification needs two or more: one folder of images a class."
    )
  return names


def _check_same_classes(
  train: pathlib.Path,
  expected: tuple[str, ...],
  other: pathlib.Path,
  found: tuple[str, ...],
) -> None:
  odd = sorted(set(expected) ^ set(found))
  if odd:
    has, lacks = (train, other) if odd[0] in expected else (other, train)
    raise UserError(
      f"{has} has a class folder {odd[0]!r} that {lacks} has not: all splits need the"
      " same classes."
    )


def _files(folder: pathlib.Path, classes: tuple[str, ...]) -> Files:
  paths, label = [], []
  for number, name in enumerate(classes):
    found = sorted(
      p
      for p in (folder / name).rglob("*")
      if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")
    )
    if not found:
      raise UserError(
        f"the class folder {folder / name} holds no images: add some or remove it."
      )
    paths += found
    label += [number] * len(found)
  return Files(paths, np.array(label, np.int32))


def _shape(paths: list[pathlib.Path], size: int) -> tuple[int, int, int]:
  """(height, width, channels) of all images after decoding, from their headers."""
  height, width, all_grey = header(paths[0])
  if size and not all_grey:  # nothing left to find out: spares a million headers
    return size, size, 3
  for path in paths:
    interruption.check()
    h, w, grey = header(path)
    if not size and (h, w) != (height, width):
      raise UserError(
        f"{path} has {h} x {w} pixels but {paths[0]} has {height} x {width}: set one"
        f" size for all with --config.data.size={min(height, width)}."
      )
    all_grey = all_grey and grey
  return size or height, size or width, 1 if all_grey else 3


def _examples(
  files: Files, shape: tuple[int, int, int], size: int, fit: str
) -> SourceExamples:
  fetch = functools.partial(_fetch, files=files, channels=shape[-1], size=size, fit=fit)
  return SourceExamples(fetch, shape, np.arange(len(files.paths)), files.label)


def _fetch(
  positions: Indices, *, files: Files, channels: int, size: int, fit: str
) -> Batch:
  images = [
    decode(p, channels=channels, size=size, name=str(p), fit=fit)
    for p in (files.paths[i] for i in positions)
  ]
  return {"image": np.stack(images), "label": files.label[positions]}
