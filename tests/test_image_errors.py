"""A user's mistake ends in one sentence that names the culprit and the remedy."""

import pickle
import shutil

import numpy as np
import pytest
from image_support import make_config, sentence
from PIL import Image

from jaxvision.data import images
from jaxvision.data.examples import Unavailable
from jaxvision.errors import UserError

IMAGE = np.zeros((6, 4, 4, 1), np.uint8)
LABEL = np.array([0, 1, 0, 1, 0, 1])


def load(name, **fields):
  return images.load_images(make_config(name=name, **fields))


def npz(tmp_path, **arrays):
  path = tmp_path / "set.npz"
  np.savez(path, **arrays)
  return f"npz:{path}"


# --- npz


def test_npz_missing(tmp_path):
  path = tmp_path / "none.npz"
  assert str(path) in sentence(f"npz:{path}")
  with pytest.raises(Unavailable):
    load(f"npz:{path}")


@pytest.mark.parametrize("keep", [0, 10, 200, -1, -30])
def test_npz_cut_off(tmp_path, keep):
  name = npz(tmp_path, image=IMAGE, label=LABEL)
  path = tmp_path / "set.npz"
  path.write_bytes(path.read_bytes()[:keep])
  message = sentence(name)
  assert str(path) in message and ("cut off" in message or "damaged" in message)


def test_npz_flipped_byte(tmp_path):
  name = npz(tmp_path, image=IMAGE, label=LABEL)
  path = tmp_path / "set.npz"
  data = bytearray(path.read_bytes())
  data[data.index(b"image.npy") + 200] ^= 255
  path.write_bytes(data)
  message = sentence(name)
  assert "damaged at the array 'image'" in message and str(path) in message


def test_npz_that_is_a_pickle_is_not_loaded(tmp_path):
  path = tmp_path / "set.npz"
  path.write_bytes(pickle.dumps({"image": IMAGE}))
  assert "no .npz archive" in sentence(f"npz:{path}")


def test_npz_of_objects_is_refused(tmp_path):
  message = sentence(npz(tmp_path, image=IMAGE, label=np.array([{}] * 6, object)))
  assert "'label' holds Python objects" in message


CASES = {
  "no train": ({"image": None, "label": None, "pixels": IMAGE}, "the arrays pixels"),
  "no label": ({"image": IMAGE, "label": None}, "'image' but no 'label'"),
  "no image": ({"image": None, "x_test": IMAGE}, "'label' but no 'image'"),
  "fewer labels": ({"label": LABEL[:-1]}, "6 images but 'label' has 5 labels"),
  "empty": ({"image": IMAGE[:0], "label": LABEL[:0]}, "'image' is empty"),
  "rank 2": ({"image": IMAGE.reshape(6, 16)}, r"shape (6, 16)"),
  "rank 5": ({"image": IMAGE[..., None]}, r"shape (6, 4, 4, 1, 1)"),
  "channels first": ({"image": np.zeros((6, 3, 8, 8), np.uint8)}, "channels last"),
  "nan": ({"image": np.where(IMAGE == 0, np.nan, 0)}, "NaN"),
  "infinite": ({"image": np.full(IMAGE.shape, np.inf)}, "NaN or infinite"),
  "float 255": ({"image": np.full(IMAGE.shape, 255.0)}, "from 255 to 255"),
  "negative float": ({"image": np.full(IMAGE.shape, -0.5)}, "[0, 1]"),
  "16 bit": ({"image": np.full(IMAGE.shape, 300)}, "[0, 255]"),
  "boolean": ({"image": IMAGE == 0}, "of type bool"),
  "text": ({"image": np.full(IMAGE.shape, "x")}, "of type <U1"),
  "negative label": ({"label": LABEL - 1}, "labels from -1 to 0"),
  "float label": ({"label": LABEL + 0.5}, "float64"),
  "one-hot label": ({"label": np.eye(2)[LABEL].astype(int)}, "one-hot"),
  "huge label": ({"label": LABEL * 2**40}, "labels from 0 to"),
  "classes too few": ({"classes": np.array(["a"])}, "at least 2 strings"),
  "classes no text": ({"classes": np.arange(2)}, "at least 2 strings"),
}


@pytest.mark.parametrize("case", CASES)
def test_npz_contents(tmp_path, case):
  changes, expected = CASES[case]
  arrays = {"image": IMAGE, "label": LABEL} | changes
  name = npz(tmp_path, **{k: v for k, v in arrays.items() if v is not None})
  message = sentence(name)
  assert expected in message and str(tmp_path / "set.npz") in message


