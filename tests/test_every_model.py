"""All networks that `models.build` knows: forward, backward, dtypes, names, remat."""

import functools

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest
from flax.traverse_util import flatten_dict
from network_support import KEY, TINY, filled, tiny

from jaxvision import models
from jaxvision.layers import insertion
from jaxvision.layers.insertion import Inserted, Rule
from jaxvision.layers.transforms import make_rules

REMAT = ("cifar_resnet", "resnet", "wide_resnet", "mobilenet", "mobilenet_v2")
DETECTORS = ("gtan", "ahernet")  # their outputs are of many kinds
LOW = tuple(name for name in TINY if name not in DETECTORS)


def test_every_model_is_tested():
  assert set(TINY) == set(models.MODELS)


def total(model, x, train, variables, key=KEY):
  """Sum of squares of all outputs, and the variables that changed."""
  outputs, changed = model.apply(
    variables, x, train=train, mutable=["batch_stats"], rngs={"dropout": key}
  )
  floats = [
    y for y in jax.tree.leaves(outputs) if jnp.issubdtype(y.dtype, jnp.floating)
  ]
  return sum(jnp.sum(y**2) for y in floats), changed


def gradients(model, x):
  """Jitted gradients of `total` by the parameters, in training."""

  def loss(params, variables, key):
    return total(model, x, True, {**variables, "params": params}, key)

  grad = jax.grad(loss, has_aux=True)
  return jax.jit(lambda variables, key=KEY: grad(variables["params"], variables, key))


@pytest.mark.parametrize("name", TINY)
def test_forward_and_backward(name):
  model, x = tiny(name)
  variables = filled(model, x)
  grads, changed = gradients(model, x)(variables)
  chex.assert_trees_all_equal_shapes(grads, variables["params"])
  leaves = jax.tree.leaves(grads)
  assert all(jnp.isfinite(leaf).all() for leaf in leaves)
  assert any(jnp.any(leaf != 0) for leaf in leaves)
  for path, before in flatten_dict(variables.get("batch_stats", {})).items():
    after = flatten_dict(changed["batch_stats"])[path]
    assert not jnp.array_equal(before, after), path
  value, same = jax.jit(functools.partial(total, model, x, False))(variables)
  assert jnp.isfinite(value)
  chex.assert_trees_all_equal(
    same.get("batch_stats", {}), variables.get("batch_stats", {})
  )


@pytest.mark.parametrize("name", LOW)
def test_bfloat16_computes_low_and_stores_high(name):
  model, x = tiny(name, dtype="bfloat16")
  variables = jax.eval_shape(model.init, KEY, x)
  assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(variables))
  taps = [path for path in insertion.places(model, x) if "relu" in path]
  run = lambda v: insertion.features(model, v, x, taps)
  logits, features = jax.eval_shape(run, variables)
  assert logits.dtype == jnp.float32
  assert {value.dtype for value in features.values()} == {jnp.dtype("bfloat16")}


@pytest.mark.parametrize("name", sorted(set(LOW) - {"cnn", "mlp"}))
def test_a_trunk_is_the_network_without_logits(name):
  whole, x = tiny(name)
  trunk = whole.clone(classes=0)
  left = dict(jax.eval_shape(whole.init, KEY, x)["params"])
  del left["logits"]
  found = jax.eval_shape(trunk.init, KEY, x)["params"]
  chex.assert_trees_all_equal_shapes_and_dtypes(found, left)


@pytest.mark.parametrize("name", REMAT)
def test_remat_changes_no_name(name):
  plain, x = tiny(name)
  saving = plain.clone(remat=True)
  assert insertion.places(saving, x) == insertion.places(plain, x)
  expected = jax.eval_shape(plain.init, KEY, x)
  chex.assert_trees_all_equal_shapes(jax.eval_shape(saving.init, KEY, x), expected)


DROPOUT = [{"at": "stage1/block0/relu1", "kind": "continuous_dropout"}]


def test_remat_changes_no_number():
  plain, x = tiny("cifar_resnet")
  rules = make_rules(DROPOUT)
  plain, saving = (Inserted(net, rules) for net in (plain, plain.clone(remat=True)))
  variables, grads = filled(plain, x), gradients(saving, x)
  expected = gradients(plain, x)(variables)
  chex.assert_trees_all_close(grads(variables), expected, rtol=1e-4, atol=1e-5)
  noisy, _ = grads(variables, jax.random.key(3))
  assert not jnp.allclose(noisy["conv1"]["kernel"], expected[0]["conv1"]["kernel"])


def test_remat_saves_activations():
  """The backward pass convolves again, so the step holds more convolutions."""
  plain, x = tiny("cifar_resnet")
  variables = jax.eval_shape(plain.init, KEY, x)

  def convolutions(model):
    step = jax.jit(jax.grad(lambda v: total(model, x, True, v)[0]))
    return step.lower(variables).as_text().count("stablehlo.convolution")

  assert convolutions(plain.clone(remat=True)) > convolutions(plain)


class Gain(nn.Module):
  """A transform with a parameter."""

  @nn.compact
  def __call__(self, x):
    return x * self.param("gain", nn.initializers.constant(3.0), ())


@pytest.mark.parametrize("remat", [False, True])
def test_transforms_enter_a_residual_network(remat):
  plain, x = tiny("cifar_resnet", remat=remat)
  rule = Rule(r"stage\d/block0/relu2", lambda name, train: Gain(name=name), "gain")
  model = Inserted(plain, (rule,))
  assert insertion.inserted_where(model, x)["gain"] == [
    f"stage{i}/block0/relu2" for i in (1, 2, 3)
  ]
  variables = filled(model, x)
  grads, _ = gradients(model, x)(variables)
  assert grads["stage2"]["block0"]["relu2"]["gain"]["gain"] != 0
  # Depth 8 has one block a stage: the first one's output enters the second as it is.
  run = lambda m, v: insertion.features(m, v, x, ["stage1"])[1]["stage1"]
  bare = {
    "params": without(variables["params"]),
    "batch_stats": variables["batch_stats"],
  }
  gain = variables["params"]["stage1"]["block0"]["relu2"]["gain"]["gain"]
  expected = gain * jax.jit(functools.partial(run, plain))(bare)
  found = jax.jit(functools.partial(run, model))(variables)
  chex.assert_trees_all_close(found, expected, rtol=1e-5)
  outside = jax.jit(plain.apply)(bare, x)  # nothing of the insertion stays behind
  assert not jnp.allclose(outside, jax.jit(model.apply)(variables, x))


def without(params):
  """Parameters without those of the transform."""
  return {
    name: without(value) if isinstance(value, dict) else value
    for name, value in params.items()
    if name != "relu2"
  }
