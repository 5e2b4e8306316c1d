"""Layouts of folders and the splits of their data sets."""

import json
import string

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reid_support import LAYOUTS, make_tree, write

from jaxvision.data import cuhk03, reid_known, reid_layouts
from jaxvision.data.reid_layouts import PersonFiles
from jaxvision.data.reid_protocols import make_splits, single_shot, stored_splits
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


def files_of(identity, camera, root=None):
  paths = tuple((root or PATH) / f"{i}.jpg" for i in range(len(identity)))
  return PersonFiles(root or PATH, paths, np.array(identity), np.array(camera))


PATH = reid_layouts.Path("set")
BENCHMARK = {
  "viper": (np.tile(np.arange(632), 2), np.repeat([0, 1], 632)),
  "prid": (np.r_[1:386, 1:750], np.repeat([0, 1], [385, 749])),
  "ilids": (np.arange(476) % 119, np.full(476, -1)),
}


@pytest.mark.parametrize("name", BENCHMARK)
def test_splits_of_the_benchmark(name):
  files = files_of(*BENCHMARK[name])
  splits = make_splits(name, files)
  known = reid_known.TARGETS[name]
  assert len(splits) == 10 and known.images == len(files.paths)
  for split in splits:
    assert (len(split.query), len(split.gallery)) == (known.query, known.gallery)
    query, gallery = files.identity[split.query], files.identity[split.gallery]
    assert len(set(query)) == len(query) and set(query) <= set(gallery)
    assert len(set(gallery)) == len(gallery)  # one match each: AP = 1 / rank
    assert not set(split.query) & set(split.gallery)
  queries = [tuple(sorted(files.identity[split.query])) for split in splits]
  assert len(set(queries)) == 10
  again = make_splits(name, files)
  for a, b in zip(splits, again, strict=True):
    np.testing.assert_array_equal(a.query, b.query)
    np.testing.assert_array_equal(a.gallery, b.gallery)


def test_prid_searches_only_for_those_in_both_views():
  files = files_of(*BENCHMARK["prid"])
  for split in make_splits("prid", files):
    assert files.identity[split.query].max() <= 200
    assert not files.camera[split.query].any() and files.camera[split.gallery].all()
    others = files.identity[split.gallery] > 200
    assert others.sum() == 549


def test_grid_has_its_own_partitions(tmp_path):
  folder = make_tree(tmp_path, "grid")
  files = reid_known.read_files(str(tmp_path), "grid")
  splits = make_splits("grid", files)
  assert len(splits) == 10
  for i, split in enumerate(splits):
    kept = {3, 4} if i % 2 == 0 else {1, 2}
    assert set(files.identity[split.query]) == kept
    assert set(files.identity[split.gallery]) == {0} | kept
  (folder / "features_and_partitions.mat").write_bytes(b"nothing")
  with pytest.raises(UserError, match="holds no trainIdxAll"):
    make_splits("grid", files)
  (folder / "features_and_partitions.mat").unlink()
  with pytest.raises(UserError, match="it tells the splits of GRID"):
    make_splits("grid", files)


@settings(max_examples=50, deadline=None)
@given(
  rows=st.lists(st.tuples(st.integers(0, 6), st.integers(-1, 2)), min_size=1),
  seed=st.integers(0, 9),
)
def test_single_shot_of_any_people(rows, seed):
  identity, camera = map(np.array, zip(*rows, strict=True))
  split = single_shot(files_of(identity, camera), np.random.default_rng(seed))
  query, gallery = identity[split.query], identity[split.gallery]
  assert sorted(gallery) == sorted(set(identity))  # one image each
  assert len(set(query)) == len(query)
  for row in split.query:
    (match,) = split.gallery[gallery == identity[row]]
    assert match != row
    assert camera[match] != camera[row] or camera[row] < 0
  for person in set(identity) - set(query):
    own = camera[identity == person]
    assert len(own) == 1 or (len(set(own)) == 1 and own[0] >= 0)


def test_splits_are_written_and_read_again(tmp_path):
  make_tree(tmp_path, "viper")
  files = reid_known.read_files(str(tmp_path), "viper")
  first = stored_splits("viper", files, tmp_path / "splits")
  path = tmp_path / "splits" / "splits_viper.json"
  rows = json.loads(path.read_text())
  assert len(rows) == 10 and rows[0]["query"][0][0].startswith("cam_a/")
  rows[0], rows[1] = rows[1], rows[0]  # what is there counts
  path.write_text(json.dumps(rows))
  again = stored_splits("viper", files, tmp_path / "splits")
  np.testing.assert_array_equal(again[0].query, first[1].query)
  np.testing.assert_array_equal(again[2].gallery, first[2].gallery)


@pytest.mark.parametrize(
  "content, words",
  [
    ("[", "is no file of splits"),
    ("[1]", "is no file of splits"),
    ('[{"query": [["cam_a/009_0.bmp", 9, 0]], "gallery": []}]', "does not hold so"),
    ('[{"gallery": []}]', "does not hold so"),
  ],
)
def test_another_file_of_splits_is_refused(tmp_path, content, words):
  make_tree(tmp_path, "viper")
  files = reid_known.read_files(str(tmp_path), "viper")
  (tmp_path / "splits_viper.json").write_text(content)
  with pytest.raises(UserError, match=words):
    stored_splits("viper", files, tmp_path)


def test_nobody_to_search_for(tmp_path):
  files = files_of([1, 2], [0, 0], tmp_path)
  with pytest.raises(UserError, match="nobody twice"):
    stored_splits("mine", files, tmp_path)


def test_splits_that_cannot_be_written(tmp_path):
  (tmp_path / "file").touch()
  files = files_of([1, 1], [0, 1], tmp_path)
  with pytest.raises(UserError, match=r"set config.data.splits"):
    stored_splits("mine", files, tmp_path / "file")


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


def test_another_mat_is_refused(tmp_path, capsys):
  path = tmp_path / "cuhk-03.mat"
  path.write_bytes(b"nothing")
  assert cuhk03.main([str(path), str(tmp_path)]) == 2
  assert "is not CUHK03's" in capsys.readouterr().err
  assert cuhk03.main([str(tmp_path / "no.mat"), str(tmp_path)]) == 2
