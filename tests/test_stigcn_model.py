"""STIGCN against the authors' outputs and gradients, and its published sizes."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from network_support import KEY, close

from jaxvision import models
from jaxvision.errors import UserError
from jaxvision.interop.torch import import_state_dict
from jaxvision.layers import insertion
from jaxvision.models.inception import InceptionBlock
from jaxvision.models.stigcn import STIGCN, multiply_adds
from jaxvision.ops import graphs
from jaxvision.train.flops import count_flops

NTU = (1, 2, 300, 25, 3)
GOLDEN = {"classes": 5, "layers": (1, 1, 1), "widths": (8, 8, 16, 24), "dropout": 0.0}
FIXED = graphs.inception_adjacency(graphs.spatial_adjacency(graphs.skeleton("ntu")))
BLOCKS = {  # of the golden arrays: width, residual
  "BasicBlock_change": (16, True),
  "BasicBlock_identity": (8, True),
}


def shaped(shape):
  return jax.ShapeDtypeStruct(shape, jnp.float32)


def under(data, prefix):
  """Golden arrays below a place, by the rest of their names."""
  return {k.removeprefix(prefix): data[k] for k in data.files if k.startswith(prefix)}


def ours(x):
  """[n, c, t, v, m], or [n, c, t, v] of a block, in our order."""
  x = np.asarray(x)
  return jnp.asarray(x.transpose((0, 4, 2, 3, 1) if x.ndim == 5 else (0, 3, 2, 1)))


def block_variables(state, width, shape):
  """Weights of one block: as those of a network's, with its place before each name."""
  network = STIGCN(layers=(1,), widths=(shape[-1], width), pools=0)
  x = shaped((1, 2, 1, 25, 3))
  spec = jax.eval_shape(network.init, KEY, x)
  inside = {kind: {"stage1": tree["stage1"]} for kind, tree in spec.items()}
  renamed = {f"layer1.0.{name}": value for name, value in state.items()}
  found = import_state_dict(network, renamed, spec=inside)
  return {kind: tree["stage1"]["block0"] for kind, tree in found.items()}


def compare(found, expected, tolerance):
  """Compares gradients leaf by leaf, but for one that is zero but for rounding."""

  def one(path, a, b):
    name = jax.tree_util.keystr(path)
    if "theta']['bias" in name:
      assert jnp.abs(a).max() < 1e-5, name
    else:
      assert close(a, b, tolerance), name

  jax.tree_util.tree_map_with_path(one, found, expected)


def outcome(apply, variables, x, gy, train):
  """Output, new statistics, gradients by the parameters and the input."""

  @jax.jit
  def run(params, stats, x):
    def loss(params, x):
      y, changed = apply({"params": params, "batch_stats": stats}, x, train)
      return (y * gy).sum(), (y, changed["batch_stats"])

    return jax.grad(loss, (0, 1), has_aux=True)(params, x)

  (grads, gx), (y, stats) = run(variables["params"], variables["batch_stats"], x)
  return y, stats, grads, gx


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_is_the_authors(golden, name, mode):
  data, (width, residual) = golden("stigcn"), BLOCKS[name]
  block = InceptionBlock(width, residual=residual)
  state, x = under(data, f"{name}/params/"), ours(data[f"{name}/x"])
  load = lambda state: block_variables(state, width, x.shape)
  apply = lambda v, x, train: block.apply(v, x, train, FIXED, mutable=["batch_stats"])
  gy = ours(data[f"{name}/gy"])
  y, stats, grads, gx = outcome(apply, load(state), x, gy, mode == "train")
  assert close(y, ours(data[f"{name}/{mode}/y"]), 1e-5)
  assert close(gx, ours(data[f"{name}/{mode}/gx"]), 1e-4)
  expected = load(state | under(data, f"{name}/{mode}/gparams/"))
  compare(grads, expected["params"], 1e-4)
  if mode == "train":
    expected = load(state | under(data, f"{name}/train/new_stats/"))["batch_stats"]
    chex.assert_trees_all_close(stats, expected, rtol=1e-4, atol=1e-5)


