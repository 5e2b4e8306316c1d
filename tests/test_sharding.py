"""Meshes from a config, shardings by path rules, placing of arrays."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, PartitionSpec
from ml_collections import ConfigDict

from jaxvision.errors import UserError
from jaxvision.train import sharding


def build(data=-1, fsdp=1):
  return sharding.build_mesh(ConfigDict({"data": data, "fsdp": fsdp}))


@pytest.mark.parametrize(
  "fields, shape",
  [
    ({}, {"data": 4, "fsdp": 1}),
    ({"fsdp": 2}, {"data": 2, "fsdp": 2}),
    ({"data": 1, "fsdp": 4}, {"data": 1, "fsdp": 4}),
  ],
)
def test_the_mesh_takes_all_devices(fields, shape):
  mesh = build(**fields)
  assert dict(mesh.shape) == shape and mesh.size == jax.device_count() == 4
  assert mesh.axis_types == (AxisType.Auto, AxisType.Auto)


@pytest.mark.parametrize(
  "data, fsdp", [(3, 1), (2, 1), (-1, 3), (-1, 8), (-1, 0), (-2, 1), (0, 1), (4, -1)]
)
def test_a_mesh_of_other_than_all_devices_is_refused(data, fsdp):
  sentence = f"data={data}, fsdp={fsdp}, which does not make 4 devices; set data=-1"
  with pytest.raises(UserError, match=sentence):
    build(data, fsdp)


def specs(shapes, fsdp, rules=()):
  leaves = {k: jax.ShapeDtypeStruct(v, jnp.float32) for k, v in shapes.items()}
  found = sharding.of_state(leaves, build(fsdp=fsdp), rules)
  return {name: s.spec for name, s in found.items()}


@pytest.mark.parametrize(
  "shape, fsdp, spec",
  [
    ((128, 64), 2, ("fsdp", None)),  # the largest axis
    ((64, 128), 2, (None, "fsdp")),
    ((64, 64), 2, ("fsdp", None)),  # the first of equals
    ((3, 3, 64, 128), 4, (None, None, None, "fsdp")),
    ((129, 64), 2, (None, "fsdp")),  # the largest that divides
    ((129, 65), 2, ()),
    ((64, 63), 2, ()),  # below SMALLEST_SHARDED
    ((4096,), 2, ("fsdp",)),
    ((128, 64), 1, ()),
    ((), 2, ()),
  ],
)
def test_fsdp_splits_the_largest_axis_that_it_divides(shape, fsdp, spec):
  assert specs({"w": shape}, fsdp)["w"] == PartitionSpec(*spec)


def test_rules_of_a_state_hold_for_its_optimizer_and_averages():
  shape = jax.ShapeDtypeStruct((64, 64), jnp.float32)
  params = {"dense1": {"kernel": shape}, "dense2": {"kernel": shape}}
  state = {"params": params, "opt": (params, {"trace": params}), "ema": params}
  rules = (
    (".*dense1/kernel", "replicated"),
    ("opt/.*", "fsdp"),
    ("ema/.*", "replicated"),
  )
  found = sharding.of_state(state, build(fsdp=2), rules)
  split, whole = PartitionSpec("fsdp", None), PartitionSpec()
  for tree in (found["params"], found["opt"][0], found["opt"][1]["trace"]):
    assert tree["dense1"]["kernel"].spec == whole
    assert tree["dense2"]["kernel"].spec == split
  assert found["ema"]["dense2"]["kernel"].spec == whole


def test_an_unknown_kind_of_rule_is_one_sentence():
  sentence = "config.mesh.rules says 'split' for w; choose replicated or fsdp"
  with pytest.raises(UserError, match=sentence):
    specs({"w": (2, 2)}, 2, ((".*", "split"),))


@pytest.mark.parametrize("axis", [0, 1])
def test_batches_are_split_over_all_devices(axis):
  mesh = build(fsdp=2)
  shape = (8, 3) if axis == 0 else (2, 8, 3)
  batch = {
    "x": np.arange(np.prod(shape)).reshape(shape),
    "y": np.ones(shape[: axis + 1]),
  }
  placed = sharding.place_batch(batch, mesh, axis=axis)
  np.testing.assert_array_equal(placed["x"], batch["x"])
  for leaf in jax.tree.leaves(placed):
    shards = leaf.addressable_shards
    assert len(shards) == 4 and {s.data.shape[axis] for s in shards} == {2}
  if axis == 0:
    assert placed["y"].sharding == sharding.over_batch(mesh)
  assert sharding.mesh_of(placed) == mesh


@pytest.mark.parametrize("axis", [0, 1])
def test_a_batch_that_does_not_divide_is_one_sentence(axis):
  sentence = "a batch of 6 does not split over 4 devices; set the batch size"
  with pytest.raises(UserError, match=sentence):
    sharding.place_batch(np.ones((6, 6, 2)), build(), axis=axis)


def test_replicated_is_whole_everywhere_and_placed_once():
  mesh = build(fsdp=2)
  tree = {"table": np.arange(6), "key": jax.random.key(3), "n": 2.5}
  placed = sharding.place_replicated(tree, mesh)
  assert placed["n"] == 2.5
  np.testing.assert_array_equal(placed["table"], tree["table"])
  assert jax.random.key_data(placed["key"]).tolist() == [0, 3]
  for leaf in jax.tree.leaves(placed):
    assert leaf.sharding.is_equivalent_to(sharding.replicated(mesh), leaf.ndim)
    assert {s.data.shape for s in leaf.addressable_shards} == {leaf.shape}
  again = sharding.place_replicated(placed, mesh)
  assert all(again[name] is placed[name] for name in tree)  # no copy of a data set
  split = sharding.place_batch(np.arange(8), mesh)
  whole = sharding.place_replicated(split, mesh)
  assert whole.addressable_shards[0].data.shape == (8,)
