"""File names of UK-Bench and Holidays, and retrieval tasks made of any images."""

import jax
import numpy as np
import pytest

from jaxvision.data import retrieval_files, retrieval_tasks
from jaxvision.data.batches import padded_batches
from jaxvision.data.examples import ArrayExamples
from jaxvision.errors import UserError
from jaxvision.metrics import retrieval

UKBENCH = [f"ukbench{k:05d}.jpg" for k in (*range(8), *range(10196, 10200))]
HOLIDAYS = ["100000.jpg", "100001.jpg", "100002.jpg", "149900.jpg", "149901.jpg"]


def touch(folder, names):
  for name in names:
    (folder / name).touch()
  return folder


def test_ukbench(tmp_path):
  other = ("README", "times.txt", ".hidden.jpg")
  found = retrieval_files.read_ukbench(touch(tmp_path, [*reversed(UKBENCH), *other]))
  assert [path.name for path in found.paths] == UKBENCH
  np.testing.assert_array_equal(found.number[-4:], np.arange(10196, 10200))
  np.testing.assert_array_equal(found.group, np.repeat([0, 1, 2549], 4))


def test_holidays(tmp_path):
  found = retrieval_files.read_holidays(str(touch(tmp_path, HOLIDAYS)))
  assert [path.name for path in found.paths] == HOLIDAYS
  np.testing.assert_array_equal(found.group, [1000, 1000, 1000, 1499, 1499])
  queries = retrieval_files.is_query(found.number)
  np.testing.assert_array_equal(queries, [True, False, False, True, False])
  distances = 1.0 - np.equal.outer(found.group, found.group)
  assert retrieval.holidays_map(distances, found.number) == 1


@pytest.mark.parametrize(
  "names, message",
  [
    ([], "has no images"),
    (["notes.txt"], "has no images"),
    ([*UKBENCH, "ukbench1.jpg"], "ukbench1.jpg is not named like ukbench00000.jpg"),
    ([*UKBENCH, "cat.png"], "cat.png is not named"),
    ([*UKBENCH, "ukbench000٣٤.jpg"], "is not named"),
    ([*UKBENCH, "ukbench00002.JPG"], "have one number"),
    (UKBENCH[:6], "has no ukbench00006"),
    (UKBENCH[1:], "has no ukbench00000"),
  ],
)
def test_ukbench_rejects(tmp_path, names, message):
  with pytest.raises(UserError, match=message):
    retrieval_files.read_ukbench(touch(tmp_path, names))


@pytest.mark.parametrize(
  "names, message",
  [
    ([*HOLIDAYS, "1000.jpg"], "1000.jpg is not named like 100000.jpg"),
    ([*HOLIDAYS, "100001.jpeg"], "have one number"),
    (HOLIDAYS[1:], "group 1000 but not the query 100000"),
    ([*HOLIDAYS, "120000.jpg"], "query 120000 alone"),
    (UKBENCH, "is not named like 100000.jpg"),
  ],
)
def test_holidays_rejects(tmp_path, names, message):
  with pytest.raises(UserError, match=message):
    retrieval_files.read_holidays(touch(tmp_path, names))


@pytest.mark.parametrize("name", ["read_ukbench", "read_holidays"])
def test_no_folder(tmp_path, name):
  with pytest.raises(UserError, match="there is no folder"):
    getattr(retrieval_files, name)(tmp_path / "nowhere")


def images(n=5):
  rng = np.random.default_rng(0)
  return rng.integers(0, 256, (n, 6, 6, 1)).astype(np.uint8)


def dim(key, x):
  """Darkens each image by a factor of its own."""
  return x * jax.random.uniform(key, (len(x), 1, 1, 1), minval=0.5)


def test_ukbench_task_has_groups_of_four():
  plain = images()
  task = retrieval_tasks.ukbench_task(plain, dim, key=jax.random.key(0))
  assert task.image.shape == (20, 6, 6, 1) and task.image.dtype == np.float32
  np.testing.assert_array_equal(task.number, np.arange(20))
  np.testing.assert_array_equal(task.group, np.repeat(np.arange(5), 4))
  np.testing.assert_array_equal(task.image[::4], plain.astype(np.float32) / 255)
  ratios = (
    task.image.sum((1, 2, 3)).reshape(5, 4) / task.image[::4].sum((1, 2, 3))[:, None]
  )
  assert len(np.unique(ratios[:, 1:].round(5))) == 15  # each image, each draw
  again = retrieval_tasks.ukbench_task(plain, dim, key=jax.random.key(0))
  np.testing.assert_array_equal(again.image, task.image)


def test_holidays_task_has_queries_and_positives():
  task = retrieval_tasks.holidays_task(
    images(), dim, key=jax.random.key(0), positives=3
  )
  assert len(task) == 20
  np.testing.assert_array_equal(task.number[:5], [*range(100000, 100004), 100100])
  np.testing.assert_array_equal(task.group, np.repeat(np.arange(1000, 1005), 4))
  assert retrieval_files.is_query(task.number).sum() == 5


def test_tasks_can_be_solved_and_batched():
  task = retrieval_tasks.ukbench_task(images(), dim, key=jax.random.key(1))
  batches = list(padded_batches(task, 8))
  assert [batch["mask"].sum() for batch in batches] == [8, 8, 4]
  x = np.concatenate([b["image"][b["mask"] > 0] for b in batches]).reshape(20, -1)
  cosine = retrieval.pairwise_distances(x, x, kind="cosine")
  assert retrieval.ns_score(cosine, task.group) == 4  # blind to brightness
  task = retrieval_tasks.holidays_task(images(), dim, key=jax.random.key(1))
  x = task.image.reshape(len(task), -1)
  cosine = retrieval.pairwise_distances(x, x, kind="cosine")
  assert retrieval.holidays_map(cosine, task.number) == 1


def test_floats_are_not_scaled_again():
  plain = images().astype(np.float32) / 255
  task = retrieval_tasks.ukbench_task(plain, dim, key=jax.random.key(0))
  np.testing.assert_array_equal(task.image[::4], plain)


def test_instances_are_picked_once():
  examples = ArrayExamples(images(30), np.arange(30, dtype=np.int32))
  picked = retrieval_tasks.instances(examples, 30, seed=0)
  rows = [int(np.flatnonzero((examples.image == x).all((1, 2, 3)))[0]) for x in picked]
  assert sorted(rows) == list(range(30)) and rows != sorted(rows)
  some = retrieval_tasks.instances(examples, 4, seed=0)
  np.testing.assert_array_equal(some, picked[:4])
  for count in (0, 31):
    with pytest.raises(UserError, match="take 1 to 30"):
      retrieval_tasks.instances(examples, count, seed=0)


def test_tasks_reject():
  key = jax.random.key(0)
  with pytest.raises(ValueError, match="keep their shape"):
    retrieval_tasks.ukbench_task(images(), lambda key, x: x[:, 1:], key=key)
  with pytest.raises(ValueError, match="take 1 to 99"):
    retrieval_tasks.holidays_task(images(), dim, key=key, positives=100)
