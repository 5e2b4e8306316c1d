"""Images by name: splits, subsets, noise, alternatives, plans."""

import subprocess
import sys

import image_support
import numpy as np
import pytest
from image_support import (
  labelled,
  make_config,
  numbers,
  paint,
  prepare,
  save_npz,
  unplug,
)

from jaxvision.data import images, known_images, splits, tfds_images
from jaxvision.data.examples import AbstractExamples, ImageDataset, Unavailable
from jaxvision.errors import UserError


@pytest.fixture
def numbered(tmp_path):
  return image_support.numbered(tmp_path / "set.npz")


def test_validation_is_held_out_seeded_and_disjoint(numbered):
  first = images.load_images(make_config(name=numbered, validation=20.0)).splits
  again = images.load_images(make_config(name=numbered, validation=20.0)).splits
  other = images.load_images(make_config(name=numbered, validation=20.0, seed=1)).splits
  assert sorted(numbers(first["train"]) + numbers(first["val"])) == list(range(100))
  assert len(first["val"]) == 20
  assert numbers(first["val"]) == numbers(again["val"]) != numbers(other["val"])
  assert numbers(first["test"]) == numbers(other["test"]) == list(range(100, 110))


@pytest.mark.parametrize(
  "validation,held", [(5000.0, 20), (20, 20), (7.0, 7), (0.3, 30), (0.9, 90), (0.0, 0)]
)
def test_validation_is_a_capped_number_or_a_fraction(numbered, validation, held):
  config = make_config(name=numbered)
  config.validation = float(validation)
  loaded = images.load_images(config).splits
  assert (len(loaded["val"]), len(loaded["train"])) == (held, 100 - held)


def test_smaller_subsets_are_part_of_larger_ones_and_spare_validation(numbered):
  full, large, small = (
    images.load_images(make_config(name=numbered, validation=20.0, limit=n)).splits
    for n in (0, 50, 10)
  )
  assert [len(s["train"]) for s in (full, large, small)] == [80, 50, 10]
  assert set(numbers(small["train"])) < set(numbers(large["train"]))
  assert set(numbers(large["train"])) < set(numbers(full["train"]))
  assert numbers(small["val"]) == numbers(full["val"])
  more = images.load_images(make_config(name=numbered, limit=1000)).splits
  assert len(more["train"]) == 80  # "at most": the default limit must suit digits too


def test_noise_spoils_training_labels_alone(numbered):
  clean = images.load_images(make_config(name=numbered, validation=20.0)).splits
  noisy = images.load_images(
    make_config(name=numbered, validation=20.0, label_noise=0.5)
  ).splits
  for split in ("val", "test"):
    np.testing.assert_array_equal(clean[split].label, noisy[split].label)
  assert numbers(clean["train"]) == numbers(noisy["train"])
  changed = (clean["train"].label != noisy["train"].label).sum()
  assert 20 <= changed <= 40  # 40 replaced, each a fourth right by chance
  assert noisy["train"].label.dtype == np.int32


def test_noise_is_uniform_exact_in_number_and_seeded():
  label = splits.noisy_labels(40_000, 10, fraction=0.25, seed=3)
  drawn = label[label >= 0]
  assert len(drawn) == 10_000
  np.testing.assert_allclose(np.bincount(drawn, minlength=10), 1000, atol=150)
  again = splits.noisy_labels(40_000, 10, fraction=0.25, seed=3)
  np.testing.assert_array_equal(label, again)
  assert (label != splits.noisy_labels(40_000, 10, fraction=0.25, seed=4)).any()
  assert (splits.noisy_labels(9, 3, fraction=0.0, seed=0) == -1).all()
  assert (splits.noisy_labels(9, 3, fraction=1.0, seed=0) >= 0).all()


def test_a_fifth_of_every_class_is_for_testing():
  label = np.array([0] * 10 + [1] * 3 + [2] + [3] * 25, np.int32)
  train, test = splits.split_off_test(label)
  assert sorted([*train, *test]) == list(range(len(label)))
  assert np.bincount(label[test], minlength=4).tolist() == [2, 1, 0, 5]
  for a, b in zip((train, test), splits.split_off_test(label), strict=True):
    np.testing.assert_array_equal(a, b)
  _, test = splits.split_off_test(np.full(50, -1, np.int32))  # not known yet
  assert len(test) == 10


def test_nothing_left_to_train_on(tmp_path):
  image, label = labelled(4)
  name = save_npz(
    tmp_path / "a.npz",
    x_train=image[:1], y_train=label[:1], x_test=image, y_test=label,
  )  # fmt: skip
  with pytest.raises(UserError, match=r"none is left .* --config\.data\.validation"):
    images.load_images(make_config(name=name, validation=0.9))


