"""STIGCN's switches, initial values and laws."""

import re

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from network_support import KEY, filled, tiny

from jaxvision.errors import UserError
from jaxvision.layers import insertion
from jaxvision.models.inception import InceptionBlock
from jaxvision.models.stigcn import STIGCN
from jaxvision.ops import graphs
from jaxvision.ops.skeleton_augment import mirror_order

FIXED = graphs.inception_adjacency(graphs.spatial_adjacency(graphs.skeleton("ntu")))


def shaped(shape):
  return jax.ShapeDtypeStruct(shape, jnp.float32)


class Bound:
  """A block with its other arguments given, as `filled` wants a model."""

  def __init__(self, block, fixed):
    self.init = lambda key, x: block.init(key, x, False, fixed)


MINIATURE = {"classes": 8, "layers": (1,), "widths": (16, 16), "pools": 2}


@pytest.mark.parametrize(
  ("fields", "parameters"),
  [
    ({}, 7952),
    ({"branches": ("neighborhood",), "data_graph": "none"}, 4032),
    ({"order_mode": "khop"}, 7952),
    ({"adaptive": False}, 7952 - 2 * 4 * 625),
    ({"data_graph": "none"}, 7952 - 2 - 32 - 136),
    ({"data_graph": "branch"}, 7952 + 3 * (2 + 32 + 136)),
    ({"branches": ("joint", "high")}, 7952 - 2 * 2 * 625),
    (
      {"branches": ("joint", "high"), "branch_width": "each"},
      7952 - 2 * 2 * 625 - (3 + 16) * 8 - 2 * 2 * 8 - 2 * 8 * 16,
    ),
    ({"temporal": ("motion",)}, 7952),
    (
      {"temporal": ("motion",), "branch_width": "each"},
      7952 - (3 + 16) * 3 * 8 - 2 * 2 * 8 - 2 * 8 * 16,
    ),
    ({"paths": "sequential"}, 7952 + (16 - 3) * 3 * 16),
  ],
)
def test_switches_change_the_parameters(fields, parameters):
  model = STIGCN(**MINIATURE, **fields)
  spec = jax.eval_shape(model.init, KEY, shaped((1, 1, 32, 25, 3)))
  assert sum(leaf.size for leaf in jax.tree.leaves(spec["params"])) == parameters


def test_switches_change_the_function():
  plain, x = tiny("stigcn", dropout=0.0)
  variables = filled(plain, x)
  run = lambda **fields: jax.jit(plain.clone(**fields).apply)(variables, x)
  usual = run()
  for fields in (
    {"order_mode": "matrix"},
    {"order_mode": "khop"},
    {"branches": ("high", "bone", "chebyshev", "joint")},
  ):
    assert not jnp.allclose(run(**fields), usual, rtol=1e-3), fields
  chex.assert_trees_all_close(run(zero_init=False), usual)  # initial values alone
  chex.assert_trees_all_close(run(remat=True), usual, rtol=1e-5)


def test_a_block_starts_as_its_shortcut():
  x = jax.random.normal(KEY, (2, 25, 6, 8))
  for paths in ("parallel", "sequential"):
    block = InceptionBlock(8, paths=paths)
    run = jax.jit(lambda x, block=block: block.init_with_output(KEY, x, False, FIXED))
    y, variables = run(x)
    chex.assert_trees_all_close(y, jax.nn.relu(x), atol=1e-4)
    params = variables["params"]
    assert jnp.all(params["temporal"]["fusion_norm"]["scale"] == jnp.float32(1e-6))
  without = InceptionBlock(8, residual=False)
  params = jax.eval_shape(Bound(without, FIXED).init, KEY, x)["params"]
  assert set(params) == {"spatial", "temporal"}


def test_initial_values_follow_the_width_of_a_branch():
  block = InceptionBlock(64, data_graph="branch")
  x = jnp.zeros((1, 25, 2, 64))
  params = jax.jit(block.init, static_argnums=2)(KEY, x, False, FIXED)["params"]
  spatial, temporal = params["spatial"], params["temporal"]
  for kernel, fan_out in (
    (spatial["project"]["kernel"], 16),
    (spatial["attention"]["theta"]["kernel"], 16),
    (spatial["fusion_conv"]["kernel"], 64),
    (temporal["motion"]["kernel"], 96),
  ):
    np.testing.assert_allclose(kernel.std(), (2 / fan_out) ** 0.5, rtol=0.1)
  assert spatial["graphs"].shape == (4, 25, 25) and spatial["attention_scale"].size == 4
  np.testing.assert_array_equal(spatial["graphs"], jnp.float32(1e-6))


