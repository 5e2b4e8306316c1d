"""Networks as NNX modules: the same outputs, gradients and statistics."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from network_support import filled, tiny

from jaxvision.interop import to_nnx
from jaxvision.layers.insertion import Inserted, Rule
from jaxvision.layers.quantized_weights import QuantizedWeights
from jaxvision.ops import tree_quantization

RATE = 0.1


class Gain(nn.Module):
  """A transform with a parameter."""

  @nn.compact
  def __call__(self, x):
    return x * self.param("gain", nn.initializers.constant(3.0), ())


@pytest.fixture(scope="module")
def network():
  """A network with batch norm, an inserted transform and dropout, and its variables."""
  plain, x = tiny("cnn", norm="batch")
  rules = (
    Rule("relu1", lambda name, train: Gain(name=name), "gain"),
    Rule(
      "relu_dense",
      lambda name, train: nn.Dropout(0.5, deterministic=not train, name=name),
      "dropout",
    ),
  )
  model = Inserted(plain, rules)
  return model, filled(model, x), x


def squares(outputs):
  return jnp.sum(outputs**2)


def test_outputs_are_those_of_the_network(network):
  model, variables, x = network
  module = to_nnx(model, variables)
  expected = jax.jit(model.apply)(variables, x)
  np.testing.assert_array_equal(nnx.jit(lambda m, x: m(x))(module, x), expected)
  kinds = {type(leaf) for _, leaf in nnx.to_flat_state(nnx.state(module))}
  assert kinds == {nnx.Param, nnx.BatchStat}


def test_what_is_inserted_comes_along(network):
  model, variables, x = network
  module = to_nnx(model, variables)
  assert (
    module.relu1["gain"]["gain"][...] == variables["params"]["relu1"]["gain"]["gain"]
  )
  doubled = jax.tree.map(lambda leaf: leaf, variables)
  doubled["params"]["relu1"]["gain"]["gain"] *= 2
  module.relu1["gain"]["gain"][...] *= 2
  np.testing.assert_array_equal(module(x), model.apply(doubled, x))


def test_a_step_is_that_of_linen(network):
  model, variables, x = network
  module = to_nnx(model, variables)
  optimizer = nnx.Optimizer(module, optax.sgd(RATE), wrt=nnx.Param)
  key = jax.random.key(3)

  @nnx.jit
  def step(module, optimizer, key):
    def loss(module):
      rngs = nnx.Rngs(dropout=key)
      return squares(module(x, train=True, rngs=rngs, mutable=["batch_stats"]))

    value, grads = nnx.value_and_grad(loss)(module)
    optimizer.update(module, grads)
    return value

  @jax.jit
  def expected_step(variables, key):
    def loss(params):
      rngs = {"dropout": nnx.Rngs(dropout=key).dropout()}
      outputs, changed = model.apply(
        {**variables, "params": params},
        x,
        train=True,
        rngs=rngs,
        mutable=["batch_stats"],
      )
      return squares(outputs), changed

    (value, changed), grads = jax.value_and_grad(loss, has_aux=True)(
      variables["params"]
    )
    moved = jax.tree.map(lambda p, g: p - RATE * g, variables["params"], grads)
    return value, {"params": moved, **changed}

  value = step(module, optimizer, key)
  expected, after = expected_step(variables, key)
  np.testing.assert_allclose(value, expected, rtol=1e-5)
  params, statistics = nnx.state(module, nnx.Param), nnx.state(module, nnx.BatchStat)
  chex.assert_trees_all_close(nnx.to_pure_dict(params), after["params"], rtol=1e-5)
  chex.assert_trees_all_close(
    nnx.to_pure_dict(statistics), after["batch_stats"], rtol=1e-5
  )
  assert not np.allclose(statistics["norm1"]["mean"][...], 0)


def test_weights_stay_quantized():
  plain, x = tiny("mlp")
  entries = [{"at": "dense1/kernel", "quantizer": "bwn", "levels": "w1"}]
  model = QuantizedWeights(plain, tree_quantization.make_rules(entries))
  variables = model.fit(filled(plain, x))
  found = to_nnx(model, variables)(x)
  np.testing.assert_array_equal(found, model.apply(variables, x))
  assert not np.allclose(found, plain.apply(variables, x))
