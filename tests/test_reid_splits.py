"""Who is searched for among whom: sizes, draws, and files of splits."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reid_support import make_tree, write, write_partitions

from jaxvision.data import reid_known
from jaxvision.data.reid_layouts import PersonFiles
from jaxvision.data.reid_protocols import make_splits, single_shot, stored_splits
from jaxvision.errors import UserError


def files_of(identity, camera, root=Path("set")):
  paths = tuple(root / f"{i}.jpg" for i in range(len(identity)))
  return PersonFiles(root, paths, np.array(identity), np.array(camera))


BENCHMARK = {  # all their files, under names of the published kind
  "viper": [f"cam_{c}/{i:03d}_0.bmp" for c in "ab" for i in range(632)],
  "prid": [
    f"single_shot/cam_{camera}/person_{i:04d}.png"
    for camera, people in (("a", 385), ("b", 749))
    for i in range(1, people + 1)
  ],
  "grid": [
    *(f"probe/{i:04d}_1_{i}_107_32_106_221.jpeg" for i in range(1, 251)),
    *(f"gallery/{i:04d}_5_{i}_107_32_106_221.jpeg" for i in range(1, 251)),
    *(f"gallery/0000_6_{i}_107_32_106_221.jpeg" for i in range(775)),
  ],
  "ilids": [f"Persons/{i:04d}{k:03d}.jpg" for i in range(1, 120) for k in range(1, 5)],
}


def benchmark(root, name):
  """The files of a target at its full size, all of them empty."""
  folder = root / reid_known.TARGETS[name].folders[0]
  for path in BENCHMARK[name]:
    write(folder / path)
  if name == "grid":
    halves = [np.random.default_rng(i).permutation(250)[:125] + 1 for i in range(10)]
    write_partitions(folder / "features_and_partitions.mat", halves)
  return reid_known.read_files(str(root), name)


@pytest.mark.parametrize("name", BENCHMARK)
def test_splits_of_the_benchmark(tmp_path, name):
  files = benchmark(tmp_path, name)
  splits = make_splits(name, files)
  known = reid_known.TARGETS[name]
  assert len(splits) == 10 and known.images == len(files.paths)
  for split in splits:
    assert (len(split.query), len(split.gallery)) == (known.query, known.gallery)
    query, gallery = files.identity[split.query], files.identity[split.gallery]
    assert len(set(query)) == len(query)
    # One match each, so AP = 1 / rank; GRID's gallery has strangers beside.
    assert sorted(gallery[np.isin(gallery, query)]) == sorted(query)
    assert not set(split.query) & set(split.gallery)
  queries = [tuple(sorted(files.identity[split.query])) for split in splits]
  assert len(set(queries)) == 10
  again = make_splits(name, files)
  for a, b in zip(splits, again, strict=True):
    np.testing.assert_array_equal(a.query, b.query)
    np.testing.assert_array_equal(a.gallery, b.gallery)


def test_prid_searches_only_for_those_in_both_views(tmp_path):
  files = benchmark(tmp_path, "prid")
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
    ("[]", "finds nobody, or none"),
    ('[{"query": [], "gallery": []}]', "finds nobody, or none"),
    (
      '[{"query": [["cam_a/000_0.bmp", 0, 0]], "gallery":'
      ' [["cam_b/001_45.bmp", 1, 1]]}]',
      "finds nobody, or none",
    ),
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
