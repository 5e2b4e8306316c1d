"""Fashion-MNIST: prepared without TensorFlow, read by name, never half-written."""

import functools
import http.server
import itertools
import pathlib
import threading
import time

import numpy as np
import pytest
import tensorflow_datasets as tfds
from image_support import make_config, rows, unplug, write_idx

from jaxvision import interruption
from jaxvision.data import decoded_cache, fashion_mnist, images, network
from jaxvision.data.examples import ArrayExamples, SourceExamples, Unavailable
from jaxvision.errors import UserError

COUNTS = {"train": 31, "test": 12}


@pytest.fixture
def tiny(tmp_path, monkeypatch):
  """Four files like the real ones, but small; returns their arrays."""
  folder = tmp_path / "files"
  folder.mkdir()
  rng, digests, arrays = np.random.default_rng(0), {}, {}
  for split, names in fashion_mnist.FILES.items():
    n = COUNTS[split]
    image = rng.integers(0, 256, (n, 28, 28), np.uint8)
    label = rng.integers(0, 10, n).astype(np.uint8)
    for name, array in zip(names, (image, label), strict=True):
      digests[name] = write_idx(folder / name, array)
    arrays[split] = {"image": image[..., None], "label": label}
  monkeypatch.setattr(fashion_mnist, "DIGESTS", digests)
  monkeypatch.setenv(fashion_mnist.ENVIRONMENT, str(folder))
  return arrays


def load(tmp_path, resident_bytes=2**29):
  return fashion_mnist.load_fashion_mnist(
    str(tmp_path / "data"), size=0, resident_bytes=resident_bytes
  )


def test_prepared_files_hold_every_example(tmp_path, tiny):
  dataset = load(tmp_path)
  assert dataset.name == "fashion_mnist" and len(dataset.classes) == 10
  for split, expected in tiny.items():
    examples = dataset.splits[split]
    assert isinstance(examples, ArrayExamples)
    assert examples.shape == (28, 28, 1) and examples.dtype == np.uint8
    assert rows(examples.arrays()) == rows(expected)


def test_tfds_reads_it_by_name_in_the_same_order(tmp_path, tiny):
  ours = load(tmp_path).splits["train"]
  source = tfds.data_source(
    "fashion_mnist", split="train", data_dir=tmp_path / "data", download=False
  )
  assert len(source) == COUNTS["train"]
  for i, record in enumerate(source):
    np.testing.assert_array_equal(record["image"], ours.image[i])
    assert record["label"] == ours.label[i]


def test_same_name_version_and_features_as_tfds(tmp_path):
  ours = fashion_mnist.FashionMnist(data_dir=tmp_path)
  theirs = tfds.builder("fashion_mnist", data_dir=tmp_path)
  assert ours.info.full_name == theirs.info.full_name
  assert repr(ours.info.features) == repr(theirs.info.features)
  names = [b.info.features["label"].names for b in (ours, theirs)]
  assert names[0] == names[1]


def test_prepared_once_and_decoded_once(tmp_path, tiny, monkeypatch):
  first = load(tmp_path)

  def fail(*args, **kwargs):
    raise AssertionError("was prepared or decoded again")

  monkeypatch.setattr(fashion_mnist, "read_idx", fail)
  monkeypatch.setattr(SourceExamples, "read", fail)
  second = load(tmp_path)
  for split in COUNTS:
    for a, b in zip(
      first.splits[split].arrays().values(),
      second.splits[split].arrays().values(),
      strict=True,
    ):
      np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("damage", ["cut", "flipped", "other"])
