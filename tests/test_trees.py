"""Trees addressed by path, the first non-finite leaf, the checksum."""

from collections import OrderedDict
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.sharding import NamedSharding, PartitionSpec

from jaxvision.ops import trees


class Pair(NamedTuple):
  count: int
  velocity: dict


TREE = {"b": [1, Pair(2, {"w": 3})], "a": (4,)}
PATHS = ["a/0", "b/0", "b/1/count", "b/1/velocity/w"]


def test_paths_are_spelled_in_leaf_order():
  assert trees.paths(TREE) == PATHS
  assert trees.paths({}) == []
  (path, _), *_ = jax.tree_util.tree_flatten_with_path(OrderedDict(z={"k": 1}))[0]
  assert trees.path_name(path) == "z/k"
  assert trees.path_name(()) == ""


def test_map_with_path_keeps_the_structure():
  other = jax.tree.map(lambda x: 10 * x, TREE)
  found = trees.map_with_path(lambda path, x, y: (path, x + y), TREE, other)
  assert found["b"][1] == Pair(("b/1/count", 22), {"w": ("b/1/velocity/w", 33)})
  assert found["a"] == (("a/0", 44),)


def test_first_match_is_the_first_full_match():
  rules = [("dense", 0), (".*/kernel", 1), ("dense/.*", 2), ("none", 3)]
  assert trees.first_match(rules, "dense/kernel") == 1
  assert trees.first_match(rules, "dense/bias") == 2
  assert trees.first_match(rules, "conv/bias") is None
  assert trees.first_match(rules, "conv/bias", "default") == "default"
  # A rule whose value is falsy still decides.
  assert trees.first_match([(".*", False), (".*", True)], "x", True) is False


def test_unmatched_lists_the_patterns_that_match_nothing():
  rules = [("dense", 0), (".*/kernel", 1), ("ker.*", 2)]
  assert trees.unmatched(rules, ["dense/kernel", "dense/bias"]) == ["dense", "ker.*"]
  assert trees.unmatched((), ["a"]) == []


@pytest.fixture(params=[lambda f: f, jax.jit], ids=["eager", "jit"])
def variant(request):
  return request.param


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_first_non_finite_is_an_index_in_leaf_order(variant, bad, dtype):
  fn = variant(trees.first_non_finite)
  tree = {
    "a": jnp.arange(3),
    "b": jnp.ones((2, 2), dtype),
    "c": jax.random.key(0),
    "d": jnp.ones(4, dtype),
  }
  assert int(fn(tree)) == -1
  tree["d"] = tree["d"].at[3].set(bad)
  assert int(fn(tree)) == 3
  tree["b"] = tree["b"].at[1, 0].set(bad)
  assert int(fn(tree)) == 1
  assert fn(tree).dtype == jnp.int32


def test_nothing_is_finite():
  assert int(trees.first_non_finite({})) == -1
  assert int(trees.first_non_finite({"a": jnp.zeros((0, 3))})) == -1


WORDS = {
  "float32": np.uint32,
  "bfloat16": np.uint16,
  "float16": np.uint16,
  "int32": np.uint32,
  "uint8": np.uint8,
}
check = jax.jit(trees.checksum)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(WORDS)), st.data())
def test_any_flipped_bit_changes_the_checksum(dtype, data):
  word = WORDS[dtype]
  seed, i = data.draw(st.integers(0, 2**31)), data.draw(st.integers(0, 14))
  bit = data.draw(st.integers(0, 8 * word().itemsize - 1))
  bits = np.random.default_rng(seed).integers(0, np.iinfo(word).max, 15).astype(word)
  flipped = bits.copy()
  flipped[i] ^= word(1 << bit)
  a, b = (x.view(jnp.dtype(dtype)).reshape(3, 5) for x in (bits, flipped))
  assert int(check(a)) != int(check(b))


def test_any_flipped_bool_changes_the_checksum():
  bools = np.zeros(15, bool)
  sums = {int(check(bools))} | {
    int(check(bools ^ (np.arange(15) == i))) for i in range(15)
  }
  assert len(sums) == 16


def test_any_flipped_bit_of_a_key_changes_the_checksum():
  data = np.array(jax.random.key_data(jax.random.split(jax.random.key(1), 3)))
  before = int(check(jax.random.wrap_key_data(data)))
  for word in range(data.size):
    for bit in range(0, 32, 3):
      other = data.copy()
      other.reshape(-1)[word] ^= np.uint32(1 << bit)
      assert int(check(jax.random.wrap_key_data(other))) != before


def test_two_flipped_signs_and_swapped_elements_change_the_checksum():
  # A weighted sum misses these: two sign bits are 2**31 each, modulo 2**32.
  x = np.arange(1, 9, dtype=np.float32)
  negated = x * np.where(np.isin(np.arange(8), (2, 5)), -1, 1).astype(np.float32)
  swapped = x[[0, 1, 5, 3, 4, 2, 6, 7]]
  opposite = np.float32([1, -1, 2, 3, 4, 5, 6, 7])
  assert len({int(check(a)) for a in (x, negated, swapped, x[::-1])}) == 4
  assert int(check(opposite)) != int(check(opposite[[1, 0, *range(2, 8)]]))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "bool", "uint8"])
def test_checksum_is_the_same_on_any_number_of_devices(dtype):
  x = jnp.asarray(np.random.default_rng(0).normal(size=(8, 4)) * 9).astype(dtype)
  mesh = jax.make_mesh((4,), ("d",), axis_types=(jax.sharding.AxisType.Auto,))
  spread = jax.device_put(x, NamedSharding(mesh, PartitionSpec("d")))
  assert len(spread.sharding.device_set) == 4
  values = {int(f(y)) for f in (check, trees.checksum) for y in (x, spread)}
  assert len(values) == 1


def test_checksum_of_nothing_and_of_a_scalar():
  assert trees.checksum(jnp.zeros((0, 2))).dtype == jnp.uint32
  assert int(check(jnp.float32(1.0))) != int(check(jnp.float32(-1.0)))
