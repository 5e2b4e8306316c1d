"""Features of a model on request, by path."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from jaxvision.errors import UserError
from jaxvision.layers.insertion import Inserted, Rule, features
from jaxvision.layers.tap import Tap

KEY = jax.random.key(0)
X = jnp.linspace(-1.0, 1.0, 12).reshape(3, 4)


class Block(nn.Module):
  @nn.compact
  def __call__(self, x, train=False):
    x = nn.BatchNorm(use_running_average=not train, name="norm")(x)
    return Tap(name="relu")(nn.relu(nn.Dense(4, name="dense")(x)))


class Net(nn.Module):
  @nn.compact
  def __call__(self, x, train=False):
    x = Block(name="block0")(x, train)
    x = nn.remat(Block, static_argnums=2)(name="block1")(x, train)
    return nn.Dense(2, name="logits")(x)


class Double(nn.Module):
  @nn.compact
  def __call__(self, x):
    return 2.0 * x


NET = Net()
DOUBLED = Inserted(
  NET, (Rule("block./relu", lambda name, train: Double(name=name), "double"),)
)
VARIABLES = jax.jit(NET.init)(KEY, X)
NAMES = ["block1/relu", "block0/relu", "block1"]


def test_features_are_what_the_next_layer_sees():
  for model in (NET, DOUBLED):  # of an insertion, the value behind it
    outputs, values = features(model, VARIABLES, X, NAMES)
    assert list(values) == NAMES
    chex.assert_trees_all_close(outputs, model.apply(VARIABLES, X))
    logits = nn.Dense(2).apply(
      {"params": VARIABLES["params"]["logits"]}, values[NAMES[0]]
    )
    chex.assert_trees_all_close(outputs, logits, rtol=1e-6)
    jitted = jax.jit(lambda v, x, model=model: features(model, v, x, NAMES))
    chex.assert_trees_all_close(jitted(VARIABLES, X), (outputs, values), rtol=1e-5)


def test_insertion_shows_in_the_features():
  names = ["block0/relu", "block0/relu/double"]
  plain = features(NET, VARIABLES, X, names[:1])[1]
  doubled = features(DOUBLED, VARIABLES, X, names)[1]
  chex.assert_trees_all_close(doubled[names[0]], 2.0 * plain[names[0]])
  chex.assert_trees_all_equal(doubled[names[1]], doubled[names[0]])


def test_features_come_with_changed_collections():
  (outputs, changed), values = features(
    NET, VARIABLES, X, ["block0/relu"], train=True, mutable=["batch_stats"]
  )
  expected = NET.apply(VARIABLES, X, train=True, mutable=["batch_stats"])
  chex.assert_trees_all_close((outputs, changed), expected, rtol=1e-6)
  assert values["block0/relu"].shape == (3, 4)


def test_features_pass_gradients_out_of_a_remat_block():
  def loss(params):
    variables = {**VARIABLES, "params": params}
    return features(NET, variables, X, ["block1/relu"])[1]["block1/relu"].sum()

  gradient = jax.jit(jax.grad(loss))(VARIABLES["params"])
  assert jnp.any(gradient["block0"]["dense"]["kernel"] != 0)
  assert jnp.all(gradient["logits"]["kernel"] == 0)


def test_no_names_give_no_features():
  assert features(NET, VARIABLES, X, [])[1] == {}


def test_an_unknown_feature_is_refused():
  with pytest.raises(UserError, match=r"'relu9' is no place.*block0/relu"):
    features(NET, VARIABLES, X, ["relu9"])
