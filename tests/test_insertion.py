"""Insertion of transforms behind places of a model, by path rules."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from jaxvision.errors import UserError
from jaxvision.layers import insertion
from jaxvision.layers.dropout import ContinuousDropout
from jaxvision.layers.insertion import Inserted, Rule
from jaxvision.layers.tap import Tap
from jaxvision.ops.masks import MaskSpec

KEY = jax.random.key(0)
RNGS = {"params": jax.random.key(1), "dropout": jax.random.key(2)}
X = jnp.linspace(-1.0, 1.0, 12).reshape(3, 4)


class Scale(nn.Module):
  """A transform with a parameter, a statistic and a call count."""

  init_value: float = 2.0

  @nn.compact
  def __call__(self, x):
    scale = self.param("scale", nn.initializers.constant(self.init_value), ())
    calls = self.variable("counts", "calls", lambda: jnp.zeros((), jnp.int32))
    if self.is_mutable_collection("counts"):
      calls.value += 1
    return x * scale


class Block(nn.Module):
  @nn.compact
  def __call__(self, x, train=False):
    return Tap(name="relu")(nn.relu(nn.Dense(4, name="dense")(x)))


class LoudBlock(Block):
  @nn.compact
  def __call__(self, x, train=False):
    return super().__call__(x, train)


class SetupBlock(nn.Module):
  def setup(self):
    self.dense, self.relu = nn.Dense(4), Tap()

  def __call__(self, x, train=False):
    return self.relu(nn.relu(self.dense(x)))


class Twice(nn.Module):
  """Calls one module twice."""

  place: type = Tap

  @nn.compact
  def __call__(self, x, train=False):
    place = self.place(name="place")
    return place(x), place(x)


class Encoder(nn.Module):
  """Has a second method, which visits a part of the places."""

  def setup(self):
    self.block0, self.logits = Block(), nn.Dense(2)

  def __call__(self, x, train=False):
    return self.logits(self.encode(x, train))

  def encode(self, x, train=False):
    return self.block0(x, train)


class Net(nn.Module):
  """Blocks of several styles under a common pattern of names."""

  blocks: tuple = (Block, SetupBlock, LoudBlock, nn.remat(Block, static_argnums=2))

  @nn.compact
  def __call__(self, x, train=False):
    for i, block in enumerate(self.blocks):
      x = block(name=f"block{i}")(x, train)
    return nn.Dense(2, name="logits")(x)


def scale_rule(pattern, name="scale", value=2.0):
  return Rule(pattern, lambda name, train: Scale(value, name=name), name)


def dropout_rule(pattern, name="dropout"):
  spec = MaskSpec("uniform")
  make = lambda name, train: ContinuousDropout(spec, deterministic=not train, name=name)
  return Rule(pattern, make, name)


def assert_counted(variables, expected):
  counts = jax.tree_util.tree_leaves_with_path(variables["counts"])
  named = {"/".join(k.key for k in path): int(value) for path, value in counts}
  assert named == expected


def test_no_rules_change_nothing():
  net = Net()
  variables = net.init(RNGS, X)
  inserted = Inserted(net, ())
  chex.assert_trees_all_equal(inserted.init(RNGS, X), variables)
  chex.assert_trees_all_equal(inserted.apply(variables, X), net.apply(variables, X))


def test_each_place_has_its_own_variables_in_every_style_of_module():
  inserted = Inserted(Net(), (scale_rule("block.|block./relu"),))
  variables = jax.jit(inserted.init)(RNGS, X)
  params = variables["params"]
  for i in range(4):
    chex.assert_trees_all_equal(params[f"block{i}"]["relu"], {"scale": {"scale": 2.0}})
    assert set(params[f"block{i}"]) == {"dense", "relu", "scale"}
  _, changed = inserted.apply(variables, X, mutable=["counts"])
  # Once in init, once in apply: super().__call__ and remat do not insert twice.
  paths = [f"block{i}{place}" for i in range(4) for place in ("", "/relu")]
  assert_counted(changed, {f"{path}/scale/calls": 2 for path in paths})


def test_insertion_computes_the_composed_function():
  inserted = Inserted(Net(blocks=(Block,)), (scale_rule("block0/relu", value=3.0),))
  variables = inserted.init(RNGS, X)
  params = variables["params"]
  hidden = nn.relu(nn.Dense(4).apply({"params": params["block0"]["dense"]}, X))
  expected = nn.Dense(2).apply({"params": params["logits"]}, 3.0 * hidden)
  for apply in (inserted.apply, jax.jit(inserted.apply)):
    chex.assert_trees_all_close(apply(variables, X), expected, rtol=1e-6)


def test_leaves_and_blocks_are_places_and_rules_keep_their_order():
  rules = (
    Rule("block0", lambda name, train: Scale(name=name), "double"),
    dropout_rule("block0"),
    scale_rule("block0/dense", value=5.0),
  )
  inserted = Inserted(Net(blocks=(Block,)), rules)
  variables = inserted.init(RNGS, X)
  assert set(variables["params"]["block0"]) == {"dense", "double"}
  y = inserted.apply(variables, X, train=True, rngs=RNGS)
  assert not jnp.array_equal(y, inserted.apply(variables, X))


def test_gradients_reach_what_is_inserted():
  inserted = Inserted(Net(), (scale_rule("block./relu"),))
  variables = inserted.init(RNGS, X)

  def loss(params):
    return jnp.sum(inserted.apply({**variables, "params": params}, X) ** 2)

  gradient = jax.jit(jax.grad(loss))(variables["params"])
  for i in range(4):
    assert gradient[f"block{i}"]["relu"]["scale"]["scale"] != 0


def test_a_module_called_twice_shares_variables_but_not_noise():
  for place in (Tap, SetupBlock):
    scaled = Inserted(Twice(place), (scale_rule("place"),))
    variables = scaled.init(RNGS, X)
    assert_counted(variables, {"place/scale/calls": 2})
    first, second = scaled.apply(variables, X)
    plain, _ = Twice(place).apply(variables, X)
    chex.assert_trees_all_close((first, second), (2.0 * plain, 2.0 * plain))
  noisy = Inserted(Twice(), (dropout_rule("place"),))
  first, second = noisy.apply({}, X, train=True, rngs=RNGS)
  assert not jnp.array_equal(first, second)
  _, values = insertion.features(noisy, {}, X, ["place"], train=True, rngs=RNGS)
  chex.assert_trees_all_equal(values["place"], second)


def test_dropout_differs_between_places_and_follows_train():
  inserted = Inserted(Net(), (dropout_rule("block./relu"),))
  variables = inserted.init(RNGS, X)
  names = [f"block{i}/relu" for i in range(4)]
  chex.assert_trees_all_equal(inserted.apply(variables, X), Net().apply(variables, X))
  _, clean = insertion.features(Net(), variables, X, names)
  step = jax.jit(
    lambda rngs: insertion.features(
      inserted, variables, X, names, train=True, rngs=rngs
    )
  )
  _, noisy = step(RNGS)
  chex.assert_trees_all_equal(noisy, step(RNGS)[1])
  ratio = noisy["block0/relu"] / clean["block0/relu"]
  ratio = ratio[clean["block0/relu"] > 0]
  assert len(jnp.unique(ratio)) == ratio.size  # a fresh mask value an element


def test_the_pattern_must_match_a_place():
  inserted = Inserted(Net(blocks=(Block,)), (scale_rule("relu"),))
  message = "'relu' matches no place of Net.*block0/relu"
  with pytest.raises(UserError, match=message):
    inserted.init(RNGS, X)
  with pytest.raises(UserError, match=message):
    inserted.apply(inserted.model.init(RNGS, X), X)


def test_another_method_need_not_visit_every_place():
  net = Encoder()
  inserted = Inserted(net, (scale_rule("block0/relu"), scale_rule("logits", "last")))
  variables = inserted.init(RNGS, X)
  y = inserted.apply(variables, X, method="encode")
  chex.assert_trees_all_close(y, 2.0 * net.apply(variables, X, method="encode"))


def test_names_are_unique():
  rules = (scale_rule("block0/relu"), scale_rule("logits"))
  with pytest.raises(UserError, match="share the name 'scale'"):
    Inserted(Net(), rules).init(RNGS, X)


def test_a_name_that_the_place_has_taken_is_refused():
  for place, name in (("block0", "relu"), ("block0/dense", "kernel")):
    inserted = Inserted(Net(), (scale_rule(place, name),))
    with pytest.raises(UserError, match=f"{name!r}: {place} already holds"):
      inserted.init(RNGS, X)


def test_places_and_insertions_are_listed_without_computing():
  spec = jax.ShapeDtypeStruct((3, 4), jnp.float32)
  net = Net(blocks=(Block, SetupBlock))
  listed = insertion.places(net, spec)
  assert listed["block1/relu"] == (3, 4) and listed["logits"] == (3, 2)
  assert list(listed)[:3] == ["block0/dense", "block0/relu", "block0"]
  inserted = Inserted(net, (dropout_rule("block./relu"), scale_rule("logits")))
  expected = {"dropout": ["block0/relu", "block1/relu"], "scale": ["logits"]}
  for _ in range(2):  # nothing is cached between calls
    assert insertion.inserted_where(inserted, spec, train=True) == expected
