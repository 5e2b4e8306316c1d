"""Coders: the authors' arrays and sizes, any number of axes, adapters by name."""

import json
import pathlib

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util
from flax.core import FrozenDict
from network_support import KEY, close

from jaxvision.errors import UserError
from jaxvision.interop.torch import LEAVES
from jaxvision.models.coders import Adapters, AutoEncoder, Coder, Connector

SIZES = json.loads(
  (pathlib.Path(__file__).parent / "golden" / "iekd_param_counts.json").read_text()
)
MODULES = {
  "coder_bn": Coder(4),
  "coder_nobn": Coder(4, norm=False),
  "ae": AutoEncoder(4),
}
GROUPS = [(tag, mode) for tag in MODULES for mode in ("eval", "train")]
GROUPS.remove(("coder_nobn", "train"))  # nothing differs without batch norm


def last(x):
  return jnp.moveaxis(jnp.asarray(x), 1, -1)


def theirs(path, norm):
  """The authors' name of a leaf of a coder, as "encoder.layers.1.weight"."""
  *outer, module, leaf = path
  index = int(module[-1]) - 1
  number = 3 * index + (1 if module.startswith("conv") else 2) if norm else 2 * index
  return ".".join([*outer, "layers", str(number), LEAVES[leaf]])


def from_torch(spec, arrays, prefix, norm):
  """A tree like `spec` of the authors' arrays."""
  flat = {}
  for path in traverse_util.flatten_dict(dict(spec)):
    value = arrays[prefix + theirs(path, norm)]
    flat[path] = value.transpose(2, 3, 1, 0) if value.ndim == 4 else value
  return traverse_util.unflatten_dict(flat)


@pytest.mark.parametrize("tag, mode", GROUPS)
def test_coders_agree_with_the_authors(golden, tag, mode):
  arrays, module, norm = golden("iekd"), MODULES[tag], tag != "coder_nobn"
  x = last(arrays[f"{tag}/x"])
  spec = jax.eval_shape(module.init, KEY, x)
  variables = {
    k: from_torch(v, arrays, f"{tag}/params/", norm) for k, v in spec.items()
  }
  names = ["factor", "recon"] if tag == "ae" else ["y"]
  weights = [last(arrays[f"{tag}/g_{name}"]) for name in names]

  @jax.jit
  def run(params, x):
    def weighted(params, x):
      given = {**variables, "params": params}
      out, changed = module.apply(given, x, mode == "train", mutable=["batch_stats"])
      outputs = out if tag == "ae" else (out,)
      pairs = zip(outputs, weights, strict=True)
      return sum(jnp.sum(y * g) for y, g in pairs), (outputs, changed)

    return jax.grad(weighted, (0, 1), has_aux=True)(params, x)

  (gparams, gx), (outputs, changed) = run(variables["params"], x)
  for name, y in zip(names, outputs, strict=True):
    assert close(y, last(arrays[f"{tag}/{mode}/{name}"]), 1e-5)
  assert close(gx, last(arrays[f"{tag}/{mode}/gx"]), 1e-5)
  expected = from_torch(spec["params"], arrays, f"{tag}/{mode}/gparams/", norm)
  for a, b in zip(*map(jax.tree.leaves, (gparams, expected)), strict=True):
    assert close(a, b, 1e-5)
  if mode == "train":
    prefix = f"{tag}/train/new_stats/"
    expected = from_torch(spec["batch_stats"], arrays, prefix, norm)
    chex.assert_trees_all_close(changed["batch_stats"], expected, rtol=1e-5, atol=1e-6)


def size(module, shape):
  x = jax.ShapeDtypeStruct(shape, jnp.float32)
  params = jax.eval_shape(module.init, KEY, x)["params"]
  return sum(leaf.size for leaf in jax.tree.leaves(params))


@pytest.mark.parametrize(
  "name", [n for n in SIZES if n.startswith(("auto_", "coder_"))]
)
def test_coders_have_the_authors_sizes(name):
  kind, norm, channels, width = name.rsplit("_", 3)
  module = {"auto_encoder": AutoEncoder, "coder": Coder}[kind]
  found = size(module(int(width), norm=norm == "bn"), (1, 8, 8, int(channels)))
  assert found == SIZES[name]


@pytest.mark.parametrize("shape", [(2, 5), (2, 6, 5), (2, 4, 3, 5)])
@pytest.mark.parametrize("norm", [True, False])
def test_coders_take_any_number_of_axes(shape, norm):
  x = jax.random.normal(KEY, shape)
  module = AutoEncoder(3, norm=norm)
  variables = module.init(KEY, x)
  factor, recon = module.apply(variables, x)
  assert factor.shape == (*shape[:-1], 3) and recon.shape == shape
  assert ("batch_stats" in variables) == norm
  out, _ = Connector(7, norm=norm).init_with_output(KEY, x)
  assert out.shape == (*shape[:-1], 7)


def test_initial_kernels_are_drawn_as_the_authors_do():
  kernel = Coder(64).init(KEY, jnp.zeros((1, 4, 4, 64)))["params"]["conv3"]["kernel"]
  assert np.std(kernel) == pytest.approx(np.sqrt(2 / (9 * 64)), rel=0.02)


def test_adapters_leave_other_features_alone():
  x = {"a": jnp.ones((2, 3, 3, 4)), "b": jnp.ones((2, 5))}
  module = Adapters(FrozenDict({"a": 6}), kind="connector")
  out, variables = module.init_with_output(KEY, x, True)
  assert out["a"].shape == (2, 3, 3, 6) and out["b"] is x["b"]
  assert set(variables["params"]) == {"a"}
  with pytest.raises(UserError, match="kind is 'dense'; choose one of coder"):
    Adapters(FrozenDict({"a": 6}), kind="dense").init(KEY, x)