def test_the_first_available_alternative_is_taken(tmp_path, numbered):
  names = f"npz:{tmp_path}/none.npz | folder:{tmp_path}/none|{numbered}|digits"
  dataset = images.load_images(make_config(name=names))
  assert dataset.name == numbered
  assert dataset.note.startswith(f"{numbered} instead: there is no file {tmp_path}")
  assert "\n" not in dataset.note
  assert images.load_images(make_config(name=f"{numbered}|digits")).note == ""


def test_no_alternative_is_available(tmp_path):
  names = f"npz:{tmp_path}/a.npz|folder:{tmp_path}/b"
  with pytest.raises(Unavailable, match=r"a\.npz.*; there is no folder .*b"):
    images.load_images(make_config(name=names))


@pytest.mark.parametrize("name", ["npz", "folder", "digits"])
def test_a_plan_has_the_shapes_of_the_data(tmp_path, numbered, name):
  if name == "folder":
    for c in ("a", "b"):
      for i in range(10):
        paint(tmp_path / "tree" / c / f"{i}.png", 1, mode="L")
  full = {"npz": numbered, "folder": f"folder:{tmp_path}/tree", "digits": "digits"}[
    name
  ]
  for size in (0, 8):
    config = make_config(name=full, size=size, validation=0.25, limit=6)
    real, plan = images.load_images(config), images.abstract_images(config)
    assert plan.classes == real.classes and plan.name == real.name
    for split, examples in real.splits.items():
      planned = plan.splits[split]
      assert isinstance(planned, AbstractExamples)
      assert (len(planned), planned.shape) == (len(examples), examples.shape)
      assert planned.dtype == examples.dtype


@pytest.mark.parametrize("name", list(known_images.KNOWN))
def test_well_known_sets_are_planned_without_files(tmp_path, name):
  config = make_config(name=f"{name}|digits", folder=str(tmp_path), size=48)
  plan = images.abstract_images(config)
  known, builder = (
    known_images.KNOWN[name],
    tfds_images.find_builder(name, str(tmp_path)),
  )
  assert plan.name == name
  assert len(plan.classes) == len(tfds_images.class_names(builder))
  assert plan.splits["train"].shape == (48, 48, known.shape[2])
  assert len(plan.splits["train"]) + len(plan.splits["val"]) == known.train
  assert len(plan.splits["val"]) == 5000 and len(plan.splits["test"]) == known.test
  assert known.shape == builder.info.features["image"].shape
  with pytest.raises(TypeError, match="no data"):
    plan.splits["train"][np.arange(2)]


def test_plans_of_other_tfds_sets_need_them_prepared(tmp_path, monkeypatch):
  config = make_config(name="tf_flowers", folder=str(tmp_path), size=8)
  with pytest.raises(Unavailable, match="without a plan"):
    images.abstract_images(config)
  prepare("tf_flowers", tmp_path, train=10)
  assert len(images.abstract_images(config).splits["test"]) == 2


def test_a_plan_of_varying_sizes_needs_one():
  with pytest.raises(UserError, match=r"--config\.data\.size"):
    images.abstract_images(make_config(name="imagenet2012"))


def test_expected_files_are_sentences(tmp_path):
  names = "fashion_mnist|digits|npz:a.npz|folder:b|cifar10"
  sentences = images.expected_files(make_config(name=names, folder="D"))
  assert len(sentences) == 5 and all("\n" not in s for s in sentences)
  for sentence, part in zip(
    sentences,
    ("dataset-fashion", "no files", "a.npz", "b: train/", "in D"),
    strict=True,
  ):
    assert part in sentence
  assert "~/tensorflow_datasets" in images.expected_files(make_config(name="mnist"))[0]


def test_unprepared_tfds_set_without_network(tmp_path, monkeypatch):
  unplug(monkeypatch)
  for name in ("cifar10", "imagenet2012"):
    config = make_config(name=f"{name}|digits", folder=str(tmp_path), size=8)
    dataset = images.load_images(config)
    assert isinstance(dataset, ImageDataset) and dataset.name == "digits"
    assert f"{name}/" in dataset.note
  assert not list(tmp_path.rglob("*"))


def test_importing_the_defaults_is_cheap():
  heavy = "{'jax', 'flax', 'tensorflow', 'tensorflow_datasets', 'sklearn', 'grain'}"
  code = f"import sys, jaxvision.data.images; assert not {heavy} & sys.modules.keys()"
  subprocess.run([sys.executable, "-c", code], check=True)