def test_the_joint_branch_mixes_no_joints():
  """With nothing but the fixed graph, a joint's output is of its own input alone."""
  block = InceptionBlock(4, adaptive=False, data_graph="none")
  x = jax.random.normal(KEY, (1, 25, 5, 4))
  variables = filled(Bound(block, FIXED[:1]), x)
  run = lambda x: block.apply(variables, x, False, FIXED[:1])
  moved = x.at[:, 7].add(1.0)
  changed = jnp.abs(run(moved) - run(x)).max((0, 2, 3))
  assert jnp.flatnonzero(changed).tolist() == [7]


def test_later_frames_shift():
  """Away from the borders, and without a graph of the features, time is shifted."""
  block = InceptionBlock(4, data_graph="none")
  x = jax.random.normal(KEY, (1, 25, 12, 4))
  variables = filled(Bound(block, FIXED), x)
  run = lambda x: block.apply(variables, x, False, FIXED)
  found, expected = run(x[:, :, 2:])[:, :, 2:-2], run(x)[:, :, 4:-2]
  chex.assert_trees_all_close(found, expected, rtol=1e-4, atol=1e-4)


def test_a_mirrored_body_is_seen_mirrored():
  """The tree is symmetric: joints swapped, learned graphs too, outputs are swapped."""
  swap = jnp.array(mirror_order(graphs.skeleton("ntu").names))
  block = InceptionBlock(4)
  x = jax.random.normal(KEY, (1, 25, 6, 4))
  variables = filled(Bound(block, FIXED), x)
  mirrored = jax.tree_util.tree_map_with_path(
    lambda path, leaf: leaf[:, swap][..., swap] if "graphs" in str(path) else leaf,
    variables,
  )
  run = jax.jit(lambda variables, x: block.apply(variables, x, False, FIXED))
  expected = run(variables, x)[:, swap]
  chex.assert_trees_all_close(run(mirrored, x[:, swap]), expected, rtol=1e-4, atol=1e-4)
  assert not jnp.allclose(run(variables, x[:, swap]), expected, rtol=1e-2)


@pytest.mark.parametrize("absent", [(1,), (0, 1)])
def test_masked_mean_over_persons(absent):
  """Counts who is there; where nobody is, all."""
  plain, x = tiny("stigcn", dropout=0.0)
  variables = filled(plain, x)
  x = x.at[0, jnp.array(absent)].set(0)
  run = jax.jit(
    lambda mask: insertion.features(
      plain.clone(mask_persons=mask), variables, x, ["pool", "stage2"]
    )[1],
    static_argnums=0,
  )
  masked, counted = run(True)["pool"], run(False)
  chex.assert_trees_all_close(masked[1], counted["pool"][1], rtol=1e-5)
  first = counted["stage2"][0].mean((0, 1))  # of the first example's first person
  expected = first if absent == (1,) else counted["pool"][0]
  chex.assert_trees_all_close(masked[0], expected, rtol=1e-5)


@pytest.mark.parametrize(
  ("fields", "message"),
  [
    ({"graph": "openpose"}, "have 17 joints, but the skeleton has 18"),
    ({"pools": 3, "layers": (1, 1)}, "halves them to nothing"),
    ({"pools": 9}, "there is room for 3"),
    ({"widths": (4, 4)}, "2 stages need one more"),
    ({"branches": ("joint", "joint")}, "each once"),
    ({"temporal": ()}, "one or more"),
    ({"branches": ("knee",)}, "config.model.branches is 'knee'"),
    ({"temporal": ("speed",)}, "config.model.temporal is 'speed'"),
    ({"paths": "crossed"}, "config.model.paths is 'crossed'"),
    ({"branch_width": "half"}, "config.model.branch_width is 'half'"),
    ({"data_graph": "yes"}, "config.model.data_graph is 'yes'"),
  ],
)
def test_mistakes_are_told(fields, message):
  model, x = tiny("stigcn")
  x = x[:, :, :4] if "layers" in fields else x
  with pytest.raises(UserError, match=re.escape(message)):
    jax.eval_shape(model.clone(**fields).init, KEY, x)
