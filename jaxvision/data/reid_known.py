"""Well-known re-identification data sets: where their files are, how many there are.

Numbers are those of the published files, all images of a source, whatever its authors
use them for: a plan needs no files.
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from jaxvision.data import reid_layouts as layouts
from jaxvision.data.reid_layouts import PersonFiles
from jaxvision.errors import UserError


class Source(NamedTuple):
  """A data set to train on.

  Attributes:
    folders: any of these, below `config.data.folder`.
    read: folder -> files.
    identities: how many.
    images: how many.
    example: of a file.
  """

  folders: tuple[str, ...]
  read: Callable[[Path], PersonFiles]
  identities: int
  images: int
  example: str


class Searched(NamedTuple):
  """A data set to test on; fields as of `Source`, and query and gallery of a split."""

  folders: tuple[str, ...]
  read: Callable[[Path], PersonFiles]
  images: int
  query: int
  gallery: int
  example: str


MARKET = "bounding_box_train/0002_c1s1_000451_03.jpg, bounding_box_test/, query/"
SOURCES = {
  "market1501": Source(
    ("Market-1501-v15.09.15", "market1501"), layouts.read_market, 1501, 29_419, MARKET
  ),
  "dukemtmc": Source(
    ("DukeMTMC-reID", "dukemtmc-reid", "dukemtmc"),
    layouts.read_market,
    1812,
    36_411,
    MARKET.replace("0002_c1s1_000451_03", "0001_c2_f0046182"),
  ),
  "cuhk02": Source(
    ("CUHK02", "cuhk02"), layouts.read_cuhk02, 1816, 7264, "P1/cam1/001_1.png"
  ),
  "cuhk03": Source(
    ("CUHK03", "cuhk03"),
    layouts.read_cuhk03,
    1467,
    14_097,
    "images_detected/1_001_1_01.png, which python -m jaxvision.data.cuhk03 makes of"
    " cuhk-03.mat",
  ),
  "cuhk_sysu": Source(
    ("CUHK-SYSU", "cuhk-sysu", "cuhksysu", "cuhk_sysu"),
    layouts.read_cuhk_sysu,
    11_934,
    34_574,
    "cropped_images/p11422_s16929_1.jpg",
  ),
}
TARGETS = {
  "viper": Searched(
    ("VIPeR", "viper"), layouts.read_viper, 1264, 316, 316, "cam_a/000_45.bmp, cam_b/"
  ),
  "prid": Searched(
    ("prid_2011", "prid2011", "prid"),
    layouts.read_prid,
    1134,
    100,
    649,
    "single_shot/cam_a/person_0001.png, single_shot/cam_b/",
  ),
  "grid": Searched(
    ("underground_reid", "grid", "GRID"),
    layouts.read_grid,
    1275,
    125,
    900,
    "probe/0001_1_25004_107_32_106_221.jpeg, gallery/, features_and_partitions.mat",
  ),
  "ilids": Searched(
    ("i-LIDS_Pedestrian", "ilids", "i-lids"),
    layouts.read_ilids,
    476,
    60,
    60,
    "Persons/0001001.jpg",
  ),
}


def read_files(folder: str, name: str) -> PersonFiles:
  """Lists the images of a data set, well-known or of the user's own.

  Args:
    folder: that holds a folder for each data set; `~` is the home folder.
    name: of `SOURCES`, `TARGETS`, or of a folder in it.

  Raises:
    UserError: no such folder, or a file in it that breaks a rule.
  """
  root = Path(folder).expanduser()
  found = SOURCES.get(name) or TARGETS.get(name)
  if found is None:
    return layouts.read_tree(root / name)
  # Some unpack all archives into one folder, others each into one named like the set.
  places = [place for name in found.folders for place in _places(root / name, found)]
  for place in places:
    if place.is_dir():
      return found.read(place)
  raise UserError(
    f"{root} has no folder {' or '.join(found.folders)} with {found.example}: put"
    f" {name} there, or leave it out of config.data.sources and targets."
  )


def _places(folder: Path, found: Source | Searched) -> tuple[Path, ...]:
  return (*(folder / inner for inner in found.folders), folder)


@functools.cache
def expected(name: str) -> str:
  """What the folder of a data set holds."""
  found = SOURCES.get(name) or TARGETS.get(name)
  if found is None:
    return f"{name}/<identity>_<camera>_*.jpg"
  return f"{found.folders[0]}/{found.example}"
