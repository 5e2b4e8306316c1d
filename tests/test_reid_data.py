"""Data sets for re-identification, generated or of folders; batches of identities."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ml_collections import ConfigDict
from reid_support import make_tree, make_user_tree

from jaxvision.data import reid
from jaxvision.data.identity_batches import IdentityBatches, batch_size
from jaxvision.data.reid_defaults import DEFAULTS
from jaxvision.data.reid_examples import FileInputs
from jaxvision.errors import UserError


def config(name="generated", **changes):
  found = ConfigDict(DEFAULTS)
  drawn = {"identities": 6, "images": 3, "target_identities": 5, "targets": 2}
  found.update(name=name, height=24, width=12, drawn=drawn)
  found.update_from_flattened_dict(changes)
  return found


@pytest.mark.parametrize("name", ["generated", "rendered"])
def test_drawn_people(name):
  data = reid.load_reid(config(name))
  train, probe = data.splits["train"], data.splits["probe"]
  shape, dtype = ((64,), np.float32) if name == "generated" else ((24, 12, 3), np.uint8)
  assert train.shape == shape and train.input.dtype == dtype
  assert len(train) == 4 * 6 * 3 and data.identities == 24 and len(data.domains) == 4
  np.testing.assert_array_equal(np.unique(train.identity), np.arange(24))
  np.testing.assert_array_equal(train.domain, train.identity // 6)
  assert set(probe.domain) == set(range(4)) and data.correlated == 3
  assert list(data.targets["test"]) == ["target0", "target1"]
  for target in (*data.targets["test"].values(), data.targets["val"]["held_out"]):
    (split,) = target.splits
    query, gallery = (target.people.identity[rows] for rows in split)
    np.testing.assert_array_equal(query, gallery)
    assert len(set(query)) == 5
    assert (target.people.camera[split.query] == 0).all()
  abstract = reid.abstract_reid(config(name))
  assert abstract.splits["train"].shape == shape and abstract.splits["train"].abstract
  assert len(abstract.splits["train"]) == len(train)
  assert abstract.identities == data.identities


@pytest.mark.parametrize("name", ["generated", "rendered"])
def test_the_seed_decides_all(name):
  one, same, other = (
    reid.load_reid(config(name, seed=s)).splits["train"].input for s in (1, 1, 2)
  )
  np.testing.assert_array_equal(one, same)
  assert (one != other).any()


def test_codes_go_with_the_domain_where_they_should():
  fields = {"drawn.identities": 300, "drawn.correlated": 2, "drawn.strength": 3.0}
  train = reid.load_reid(config(**fields)).splits["train"]
  means = np.array([train.code[train.domain == k].mean(0) for k in range(4)])
  spread = means.std(0)
  assert spread[:2].min() > 0.5 and spread[2:].max() < 0.2
  within = train.code[train.domain == 0].std(0)
  np.testing.assert_allclose(within, 1.0, atol=0.2)


def test_figures_show_whose_they_are():
  """Two images of a person differ less than images of two persons, in one domain."""
  data = reid.load_reid(config("rendered", **{"drawn.target_identities": 60}))
  for target in data.targets["test"].values():
    x = target.people.input.astype(float).reshape(60, 2, -1)
    apart = lambda a, b: np.abs(a - b).mean()
    same = np.mean([apart(*pair) for pair in x])
    others = np.mean([apart(x[i, 0], x[i - 1, 1]) for i in range(60)])
    assert same < 0.8 * others
  domains = [t.people.input.mean() for t in data.targets["test"].values()]
  assert abs(domains[0] - domains[1]) > 1


@pytest.mark.parametrize(
  "name, changes, words",
  [
    ("photos", {}, "'photos' is unknown: give generated, rendered, folders"),
    ("generated", {"drawn.targets": 0}, "drawn.targets=0"),
    ("generated", {"drawn.correlated": 9}, "a code has 8 numbers"),
    ("rendered", {"drawn.noise": -1.0}, "is negative"),
    ("rendered", {"height": 0}, "1 or more"),
    ("folders", {}, "needs --config.data.folder"),
    ("folders", {"held_out": "viper"}, "is none of config.data.sources"),
    ("folders", {"sources": ("viper",)}, "sources names viper"),
    ("folders", {"sources": ("a", "b"), "targets": ("b",)}, "b is in"),
    ("folders", {"sources": ("a",), "held_out": "a"}, "nothing to train on"),
    ("folders", {"sources": ("a", "b", "a")}, "names a twice"),
  ],
)
def test_mistakes(name, changes, words):
  with pytest.raises(UserError, match=words):
    reid.load_reid(config(name, **changes))


def of_tree(root, **changes):
  fields = {"folder": str(root), "sources": ("a", "b", "c"), "targets": ("d",)}
  return config("folders", **fields, **changes)


@pytest.mark.parametrize("resident", [0, 2**29])
def test_a_user_tree(tmp_path, resident):
  make_user_tree(tmp_path, "abcd")
  found = of_tree(tmp_path, resident_bytes=resident, held_out="b")
  data = reid.load_reid(found)
  train = data.splits["train"]
  assert data.domains == ("a", "c") and data.identities == 12 and data.name == "a+c"
  assert isinstance(train.input, FileInputs) == (resident == 0)
  batch = train[np.array([0, 13])]
  assert batch["input"].shape == (2, 24, 12, 3) and batch["input"].dtype == np.uint8
  np.testing.assert_array_equal(batch["domain"], [0, 1])
  np.testing.assert_array_equal(batch["identity"], [0, 6])
  target = data.targets["test"]["d"]
  assert len(target.splits) == 10 and len(target.people) == 12
  for split in target.splits:
    cameras = target.people.camera
    assert (cameras[split.query] != cameras[split.gallery]).all()
    query, gallery = (target.people.identity[rows] for rows in split)
    np.testing.assert_array_equal(query, gallery)
  assert list(data.targets["val"]) == ["b"]
  assert (tmp_path / "d" / "splits_d.json").is_file()
  assert not (tmp_path / "b" / "splits_b.json").exists()
  abstract = reid.abstract_reid(found)
  assert len(abstract.splits["train"]) == 24 and abstract.identities == 12


def test_ilids_and_published_sources_load(tmp_path):
  for name in ("market1501", "cuhk_sysu", "ilids", "viper"):
    make_tree(tmp_path, name, image=True)
  found = config(
    "folders",
    folder=str(tmp_path),
    sources=("market1501", "cuhk_sysu"),
    targets=("viper", "ilids"),
    splits=str(tmp_path / "splits"),
  )
  data = reid.load_reid(found)
  assert data.identities == 4 and len(data.splits["train"]) == 7
  ilids = data.targets["test"]["ilids"]
  cameras = ilids.people.camera
  assert len(set(cameras)) == len(cameras)  # nobody is junk by chance
  names = {path.name for path in (tmp_path / "splits").iterdir()}
  assert names == {"splits_viper.json", "splits_ilids.json"}
  broken = tmp_path / "VIPeR" / "cam_a" / "000_0.bmp"
  broken.write_bytes(b"no image")
  with pytest.raises(UserError, match=r"000_0.bmp cannot be decoded"):
    reid.load_reid(found)


def test_plans_of_the_benchmark_need_no_files():
  data = reid.abstract_reid(config("folders"))
  assert data.identities == 18_530 and len(data.splits["train"]) == 121_765
  assert len(reid.expected_files(config("folders"))) == 10
  assert "no files" in reid.expected_files(config())[0]


def people(sizes, domains):
  identity = np.repeat(np.arange(len(sizes)), sizes)
  order = np.random.default_rng(0).permutation(len(identity))
  return identity[order], (identity % domains)[order]


@settings(max_examples=30, deadline=None)
@given(
  sizes=st.lists(st.integers(1, 5), min_size=6, max_size=12),
  balanced=st.booleans(),
  images=st.integers(1, 4),
  seed=st.integers(0, 5),
  i=st.integers(0, 40),
)
def test_batches_of_identities(sizes, balanced, images, seed, i):
  identity, domain = people(sizes, 3)
  fields = {
    "identities": 2,
    "images": images,
    "sampler": "balanced" if balanced else "random",
  }
  batches = IdentityBatches(identity, domain, **fields, seed=seed)
  rows = batches[i]
  size = batch_size(3, **fields)
  assert rows.dtype == np.int32 and len(rows) == size == 2 * images * (
    3 if balanced else 1
  )
  groups = rows.reshape(-1, images)
  for group in groups:
    (person,) = set(identity[group])
    assert len(set(group)) == min(images, sizes[person])
  assert len(set(identity[groups[:, 0]])) == len(groups)
  if balanced:
    assert sorted(domain[groups[:, 0]]) == [0, 0, 1, 1, 2, 2]
  again = IdentityBatches(identity, domain, **fields, seed=seed)
  np.testing.assert_array_equal(again[i], rows)
  if size % 2 == 0:
    parts = [
      IdentityBatches(identity, domain, **fields, seed=seed, rank=r, count=2)[i]
      for r in (0, 1)
    ]
    np.testing.assert_array_equal(np.concatenate(parts), rows)


def test_everybody_comes_once_an_epoch():
  identity, domain = people([3] * 12, 3)
  batches = IdentityBatches(
    identity, domain, identities=4, images=2, sampler="random", seed=0
  )
  epoch = np.concatenate([identity[batches[i]] for i in range(3)])
  np.testing.assert_array_equal(np.bincount(epoch), np.full(12, 2))
  assert (batches[0] != batches[3]).any()


@pytest.mark.parametrize(
  "changes, words",
  [
    ({"sampler": "naive"}, "choose balanced or random"),
    ({"identities": 5}, "there are 4 in a source"),
    ({"identities": 13, "sampler": "random"}, "there are 12 in all sources"),
    ({"images": 0}, "1 or more"),
  ],
)
def test_batches_that_cannot_be(changes, words):
  identity, domain = people([3] * 12, 3)
  fields = {"identities": 2, "images": 2, "sampler": "balanced", **changes}
  with pytest.raises(UserError, match=words):
    IdentityBatches(identity, domain, **fields, seed=0)
