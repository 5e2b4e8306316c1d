"""CMC, mAP and mINP against peers' numbers and a plain loop."""

import inspect

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.benchmarks import retrieval_loops
from jaxvision.metrics import retrieval, retrieval_ranking

CASES = ("multi", "euclid", "junk", "single", "small")
seeds = st.integers(0, 2**31)


def case(arrays, name):
  fields = ("dist", "q_pid", "g_pid", "q_cam", "g_cam")
  return [arrays[f"{name}/{field}"] for field in fields]


def random_problem(seed, *, queries=12, gallery=30, ids=6, cameras=3, grid=None):
  """Distances, ids and cameras; on a coarse `grid` most distances are tied."""
  rng = np.random.default_rng(seed)
  distances = rng.random((queries, gallery))
  if grid:
    distances = np.floor(distances * grid)
  numbers = [
    rng.integers(0, high, n) for high in (ids, cameras) for n in (queries, gallery)
  ]
  numbers[1][0], numbers[3][0] = numbers[0][0], numbers[2][0] + 1  # one true match
  return distances.astype(np.float32), *numbers


def same(found, wanted, *, atol=1e-12):
  np.testing.assert_array_equal(found["valid"], wanted["valid"])
  for name in ("cmc", "map", "minp"):
    np.testing.assert_allclose(found[name], wanted[name], rtol=0, atol=atol)


