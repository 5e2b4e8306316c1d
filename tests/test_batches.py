"""Batches by number: permutations, purity, processes, padding, streaming."""

import grain
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxvision.data.batches import IndexBatches, padded_batches, stream_batches
from jaxvision.data.examples import UNKNOWN, ArrayExamples, SourceExamples
from jaxvision.errors import UserError


def numbered(n):
  """Examples whose pixels and label are their number."""
  label = np.arange(n, dtype=np.int32)
  image = np.broadcast_to(label[:, None, None, None], (n, 2, 2, 1)).astype(np.uint8)
  return ArrayExamples(image, label)


def unread(examples):
  """The same examples behind a source."""
  n = len(examples)
  unknown = np.full(n, UNKNOWN, np.int32)
  return SourceExamples(examples.__getitem__, examples.shape, np.arange(n), unknown)


sizes = st.integers(1, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n)))


@given(sizes, st.integers(0, 2**31), st.integers(0, 5))
@settings(deadline=None)
def test_every_epoch_is_a_new_permutation_without_its_incomplete_batch(
  size, seed, epoch
):
  n, batch_size = size
  batches = IndexBatches(n, batch_size, seed=seed)
  per_epoch = n // batch_size
  found = [batches[epoch * per_epoch + i] for i in range(per_epoch)]
  assert all(b.shape == (batch_size,) and b.dtype == np.int32 for b in found)
  drawn = np.concatenate(found)
  assert len(np.unique(drawn)) == len(drawn) == per_epoch * batch_size
  assert drawn.min() >= 0 and drawn.max() < n


@given(sizes, st.integers(0, 100), st.lists(st.integers(0, 300), min_size=1))
@settings(deadline=None)
def test_batch_i_depends_on_seed_and_i_alone(size, seed, order):
  n, batch_size = size
  used = IndexBatches(n, batch_size, seed=seed)
  for i in order:  # in any order, as after a resume or on prefetching threads
    fresh = IndexBatches(n, batch_size, seed=seed)
    np.testing.assert_array_equal(used[i], fresh[i])


@given(st.integers(1, 4), st.integers(1, 5), st.integers(0, 40), st.integers(0, 20))
@settings(deadline=None)
def test_ranks_concatenate_to_the_global_batch(count, rows, spare, i):
  batch_size = count * rows
  n = batch_size + spare
  whole = IndexBatches(n, batch_size, seed=3)[i]
  parts = [
    IndexBatches(n, batch_size, seed=3, rank=rank, count=count)[i]
    for rank in range(count)
  ]
  np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_epochs_and_seeds_differ():
  batches = IndexBatches(50, 50, seed=0)
  assert (batches[0] != batches[1]).any()
  assert (batches[0] != IndexBatches(50, 50, seed=1)[0]).any()


def test_an_epoch_is_permuted_once(monkeypatch):
  batches = IndexBatches(40, 4, seed=0)
  made = []
  generator = np.random.default_rng
  monkeypatch.setattr(
    np.random, "default_rng", lambda seed: made.append(seed) or generator(seed)
  )
  for i in (0, 9, 10, 8, 11, 9):  # back and forth over the end of an epoch
    batches[i]
  assert made == [(0, 0), (0, 1)]


def test_errors_name_the_remedy():
  with pytest.raises(UserError, match="a batch of 9 cannot be drawn from 8"):
    IndexBatches(8, 9, seed=0)
  with pytest.raises(UserError, match="a batch of 0"):
    IndexBatches(8, 0, seed=0)
  with pytest.raises(UserError, match="among 3 processes: make it a multiple of 3"):
    IndexBatches(8, 4, seed=0, count=3)
  with pytest.raises(UserError, match="among 3 processes"):
    next(padded_batches(numbered(8), 4, count=3))
  with pytest.raises(ValueError, match="rank 2"):
    IndexBatches(8, 4, seed=0, rank=2, count=2)
  with pytest.raises(IndexError):
    IndexBatches(8, 4, seed=0)[-1]


@pytest.mark.parametrize("make", [numbered, lambda n: unread(numbered(n))])
def test_stream_is_pure_in_i_and_resumes(make):
  examples, indices = make(23), IndexBatches(23, 4, seed=5)
  stream = stream_batches(examples, indices, steps=12)
  assert isinstance(stream, grain.MapDataset) and len(stream) == 12
  for i in (7, 0, 11, 7):
    expected = examples[indices[i]]
    for key in ("image", "label"):
      np.testing.assert_array_equal(stream[i][key], expected[key])
      assert stream[i][key].dtype == expected[key].dtype
  options = grain.ReadOptions(num_threads=2, prefetch_buffer_size=3)
  resumed = list(stream[5:].to_iter_dataset(options))
  assert len(resumed) == 7
  np.testing.assert_array_equal(
    [b["label"] for b in resumed], [indices[i] for i in range(5, 12)]
  )


def test_an_error_of_the_source_passes_through_the_stream():
  def broken(positions):
    raise UserError("cat.png cannot be decoded")

  label = np.full(8, UNKNOWN, np.int32)
  examples = SourceExamples(broken, (2, 2, 1), np.arange(8), label)
  stream = stream_batches(examples, IndexBatches(8, 4, seed=0), steps=2)
  with pytest.raises(UserError, match="cat"):
    next(iter(stream.to_iter_dataset()))


@pytest.mark.parametrize("n", [1, 7, 8, 9, 16])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_padded_batches_hold_every_example_once(n, count):
  examples = numbered(n)
  ranks = [list(padded_batches(examples, 8, rank=r, count=count)) for r in range(count)]
  assert {len(r) for r in ranks} == {-(-n // 8)}
  seen = []
  for parts in zip(*ranks, strict=True):
    for part in parts:
      assert part["image"].shape == (8 // count, 2, 2, 1)
      assert part["image"].dtype == np.uint8 and part["label"].dtype == np.int32
      assert part["mask"].dtype == np.float32
      assert set(part["mask"]) <= {0.0, 1.0}
      seen += part["label"][part["mask"] == 1].tolist()
  assert seen == list(range(n))


def test_no_examples_no_batches():
  assert list(padded_batches(numbered(0), 4)) == []