def test_the_network_predicts_as_the_authors(golden):
  data, model = golden("stigcn"), STIGCN(**GOLDEN)
  variables = import_state_dict(model, under(data, "Model/params/"))
  run = jax.jit(model.apply)
  assert close(run(variables, ours(data["Model/x"])), data["Model/eval/y"], 1e-5)
  # An absent person, and sequences that end early.
  assert close(run(variables, ours(data["Model/empty_x"])), data["Model/empty_y"], 1e-5)


def test_the_network_trains_as_the_authors(golden):
  data, model = golden("stigcn"), STIGCN(**GOLDEN)
  state = under(data, "Model/params/")
  load = lambda state: import_state_dict(model, state)
  apply = lambda v, x, train: model.apply(v, x, train=train, mutable=["batch_stats"])
  x, gy = ours(data["Model/x"]), data["Model/gy"]
  y, stats, grads, gx = outcome(apply, load(state), x, gy, True)
  assert close(y, data["Model/train/y"], 1e-5)
  assert close(gx, ours(data["Model/train/gx"]), 1e-3)
  expected = load(state | under(data, "Model/train/gparams/"))["params"]
  compare(grads, expected, 1e-3)
  expected = load(state | under(data, "Model/train/new_stats/"))["batch_stats"]
  chex.assert_trees_all_close(stats, expected, rtol=1e-4, atol=1e-5)


def test_a_foreign_state_dict_is_refused(golden):
  state = under(golden("stigcn"), "Model/params/")
  model = STIGCN(**GOLDEN)
  lost = {k: v for k, v in state.items() if k != "layer0.spatial.PA3"}
  with pytest.raises(UserError, match=r"lacks 'layer0\.spatial\.PA3'"):
    import_state_dict(model, lost)
  wrong = state | {"layer0.spatial.PA3": np.zeros((18, 18), np.float32)}
  with pytest.raises(UserError, match="differ in shape"):
    import_state_dict(model, wrong)
  with pytest.raises(UserError, match="for which this STIGCN has no place"):
    import_state_dict(model, state | {"layer1.1.fusion.bn.bias": np.zeros(8)})
  with pytest.raises(UserError, match=r"input_norm/norm/\w+ of this STIGCN"):
    import_state_dict(STIGCN(**GOLDEN, graph="openpose"), state)
  prefixed = {f"module.{name}": value for name, value in state.items()}
  chex.assert_trees_all_equal(
    import_state_dict(model, prefixed), import_state_dict(model, state)
  )


SIZES = {  # fields, shape of the input, parameters, multiply-adds in the authors' order
  "ntu60": ({"classes": 60}, NTU, 1_596_474, 4_397_273_760),
  "ntu120": ({"classes": 120}, NTU, 1_611_894, 4_397_289_120),
  "kinetics": (
    {"classes": 400, "graph": "openpose"},
    (1, 2, 300, 18, 3),
    1_671_730,
    3_081_500_800,
  ),
}


@pytest.mark.parametrize("name", SIZES)
def test_published_sizes(name):
  fields, shape, parameters, products = SIZES[name]
  model = models.build({"name": "stigcn", **fields})
  spec = jax.eval_shape(model.init, KEY, shaped(shape))
  assert sum(leaf.size for leaf in jax.tree.leaves(spec["params"])) == parameters
  counted = {"classes": fields["classes"], "joints": shape[3]}
  assert multiply_adds(**counted) == products
  computed = count_flops(model.apply, spec, shaped(shape)) // 2
  assert computed == multiply_adds(**counted, project_first=True) < products


def test_stages_halve_time():
  places = insertion.places(STIGCN(), shaped(NTU))
  shapes = [places[name][2:] for name in ("stem", "stage1", "stage2", "stage3")]
  assert shapes == [(300, 64), (150, 64), (75, 128), (37, 256)]
  assert places["input_norm/norm"] == (1, 300, 150) and places["logits"] == (1, 60)
  assert "stage2/block0/shortcut_conv" in places
  assert "stage1/block0/shortcut_conv" not in places
  assert "stage1/block2/spatial/relu" in places