def test_npz_splits_differ(tmp_path):
  arrays = {"x_train": IMAGE, "y_train": LABEL, "y_test": LABEL}
  message = sentence(npz(tmp_path, **arrays, x_test=IMAGE[:, :3]))
  assert "uint8 [3, 4, 1] and uint8 [4, 4, 1]" in message
  message = sentence(npz(tmp_path, **arrays, x_test=IMAGE.astype(np.float32)))
  assert "float32" in message
  message = sentence(npz(tmp_path, x_train=IMAGE, y_train=LABEL, y_test=LABEL))
  assert "'y_test' but no 'x_test'" in message


# --- folders


@pytest.fixture
def tree(tmp_path):
  root = tmp_path / "tree"
  for split in ("train", "test"):
    for c in ("cat", "dog"):
      (root / split / c).mkdir(parents=True)
      for i in range(3):
        Image.new("RGB", (6, 5), (i, 0, 0)).save(root / split / c / f"{i}.png")
  return root


def test_folder_is_fine_before_it_is_broken(tree):
  assert len(load(f"folder:{tree}").splits["test"]) == 6


def test_folder_missing(tmp_path):
  path = tmp_path / "none"
  assert f"no folder {path}" in sentence(f"folder:{path}")
  with pytest.raises(Unavailable):
    load(f"folder:{path}")


def test_folder_without_class_folders(tmp_path, tree):
  empty = tmp_path / "empty"
  empty.mkdir()
  assert f"{empty} holds no class folders" in sentence(f"folder:{empty}")
  flat = tmp_path / "flat"
  for split in ("train", "test"):
    (flat / split).mkdir(parents=True)
    Image.new("RGB", (6, 5)).save(flat / split / "a.png")
  assert "holds no class folders" in sentence(f"folder:{flat}")
  shutil.rmtree(tree / "test" / "dog")
  shutil.rmtree(tree / "train" / "dog")
  assert "holds 1 class folder, but" in sentence(f"folder:{tree}")


def test_folder_empty_class(tree):
  for file in (tree / "train" / "dog").iterdir():
    file.unlink()
  assert f"{tree / 'train' / 'dog'} holds no images" in sentence(f"folder:{tree}")


def test_folder_classes_differ(tree):
  shutil.rmtree(tree / "test" / "cat")
  (tree / "test" / "bird").mkdir()
  message = sentence(f"folder:{tree}")
  assert f"{tree / 'test'} has a class folder 'bird'" in message


@pytest.mark.parametrize("damage", ["header", "middle"])
@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("resident_bytes", [2**29, 0])
def test_folder_corrupt_image_is_named(tree, damage, suffix, resident_bytes):
  path = tree / "train" / "cat" / f"broken.{suffix}"
  noise = np.random.default_rng(0).integers(0, 256, (5, 6, 3), np.uint8)
  Image.fromarray(noise).save(path)
  data = path.read_bytes()
  path.write_bytes(b"no image" if damage == "header" else data[: len(data) - 40])
  with pytest.raises(UserError, match="cannot be decoded as an image") as error:
    fields = {"resident_bytes": resident_bytes, "validation": 0.0}
    train = load(f"folder:{tree}", **fields).splits["train"]
    train[np.arange(len(train))]
  assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_folder_sizes_differ(tree):
  path = tree / "test" / "dog" / "large.png"
  Image.new("RGB", (60, 50)).save(path)
  message = sentence(f"folder:{tree}")
  assert str(path) in message and "--config.data.size=5" in message
  assert load(f"folder:{tree}", size=5).splits["test"].shape == (5, 5, 3)


def test_folder_deep_image_is_named(tree):
  path = tree / "train" / "cat" / "deep.png"
  Image.fromarray(np.full((5, 6), 40_000, np.uint16)).save(path)
  assert f"{path} has more than 8 bits" in sentence(f"folder:{tree}")


# --- names and numbers


@pytest.mark.parametrize(
  "fields,expected",
  [
    ({"limit": -1}, "--config.data.limit=-1"),
    ({"size": -8}, "--config.data.size=-8"),
    ({"seed": -8}, "--config.data.seed=-8"),
    ({"validation": -0.1}, "--config.data.validation=-0.1"),
    ({"validation": 10.5}, "--config.data.validation=10.5"),
    ({"label_noise": 1.5}, "--config.data.label_noise=1.5"),
  ],
)
def test_wrong_numbers_name_the_key(fields, expected):
  assert expected in sentence("digits", **fields)


@pytest.mark.parametrize(
  "name", ["fashion_mnits", "nzp:/a/b.npz", "glue", "nyu_depth_v2", "cifar10:0.0.1"]
)
def test_unknown_names_list_what_is_possible(tmp_path, name):
  message = sentence(name, folder=str(tmp_path))
  assert f"--config.data.name={name}" in message


@pytest.mark.parametrize("name", ["", "digits|", " | "])
def test_empty_names(name):
  assert "names no data set" in sentence(name)