def test_a_damaged_decoded_copy_is_written_anew(tmp_path, tiny, damage):
  load(tmp_path)
  (copy,) = (tmp_path / "data").rglob("*train.npz")
  good = copy.read_bytes()
  if damage == "cut":
    copy.write_bytes(good[: len(good) // 2])
  elif damage == "flipped":
    middle = len(good) // 2
    changed = bytes([good[middle] ^ 255])
    copy.write_bytes(good[:middle] + changed + good[middle + 1 :])
  else:
    np.savez(copy, key="cifar10/3.0.2/train", image=np.zeros(3), label=np.zeros(3))
  assert rows(load(tmp_path).splits["train"].arrays()) == rows(tiny["train"])
  assert copy.read_bytes() == good
  assert not list(copy.parent.glob("*.tmp"))


def test_no_decoded_copy_where_none_can_be_written(tmp_path, tiny, monkeypatch):
  def full(*args, **kwargs):
    raise OSError("no space left on device")

  monkeypatch.setattr(decoded_cache.np, "savez", full)
  assert rows(load(tmp_path).splits["train"].arrays()) == rows(tiny["train"])
  assert not list((tmp_path / "data").rglob("*.tmp"))


def test_larger_than_memory_is_decoded_on_demand(tmp_path, tiny):
  splits = load(tmp_path, resident_bytes=COUNTS["test"] * 784).splits
  assert isinstance(splits["test"], ArrayExamples)
  assert isinstance(splits["train"], SourceExamples)
  everything = splits["train"][np.arange(COUNTS["train"])]
  assert rows(everything) == rows(tiny["train"])


@pytest.mark.parametrize("name", list(fashion_mnist.DIGESTS))
@pytest.mark.parametrize("damage", ["cut", "other", "no gzip"])
def test_a_damaged_file_is_named_and_nothing_is_written(tmp_path, tiny, name, damage):
  path = tmp_path / "files" / name
  if damage == "cut":
    path.write_bytes(path.read_bytes()[:-20])
  elif damage == "other":
    write_idx(path, np.zeros((COUNTS["test"], 28, 28), np.uint8))
  else:
    path.write_bytes(b"<html>not found</html>")
  with pytest.raises(UserError, match=f"{name} (cannot be decom|is not the file)") as e:
    load(tmp_path)
  assert not isinstance(e.value, Unavailable)
  assert "\n" not in str(e.value)
  assert not list((tmp_path / "data").rglob("*"))


def test_without_files_and_network_it_is_unavailable_at_once(
  tmp_path, tiny, monkeypatch
):
  unplug(monkeypatch)
  next((tmp_path / "files").iterdir()).unlink()  # one missing is as good as all
  start = time.monotonic()
  with pytest.raises(Unavailable, match="dataset-fashion-mnist") as error:
    load(tmp_path)
  assert time.monotonic() - start < 3
  assert str(tmp_path / "files") in str(error.value)
  assert not list((tmp_path / "data").rglob("*"))


def test_digits_stand_in_and_the_note_says_so(tmp_path, tiny, monkeypatch):
  unplug(monkeypatch)
  monkeypatch.setenv(fashion_mnist.ENVIRONMENT, str(tmp_path / "nowhere"))
  config = make_config(folder=str(tmp_path / "data"))
  dataset = images.load_images(config)
  assert dataset.name == "digits" and dataset.splits["train"].shape == (8, 8, 1)
  assert dataset.note.startswith("digits instead: fashion_mnist is not prepared in")
  assert "\n" not in dataset.note


def test_a_damaged_file_is_not_passed_over(tmp_path, tiny):
  config = make_config(folder=str(tmp_path / "data"))
  (tmp_path / "files" / "t10k-labels-idx1-ubyte.gz").write_bytes(b"")
  with pytest.raises(UserError, match="t10k-labels"):
    images.load_images(config)


@pytest.fixture
def server(tmp_path, monkeypatch):
  """Serves the folder "files" under the URL of Fashion-MNIST."""

  class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
      pass

  handler = functools.partial(Handler, directory=str(tmp_path / "files"))
  with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
    threading.Thread(target=running.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{running.server_port}/"
    monkeypatch.setattr(fashion_mnist, "URL", url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield url
    running.shutdown()


def test_downloads_what_is_not_there(tmp_path, tiny, server, monkeypatch):
  monkeypatch.setenv(fashion_mnist.ENVIRONMENT, str(tmp_path / "nowhere"))
  assert rows(load(tmp_path).splits["test"].arrays()) == rows(tiny["test"])
  assert [p.name for p in (tmp_path / "data").iterdir()] == ["fashion_mnist"]


def test_a_broken_download_leaves_nothing(tmp_path, tiny, server, monkeypatch):
  monkeypatch.setenv(fashion_mnist.ENVIRONMENT, str(tmp_path / "nowhere"))
  (tmp_path / "files" / "t10k-images-idx3-ubyte.gz").unlink()
  with pytest.raises(Unavailable, match="download failed") as error:
    load(tmp_path)
  assert "\n" not in str(error.value)
  assert not list((tmp_path / "data").rglob("*"))


def test_a_refusal_is_an_answer_and_silence_is_not(server, monkeypatch):
  network.require_server(f"{server}no-such-file", what="nothing")

  def silent(*args, **kwargs):
    time.sleep(20)
    raise TimeoutError

  monkeypatch.setattr(network.urllib.request, "urlopen", silent)
  start = time.monotonic()
  with pytest.raises(Unavailable, match="cannot be reached"):
    network.require_server(server, what="it is missing", timeout=0.2)
  assert time.monotonic() - start < 2


def test_an_interrupted_preparation_leaves_nothing(tmp_path, tiny, monkeypatch):
  calls = itertools.count()

  def check():
    if next(calls) == 20:
      raise interruption.Interrupted

  monkeypatch.setattr(interruption, "check", check)
  with pytest.raises(interruption.Interrupted):
    load(tmp_path)
  assert not list((tmp_path / "data").rglob("*"))


def test_a_folder_that_cannot_be_written_is_named(tmp_path, tiny):
  (tmp_path / "data").write_text("a file where a folder should be")
  with pytest.raises(UserError, match=f"in {tmp_path}/data/fashion_mnist"):
    load(tmp_path)


@pytest.mark.skipif(
  not (pathlib.Path(fashion_mnist.DEBIAN) / "train-images-idx3-ubyte.gz").exists(),
  reason="Debian's dataset-fashion-mnist is not installed; tiny files are tested above",
)
def test_the_real_files_have_the_known_checksums():
  for name, digest in fashion_mnist.DIGESTS.items():
    array = fashion_mnist.read_idx(pathlib.Path(fashion_mnist.DEBIAN) / name, digest)
    assert len(array) == (60_000 if name.startswith("train") else 10_000)
