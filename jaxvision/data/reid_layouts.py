"""Folders of re-identification data sets as they are published, and a plain one.

File names say whose an image is and which camera took it. Hidden files and files that
are no images by their suffix are left out; another name is an error.
"""

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxvision.data.image_files import SUFFIXES
from jaxvision.data.reid_examples import UNKNOWN_CAMERA, Numbers
from jaxvision.errors import UserError

JUNK = (-1, 0)  # Market-1501: nobody, and people beside those that count


class PersonFiles(NamedTuple):
  """Image files.

  Attributes:
    root: folder that they are in.
    paths: one an image.
    identity: as the names say or, where they do not number people throughout, from 0.
    camera: likewise; `UNKNOWN_CAMERA` where names do not tell.
  """

  root: Path
  paths: tuple[Path, ...]
  identity: Numbers
  camera: Numbers


Row = tuple[Path, int, int]
Key = tuple[Path, Hashable, Hashable]


def read_market(root: Path) -> PersonFiles:
  """Market-1501 (Zheng et al., ICCV 2015) and DukeMTMC-reID: the three folders' images.

  `0002_c1s1_000451_03.jpg` is person 2 in camera 1. Persons -1 and 0 are left out.
  """
  folders = ("bounding_box_train", "bounding_box_test", "query")
  rows = _rows(root, folders, r"(-?\d+)_c(\d+).*", "0002_c1s1_000451_03.jpg")
  return _numbered(root, (row for row in rows if row[1] not in JUNK))


def read_cuhk02(root: Path) -> PersonFiles:
  """CUHK02 (Li and Wang, CVPR 2013): five pairs of cameras with people of their own.

  `P1/cam2/001_1.png` is person 1 of the first pair in its second camera.
  """
  inner = root / "Dataset"
  base = inner if inner.is_dir() else root
  found: list[Key] = []
  for pair in range(1, 6):
    for camera in (1, 2):
      folder = f"P{pair}/cam{camera}"
      rows = _rows(base, (folder,), r"(\d+)_.*()", "001_1.png")
      number = 2 * (pair - 1) + camera - 1
      found += ((path, (pair, person), number) for path, person, _ in rows)
  return _keyed(root, found)


def read_cuhk03(root: Path) -> PersonFiles:
  """CUHK03 (Li et al., CVPR 2014): the detected images of `data.cuhk03`.

  `1_002_1_03.png` is image 3 of person 2 of the first pair of cameras, in its first.
  """
  folder = root / "images_detected"
  if not folder.is_dir():
    raise UserError(
      f"there is no folder {folder}: make it of CUHK03's file, with python -m"
      f" jaxvision.data.cuhk03 cuhk-03.mat {root}"
    )
  found: list[Key] = []
  for path in _images(folder):
    pair, person, view, _ = _match(path, r"(\d)_(\d+)_(\d)_(\d+)", "1_001_1_01.png")
    found.append((path, (pair, person), 2 * (pair - 1) + view - 1))
  return _keyed(root, found)


def read_cuhk_sysu(root: Path) -> PersonFiles:
  """CUHK-SYSU (Xiao et al., CVPR 2017), cropped: `p11422_s16929_1.jpg`, no cameras."""
  example = "p11422_s16929_1.jpg"
  rows = _rows(root, ("cropped_images",), r"p(\d+)_.*()", example)
  return _numbered(root, rows)


def read_viper(root: Path) -> PersonFiles:
  """VIPeR (Gray et al., 2007): `cam_a/000_45.bmp` is person 0."""
  return _two_cameras(root, ("cam_a", "cam_b"), r"(\d+)_.*()", "000_45.bmp")


def read_prid(root: Path) -> PersonFiles:
  """PRID 2011 (Hirzer et al., SCIA 2011), single shot: `cam_a/person_0001.png`.

  Persons up to 200 are in both views; above, equal numbers are different people.
  """
  base = root / "single_shot"
  return _two_cameras(base, ("cam_a", "cam_b"), r"person_(\d+)()", "person_0001.png")


def read_grid(root: Path) -> PersonFiles:
  """GRID (Loy et al., CVPR 2009): `probe/0001_1_*.jpeg`, `gallery/`; 0 is anybody."""
  example = "0001_1_25004_107_32_106_221.jpeg"
  rows = _rows(root, ("probe", "gallery"), r"(\d+)_(\d+)_.*", example)
  return _numbered(root, rows)


def read_ilids(root: Path) -> PersonFiles:
  """i-LIDS (Zheng et al., BMVC 2009): `0001002.jpg` is image 2 of person 1."""
  rows = _rows(root, ("Persons",), r"(\d{4})\d{3}()", "0001001.jpg")
  return _numbered(root, rows)


def read_tree(root: Path) -> PersonFiles:
  """A folder of `<identity>_<camera>_*.jpg`; both are any text without underscore."""
  found: list[Key] = []
  for path in _images(root):
    parts = path.stem.split("_")
    if len(parts) < 2 or not (parts[0] and parts[1]):
      raise UserError(f"{path} is not named <identity>_<camera>_*: rename it.")
    found.append((path, parts[0], parts[1]))
  cameras = {name: i for i, name in enumerate(sorted({c for _, _, c in found}))}
  return _keyed(root, [(path, person, cameras[c]) for path, person, c in found])


def _two_cameras(
  root: Path, folders: Sequence[str], pattern: str, example: str
) -> PersonFiles:
  rows: list[Row] = []
  for camera, folder in enumerate(folders):
    found = _rows(root, (folder,), pattern, example)
    rows += ((path, person, camera) for path, person, _ in found)
  return _numbered(root, rows)


def _rows(
  root: Path, folders: Iterable[str], pattern: str, example: str
) -> Iterator[Row]:
  """(path, person, camera) of files whose names have these two in groups."""
  for folder in folders:
    for path in _images(root / folder):
      person, camera = _match(path, pattern, example)
      yield path, person, camera


def _images(folder: Path) -> list[Path]:
  """Image files of a folder, sorted.

  Raises:
    UserError: no such folder, or none in it.
  """
  if not folder.is_dir():
    raise UserError(f"there is no folder {folder}: put the data set's images there.")
  images: Callable[[Path], bool] = lambda p: p.suffix.lower() in SUFFIXES
  found = sorted(filter(images, folder.iterdir()))
  found = [path for path in found if not path.name.startswith(".")]
  if not found:
    raise UserError(f"{folder} has no images: put the data set's images there.")
  return found


def _match(path: Path, pattern: str, example: str) -> tuple[int, ...]:
  """Numbers in the groups of a pattern; an empty group is an unknown camera."""
  # re.ASCII: `\d` would take the digits of all scripts.
  match = re.fullmatch(pattern, path.stem, re.ASCII)
  if not match:
    raise UserError(f"{path} is not named like {example}: rename it or move it away.")
  return tuple(int(group) if group else UNKNOWN_CAMERA for group in match.groups())


def _keyed(root: Path, found: Iterable[Key]) -> PersonFiles:
  """Numbers people from 0 in the order of what names them."""
  found = list(found)
  number = {key: i for i, key in enumerate(sorted({key for _, key, _ in found}))}
  return _numbered(root, [(path, number[key], camera) for path, key, camera in found])


def _numbered(root: Path, rows: Iterable[Row]) -> PersonFiles:
  rows = list(rows)
  if not rows:
    raise UserError(f"{root} has nobody to train or test on: only people -1 and 0.")
  paths, identity, camera = zip(*rows, strict=True)
  return PersonFiles(root, tuple(paths), np.array(identity), np.array(camera))