@pytest.mark.parametrize("name", CASES)
def test_rank_metrics_are_the_peers(golden, name):
  arrays = golden("retrieval")
  distances, *numbers = case(arrays, name)
  max_rank = int(arrays[f"{name}/max_rank"])
  for given_ in (distances, jnp.asarray(distances)):
    found = retrieval.rank_metrics(given_, *numbers, max_rank=max_rank)
    assert set(found) == {"cmc", "map", "minp", "valid"}
    np.testing.assert_array_equal(found["valid"], arrays[f"{name}/valid"])
    np.testing.assert_allclose(found["cmc"], arrays[f"{name}/cmc"], atol=1e-6)
    assert found["map"] == pytest.approx(float(arrays[f"{name}/mAP"]), abs=1e-12)
    assert found["minp"] == pytest.approx(float(arrays[f"{name}/mINP"]), abs=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_query_scores_are_the_peers(golden, name):
  arrays = golden("retrieval")
  found = retrieval.query_scores(*case(arrays, name))
  np.testing.assert_allclose(found.ap[found.valid], arrays[f"{name}/ap"], atol=1e-12)
  np.testing.assert_allclose(found.inp[found.valid], arrays[f"{name}/inp"], atol=1e-12)
  assert np.isnan(found.ap[~found.valid]).all()
  assert (found.first[~found.valid] == -1).all()
  if name == "single":  # AP = INP = 1 / rank: a check of any evaluator
    np.testing.assert_allclose(found.ap, 1 / (found.first + 1), atol=1e-12)
    np.testing.assert_array_equal(found.ap, found.inp)


@pytest.mark.parametrize("grid", [None, 5], ids=["distinct", "tied"])
@settings(max_examples=80, deadline=None)
@given(seeds, st.integers(1, 8), st.sampled_from([1, 4, 50]), st.data())
def test_rank_metrics_are_what_the_loop_says(grid, seed, ids, max_rank, data):
  gallery = data.draw(st.sampled_from([1, 7, 40]))
  problem = random_problem(seed, gallery=gallery, ids=ids, grid=grid)
  found = retrieval.rank_metrics(*problem, max_rank=max_rank)
  assert len(found["cmc"]) == min(max_rank, gallery)
  same(found, retrieval_loops.rank_metrics(*problem, max_rank=max_rank, stable=True))


def test_many_ties_in_a_row_are_what_the_loop_says(monkeypatch):
  problem = random_problem(3, queries=20, gallery=400, ids=2, grid=3)
  wanted = retrieval_loops.rank_metrics(*problem, stable=True)
  for many in (0, 64, 10**6):  # sorts, some of both, counts
    monkeypatch.setattr(retrieval_ranking, "_MANY", many)
    same(retrieval.rank_metrics(*problem), wanted)


@settings(max_examples=40, deadline=None)
@given(seeds, seeds)
def test_the_order_of_the_gallery_does_not_matter(seed, order):
  distances, query_ids, gallery_ids, query_cameras, gallery_cameras = random_problem(
    seed
  )
  order = np.random.default_rng(order).permutation(len(gallery_ids))
  shuffled = (
    distances[:, order], query_ids, gallery_ids[order], query_cameras,
    gallery_cameras[order],
  )  # fmt: skip
  wanted = retrieval.rank_metrics(
    distances, query_ids, gallery_ids, query_cameras, gallery_cameras
  )
  same(retrieval.rank_metrics(*shuffled), wanted, atol=0)


@pytest.mark.parametrize("transform", [lambda d: d**2 - 3, np.exp2, lambda d: -1 / d])
@settings(max_examples=20, deadline=None)
@given(seeds)
def test_monotone_transforms_do_not_matter(transform, seed):
  distances, *numbers = random_problem(seed)
  distances = distances.astype(np.float64) + 0.1
  wanted = retrieval.rank_metrics(distances, *numbers)
  same(retrieval.rank_metrics(transform(distances), *numbers), wanted, atol=0)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_junk_does_not_matter_at_any_distance(seed):
  distances, *numbers = random_problem(seed)
  junk = (numbers[0][:, None] == numbers[1]) & (numbers[2][:, None] == numbers[3])
  wanted = retrieval.rank_metrics(distances, *numbers)
  for at in (-1, 0.5, np.inf):
    moved = np.where(junk, np.float32(at), distances)
    same(retrieval.rank_metrics(moved, *numbers), wanted, atol=0)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_more_junk_does_not_matter(seed):
  distances, *numbers = random_problem(seed, queries=1)
  wanted = retrieval.rank_metrics(distances, *numbers, max_rank=30)
  more = np.random.default_rng(seed).random((1, 5), np.float32) - 0.5
  for query, gallery in ((0, 1), (2, 3)):  # ids, then cameras
    numbers[gallery] = np.append(numbers[gallery], np.repeat(numbers[query], 5))
  distances = np.concatenate([distances, more], axis=1)
  same(retrieval.rank_metrics(distances, *numbers, max_rank=30), wanted, atol=0)


def test_perfect_distances_have_perfect_scores():
  _, *numbers = random_problem(0)
  distances = 1.0 - np.equal.outer(numbers[0], numbers[1])
  found = retrieval.rank_metrics(distances, *numbers)
  assert found["map"] == found["minp"] == 1 and (found["cmc"] == 1).all()


def test_random_distances_have_the_scores_of_chance():
  """Rank 1 / G, AP H_G / G in a gallery of G people with an image each."""
  size, queries = 10, 20_000
  distances = np.random.default_rng(0).random((queries, size), np.float32)
  ids, cameras = np.arange(queries) % size, np.zeros(queries, int)
  gallery = np.arange(size), np.ones(size, int)
  found = retrieval.rank_metrics(distances, ids, gallery[0], cameras, gallery[1])
  expected = (1 / np.arange(1, size + 1)).sum() / size
  assert found["map"] == pytest.approx(expected, abs=0.01)
  np.testing.assert_allclose(found["cmc"], np.arange(1, size + 1) / size, atol=0.015)


def test_ties_rank_in_the_order_of_the_gallery():
  cameras = np.zeros(1, int), np.ones(3, int)
  for place in range(3):
    ids = np.full(3, 9)
    ids[place] = 7
    found = retrieval.rank_metrics(np.zeros((1, 3)), np.array([7]), ids, *cameras)
    assert found["map"] == pytest.approx(1 / (place + 1))
    np.testing.assert_array_equal(found["cmc"], np.arange(3) >= place)


def test_junk_may_leave_fewer_entries_than_the_curve_has():
  distances = np.array([[1.0, 2.0, 3.0, 4.0]])
  query, gallery, own = np.array([7]), np.array([7, 7, 7, 9]), np.array([0])
  found = retrieval.rank_metrics(distances, query, gallery, own, np.array([0, 0, 1, 1]))
  np.testing.assert_array_equal(found["cmc"], [1, 1, 1, 1])
  assert found["map"] == found["minp"] == 1


@pytest.mark.parametrize("block", [1, 5, 256])
@pytest.mark.parametrize("kind", ["euclidean", "cosine"])
def test_features_give_what_their_distances_do(block, kind):
  rng = np.random.default_rng(2)
  query, gallery = rng.normal(size=(12, 5)), rng.normal(size=(30, 5))
  _, *numbers = random_problem(1)
  found = retrieval.rank_metrics_of_features(
    query, jnp.asarray(gallery), *numbers, kind=kind, max_rank=9, block=block
  )
  distances = retrieval.pairwise_distances(query, gallery, kind=kind)
  same(found, retrieval.rank_metrics(distances, *numbers, max_rank=9))


@pytest.mark.parametrize("rows", [1, 7, 64])
def test_blocks_do_not_matter(monkeypatch, rows):
  problem = random_problem(4, queries=31)
  wanted = retrieval.rank_metrics(*problem)
  monkeypatch.setattr(retrieval_ranking, "_ENTRIES", rows * 30)
  same(retrieval.rank_metrics(*problem), wanted)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_half_precision_ranks_as_its_float32(dtype):
  distances, *numbers = random_problem(6)
  half = jnp.asarray(distances, dtype)
  found = retrieval.rank_metrics(half, *numbers)
  same(found, retrieval.rank_metrics(np.asarray(half, np.float32), *numbers))


ONE = np.zeros(1, int)


@pytest.mark.parametrize(
  "distances, numbers, message",
  [
    (np.zeros((1, 1)), (ONE, ONE + 1, ONE, ONE), "ids of both"),
    (np.zeros((1, 1)), (ONE, ONE, ONE, ONE), "own camera"),
    (np.full((1, 1), np.nan), (ONE, ONE, ONE, ONE + 1), "NaN"),
    (np.zeros((0, 1)), (ONE[:0], ONE, ONE[:0], ONE), "no query"),
    (np.zeros((1, 0)), (ONE, ONE[:0], ONE, ONE[:0]), "no query"),
  ],
)
def test_rank_metrics_rejects(distances, numbers, message):
  with pytest.raises(ValueError, match=message):
    retrieval.rank_metrics(distances, *numbers)


def test_a_block_holds_a_query():
  with pytest.raises(ValueError, match="block is 0"):
    x = np.ones((1, 2))
    retrieval.rank_metrics_of_features(x, x, ONE, ONE, ONE, ONE + 1, block=0)


@pytest.mark.parametrize(
  "name, args",
  [
    ("query_scores", (np.zeros((1, 2)), ONE, ONE, ONE, ONE)),
    ("pairwise_distances", (np.ones((1, 2)), np.ones((1, 3)))),
  ],
)
def test_sizes_that_do_not_match_are_named(name, args):
  function = inspect.unwrap(getattr(retrieval, name))  # as users have it: unchecked
  with pytest.raises(ValueError, match=r"; (give|describe)"):
    function(*args)
