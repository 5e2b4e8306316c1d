"""The random warp inside a network."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.errors import UserError
from jaxvision.layers import insertion, transforms
from jaxvision.layers.insertion import Inserted
from jaxvision.layers.warp import RandomTransform
from jaxvision.models.cnn import CNN
from jaxvision.ops.warp import WarpSpec

KEY = jax.random.key(0)
ENTRY = {"at": "relu[12]", "kind": "random_transform", "angle": [30.0, 60.0]}
SPEC = WarpSpec(angle=(30.0, 60.0))


def network(*entries):
  model = CNN(widths=(3, 4), dense_width=5, classes=2)
  return Inserted(model, transforms.make_rules(entries))


@pytest.fixture(scope="module")
def x():
  return jnp.asarray(np.random.default_rng(0).normal(size=(2, 8, 8, 1)), jnp.float32)


@pytest.fixture(scope="module")
def variables(x):
  return network().init(KEY, x)


def test_a_config_entry_makes_the_layer():
  fields = {
    "scale": [0.8, 1.2],
    "shift": [0.1, 0.2],
    "alternate": True,
    "granularity": "sample",
    "border": "clamp",
    "interpolation": "nearest",
  }
  module = transforms.make_rule(ENTRY | fields).make("warp", True)
  assert module.spec == WarpSpec(
    (30.0, 60.0),
    (0.8, 1.2),
    (0.1, 0.2),
    alternate=True,
    granularity="sample",
    border="clamp",
    interpolation="nearest",
  )
  assert not module.deterministic
  assert transforms.make_rule(ENTRY).make("warp", False).deterministic


def test_defaults_of_an_entry_are_those_of_the_spec():
  entry = {"at": "input", "kind": "random_transform"}
  assert transforms.make_rule(entry).make("x", True).spec == WarpSpec()


@pytest.mark.parametrize(
  ("fields", "named"),
  [({"angle": [400, 0]}, "relu.*angle is"), ({"degrees": 3}, "no field 'degrees'")],
)
def test_a_bad_entry_is_refused(fields, named):
  with pytest.raises(UserError, match=named):
    transforms.make_rule(ENTRY | fields)


def test_inference_is_the_plain_network(x, variables):
  warped = network(ENTRY)
  chex.assert_trees_all_equal_shapes(warped.init(KEY, x), variables)  # no parameters
  chex.assert_trees_all_equal(warped.apply(variables, x), network().apply(variables, x))
  program = lambda model: str(jax.make_jaxpr(model.apply)(variables, x))
  assert program(warped) == program(network())


def test_training_warps_where_it_is_told(x, variables):
  warped = network(ENTRY)
  found = insertion.inserted_where(warped, x)
  assert found == {"random_transform": ["relu1", "relu2"]}

  @jax.jit
  def train(variables, key):
    return warped.apply(
      variables, x, train=True, rngs={"dropout": key}, mutable=["batch_stats"]
    )[0]

  y = train(variables, KEY)
  plain = network().apply(variables, x, train=True, mutable=["batch_stats"])[0]
  assert not jnp.allclose(y, plain)
  chex.assert_trees_all_equal(train(variables, KEY), y)
  assert not jnp.allclose(train(variables, jax.random.key(1)), y)
  gradient = jax.jit(jax.grad(lambda v: train(v, KEY).sum()))(variables)
  kernel = gradient["params"]["conv1"]["kernel"]
  assert jnp.isfinite(kernel).all() and jnp.abs(kernel).max() > 0


def test_two_places_draw_independently(x):
  # Two insertions at the input of a network that has no other effect there.
  same = jnp.broadcast_to(x[:1], x.shape)
  entries = [ENTRY | {"at": "input", "name": name} for name in ("first", "second")]

  def after(entry):
    model = network(entry)
    values = model.init(KEY, same)
    return insertion.features(
      model,
      values,
      same,
      ["input"],
      train=True,
      rngs={"dropout": KEY},
      mutable=["batch_stats"],
    )[1]["input"]

  first, second = map(after, entries)
  assert not jnp.allclose(first, second)
  chex.assert_trees_all_equal(after(entries[0]), first)


def test_draws_at_places_of_one_rule_differ():
  maps = jnp.asarray(np.random.default_rng(1).normal(size=(1, 8, 8, 1)), jnp.float32)
  rngs = {"dropout": KEY}

  class Twice(nn.Module):
    @nn.compact
    def __call__(self, x):
      return [RandomTransform(SPEC, False, name=name)(x) for name in ("a", "b")]

  a, b = Twice().apply({}, maps, rngs=rngs)
  assert not jnp.allclose(a, b)


def test_layer_is_deterministic_by_attribute_or_call(x):
  layer = RandomTransform(SPEC)
  assert layer.init(KEY, x, True) == {}
  chex.assert_trees_all_equal(layer.apply({}, x, deterministic=True), x)
  assert not jnp.allclose(layer.apply({}, x, False, rng=KEY), x)
  with pytest.raises(ValueError, match="deterministic"):
    layer.apply({}, x)
  other = RandomTransform(SPEC, False, rng_collection="transform")
  assert not jnp.allclose(other.apply({}, x, rngs={"transform": KEY}), x)
