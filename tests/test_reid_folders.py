"""Folders of re-identification data sets, published and plain."""

import string

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reid_support import LAYOUTS, make_tree, write

from jaxvision.data import cuhk03, reid_known, reid_layouts
from jaxvision.errors import UserError


@pytest.mark.parametrize("name", LAYOUTS)
def test_published_layouts(tmp_path, name):
  folder = make_tree(tmp_path, name)
  (folder / "readme.txt").touch()
  files = reid_known.read_files(str(tmp_path), name)
  found = {int(i): files.camera[files.identity == i].tolist() for i in files.identity}
  expected = LAYOUTS[name][2]
  assert {i: sorted(c) for i, c in found.items()} == {
    i: sorted(c) for i, c in expected.items()
  }
  assert len(files.paths) == sum(map(len, expected.values()))


@pytest.mark.parametrize("name", ["market1501", "grid"])
def test_archives_may_be_unpacked_in_a_folder_of_their_own(tmp_path, name):
  folder = make_tree(tmp_path / name, name)
  assert reid_known.read_files(str(tmp_path), name).root == folder


@pytest.mark.parametrize("name", LAYOUTS)
def test_other_names_are_refused(tmp_path, name):
  folder = make_tree(tmp_path, name)
  first = folder / LAYOUTS[name][1][0]
  write(first.with_name(f"photo{first.suffix}"))
  with pytest.raises(UserError, match=r"photo.* is not named like"):
    reid_known.read_files(str(tmp_path), name)


def test_what_is_missing_is_named(tmp_path):
  with pytest.raises(UserError, match=r"no folder VIPeR or viper with cam_a/000_45"):
    reid_known.read_files(str(tmp_path), "viper")
  (tmp_path / "viper" / "cam_a").mkdir(parents=True)
  with pytest.raises(UserError, match="cam_a has no images"):
    reid_known.read_files(str(tmp_path), "viper")
  write(tmp_path / "viper" / "cam_a" / "000_45.bmp")
  with pytest.raises(UserError, match=r"there is no folder .*cam_b"):
    reid_known.read_files(str(tmp_path), "viper")
  with pytest.raises(UserError, match=r"there is no folder .*mine"):
    reid_known.read_files(str(tmp_path), "mine")
  write(tmp_path / "market1501" / "query" / "-1_c1s1_000401_03.jpg")
  write(tmp_path / "market1501" / "bounding_box_train" / "-1_c1s1_1_1.jpg")
  write(tmp_path / "market1501" / "bounding_box_test" / "0000_c1s1_1_1.jpg")
  with pytest.raises(UserError, match="nobody to train or test on"):
    reid_known.read_files(str(tmp_path), "market1501")


NAMES = st.text(string.ascii_letters + string.digits + "-.", min_size=1, max_size=4)


@settings(max_examples=30, deadline=None)
@given(
  rows=st.lists(st.tuples(NAMES, NAMES, NAMES), min_size=1, max_size=12, unique=True)
)
def test_any_tree_of_identity_and_camera(tmp_path_factory, rows):
  folder = tmp_path_factory.mktemp("tree")
  rows = [row for row in rows if not row[0].startswith(".")]
  if not rows:
    return
  for person, camera, rest in rows:
    write(folder / f"{person}_{camera}_{rest}.jpg")
  files = reid_layouts.read_tree(folder)
  assert len(files.paths) == len(rows)
  for field, found in ((0, files.identity), (1, files.camera)):
    stems = [path.stem.split("_")[field] for path in files.paths]
    assert len(set(zip(stems, found.tolist(), strict=True))) == len(set(stems))
    assert set(found.tolist()) == set(range(len(set(stems))))


@pytest.mark.parametrize("stem", ["person", "_1_2", "1_"])
def test_a_tree_of_other_names_is_refused(tmp_path, stem):
  write(tmp_path / f"{stem}.jpg")
  with pytest.raises(UserError, match="<identity>_<camera>_"):
    reid_layouts.read_tree(tmp_path)


def test_cuhk03_is_unpacked(tmp_path):
  """A file as MATLAB writes it: cells are references, axes are reversed."""
  mat = tmp_path / "cuhk-03.mat"
  pixels = np.random.default_rng(0).integers(0, 255, (6, 4, 3), dtype=np.uint8)
  with h5py.File(mat, "w") as file:
    refs = h5py.special_dtype(ref=h5py.Reference)
    image = file.create_dataset("image", data=pixels.T)
    empty = file.create_dataset("empty", data=np.zeros(2, np.uint64))
    for kind in cuhk03.KINDS:
      pair = file.create_dataset(f"{kind}_1", (10, 2), refs)
      for number in range(10):
        pair[number, 0] = image.ref if number in (0, 7) else empty.ref
        pair[number, 1] = image.ref if number == 9 else empty.ref
      cells = file.create_dataset(kind, (1, 1), refs)
      cells[0, 0] = pair.ref
  assert cuhk03.extract(mat, tmp_path / "CUHK03") == {"detected": 3, "labeled": 3}
  files = reid_known.read_files(str(tmp_path), "cuhk03")
  names = [path.name for path in files.paths]
  assert names == ["1_001_1_01.png", "1_001_2_08.png", "1_002_2_10.png"]
  found = reid_layouts.Path(files.paths[0])
  np.testing.assert_array_equal(np.asarray(cuhk03.Image.open(found)), pixels)


def test_cuhk03_asks_to_be_unpacked(tmp_path):
  write(tmp_path / "CUHK03" / "cuhk-03.mat")
  with pytest.raises(UserError, match=r"python -m jaxvision\.data\.cuhk03"):
    reid_known.read_files(str(tmp_path), "cuhk03")


def test_another_mat_is_refused(tmp_path, capsys):
  path = tmp_path / "cuhk-03.mat"
  path.write_bytes(b"nothing")
  assert cuhk03.main([str(path), str(tmp_path)]) == 2
  assert "is not CUHK03's" in capsys.readouterr().err
  assert cuhk03.main([str(tmp_path / "no.mat"), str(tmp_path)]) == 2
