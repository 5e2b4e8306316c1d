"""State dicts of torch networks become variables of ours."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch_states
from network_support import KEY, tiny
from torch_states import State

from jaxvision import models
from jaxvision.errors import UserError
from jaxvision.interop.torch import import_state_dict
from jaxvision.layers import insertion
from jaxvision.layers.transforms import make_rules
from jaxvision.models.cnn import CNN

ALEXNET = {"name": "alexnet", "widths": (2, 3, 2, 3, 2), "dense_width": 4, "classes": 5}
VGG = {"name": "vgg", "depth": 11, "width": 1, "dense_width": 3, "classes": 5}
RESNET50 = {"name": "resnet", "depth": 50, "width": 2, "classes": 5}
CASES = {  # our config, torch's state dict
  "cifar_resnet_a": (
    {"name": "cifar_resnet", "depth": 20, "width": 2},
    torch_states.cifar_resnet(3),
  ),
  "cifar_resnet_b": (
    {"name": "cifar_resnet", "depth": 8, "width": 2, "option": "B"},
    torch_states.cifar_resnet(option="B"),
  ),
  "resnet50": (RESNET50, torch_states.resnet50()),
  "resnet50_cifar": (RESNET50 | {"stem": "cifar"}, torch_states.resnet50(stem=3)),
  "wide_resnet": (
    {"name": "wide_resnet", "depth": 16, "widen": 2, "bias": False},
    torch_states.wide_resnet(2, 2),
  ),
  "alexnet": (ALEXNET, torch_states.alexnet(positions=36)),
  "vgg": (VGG, torch_states.vgg11(positions=49)),
  "vgg_bn": (
    VGG | {"norm": "batch", "flatten": False},
    torch_states.vgg11(normed=True),
  ),
  "mobilenet": ({"name": "mobilenet", "multiplier": 0.02}, torch_states.mobilenet()),
  "mobilenet_v2": (
    {"name": "mobilenet_v2", "classes": 5},
    torch_states.mobilenet_v2(),
  ),
}


@pytest.mark.parametrize("name", CASES)
def test_every_number_arrives_and_none_twice(name):
  config, state = CASES[name]
  variables = import_state_dict(models.build(config), state)
  computed = {
    key: value
    for key, value in state.items()
    if "num_batches" not in key and "sub_block" not in key
  }
  found = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(variables)])
  expected = np.concatenate([np.ravel(value) for value in computed.values()])
  np.testing.assert_array_equal(np.sort(found), np.sort(expected))


def test_kernels_keep_their_meaning():
  """A convolution and a dense layer computed in torch's layout."""
  state = torch_states.cifar_resnet()
  model = models.build({"name": "cifar_resnet", "depth": 8, "width": 2})
  variables = import_state_dict(model, state)
  x = jax.random.normal(KEY, (2, 3, 8, 8))
  names = ["conv1", "norm1", "pool"]
  logits, found = insertion.features(model, variables, jnp.moveaxis(x, 1, -1), names)
  conv = jax.lax.conv(x, jnp.asarray(state["conv1.weight"]), (1, 1), "SAME")
  chex.assert_trees_all_close(found["conv1"], jnp.moveaxis(conv, 1, -1), rtol=1e-4)
  mean, var, scale, bias = (
    state[f"bn1.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
  )
  norm = (found["conv1"] - mean) / jnp.sqrt(var + 1e-5) * scale + bias
  chex.assert_trees_all_close(found["norm1"], norm, rtol=1e-4)
  dense = found["pool"] @ state["linear.weight"].T + state["linear.bias"]
  chex.assert_trees_all_close(logits, dense, rtol=1e-4)


@pytest.mark.parametrize(
  ("config", "state", "weight", "side"),
  [
    (ALEXNET, torch_states.alexnet(positions=4), "classifier.1.linear.weight", 95),
    (VGG, torch_states.vgg11(positions=4), "classifier.0.weight", 64),
  ],
  ids=["alexnet", "vgg"],
)
def test_dense_layers_read_maps_that_torch_flattens_channels_first(
  config, state, weight, side
):
  model, x = models.build(config), jax.random.normal(KEY, (2, side, side, 3))
  spec = jax.eval_shape(model.init, KEY, x)
  variables = import_state_dict(model, state, spec=spec)
  names = ["pool5", "dense6"]
  run = jax.jit(lambda v, x: insertion.features(model, v, x, names)[1])
  found = run(variables, x)
  flat = jnp.moveaxis(found["pool5"], -1, 1).reshape(2, -1)
  bias = state[weight.replace("weight", "bias")]
  expected = flat @ state[weight].T + bias
  assert jnp.abs(flat).max() > 0
  chex.assert_trees_all_close(found["dense6"], expected, rtol=1e-4, atol=1e-4)


def test_the_prefix_of_data_parallel_is_dropped():
  model, _ = tiny("cifar_resnet")
  state = torch_states.cifar_resnet()
  prefixed = {f"module.{name}": value for name, value in state.items()}
  chex.assert_trees_all_equal(
    import_state_dict(model, prefixed), import_state_dict(model, state)
  )


def test_a_trunk_takes_a_classifiers_weights():
  config, state = CASES["resnet50"]
  model = models.build(config)
  whole = import_state_dict(model, state)
  trunk = import_state_dict(model.clone(classes=0), state)
  del whole["params"]["logits"]
  chex.assert_trees_all_equal(trunk, whole)


def test_modules_can_be_left_to_the_caller():
  config, state = CASES["resnet50"]
  model = models.build({**config, "classes": 77, "neck": True, "bias": False})
  variables = import_state_dict(model, state, leave="logits|neck")
  trunk = import_state_dict(model.clone(classes=0, neck=False), state)
  chex.assert_trees_all_equal(variables, trunk)


def test_insertions_have_no_weights_in_torch():
  net, _ = tiny("cifar_resnet")
  rules = make_rules([{"at": "relu1", "kind": "continuous_dropout"}])
  state = torch_states.cifar_resnet()
  chex.assert_trees_all_equal(
    import_state_dict(insertion.Inserted(net, rules), state),
    import_state_dict(net, state),
  )


def changed(**entries):
  state = State()
  state.update(torch_states.cifar_resnet())
  for name, value in entries.items():
    if value is None:
      del state[name]
    else:
      state[name] = value
  return state


@pytest.mark.parametrize(
  ("state", "named"),
  [
    (
      changed(**{"layer2.0.bn1.bias": None}),
      "lacks 'layer2.0.bn1.bias', which CifarResNet needs for params/stage2/block0/",
    ),
    (
      changed(**{"linear.bias": None}),
      "lacks 'fc.bias' or 'linear.bias' or 'fc.0.bias'",
    ),
    (
      changed(**{"layer3.1.conv1.weight": np.zeros((1, 1, 3, 3))}),
      "has 'layer3.1.conv1.weight' .1 such., for which this CifarResNet has no place",
    ),
    (
      changed(**{"conv1.weight": np.zeros((2, 1, 3, 3))}),
      r"'conv1.weight' has shape \(3, 3, 1, 2\) in our layout, .* has \(3, 3, 3, 2\)",
    ),
    ({}, "lacks"),
  ],
)
def test_a_foreign_state_dict_is_refused(state, named):
  model, _ = tiny("cifar_resnet")
  with pytest.raises(UserError, match=named):
    import_state_dict(model, state)


def test_a_network_without_published_weights_is_refused():
  with pytest.raises(UserError, match="no torch names are known for CNN, only for Cif"):
    import_state_dict(CNN(), {})


def test_what_torch_does_not_know_must_be_left_out():
  model = models.build(RESNET50 | {"neck": True})
  with pytest.raises(UserError, match=r"no counterpart of \w+/neck/\w+; leave"):
    import_state_dict(model, torch_states.resnet50())
