"""Quantized networks in integers: the values of the hard network, from int8."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict
from network_support import filled

from jaxvision import models
from jaxvision.layers import integer_arithmetic, transforms
from jaxvision.layers.insertion import Inserted
from jaxvision.layers.normalization import BatchNorm
from jaxvision.layers.quantized_weights import QuantizedWeights
from jaxvision.models.mlp import MLP
from jaxvision.ops import tree_quantization
from jaxvision.ops.quantizers import QUANTIZERS, make_scheme

KEY = jax.random.key(0)
X = jax.random.uniform(jax.random.key(1), (3, 8, 8, 3))
WEIGHTS = {
  "quantization_networks": "w3pm4", "ste": "w2", "bwn": "w1", "twn": "w2",
  "dorefa": "s3", "lsq": "s3",
}  # fmt: skip
ACTIVATIONS = {"quantization_networks": "a2", "ste": "a2", "dorefa": "a3", "pact": "a3",
               "lsq": "a2"}  # fmt: skip


FITTED = ("quantization_networks", "ste")


@pytest.fixture(autouse=True)
def few_channels(monkeypatch):
  """Lets the layers of small networks count as a gain."""
  monkeypatch.setattr(integer_arithmetic, "LEAST_CHANNELS", 1)


def network(plain, x, weights="quantization_networks", activations="a2"):
  """Hard and whole forms of a network with quantizers behind its ReLUs; variables."""
  spared = {"at": "conv1/.*|dense1/.*|logits/.*", "quantizer": "none"}
  if not isinstance(plain, MLP):
    spared["at"] = "conv1/.*|logits/.*"
  quantizer = {"quantizer": weights, "levels": WEIGHTS[weights]}
  entries = [spared, {"at": ".*kernel", **quantizer}]
  own = "quantization_networks" if activations == "a2" else activations
  levels = ACTIVATIONS[own]
  place = {"at": ".*relu.", "kind": "quantize", "name": "quantize"}
  rules = transforms.make_rules([{**place, "quantizer": own, "levels": levels}])
  quantized = QuantizedWeights(plain, tree_quantization.make_rules(entries))
  hard = Inserted(quantized, rules)
  whole = Inserted(dataclasses.replace(quantized, integers=True), rules)
  return hard, whole, positive(filled(hard, x))


def positive(variables):
  """Scales above 0; the fits of quantizers would cost more to compile than all else."""
  params = flatten_dict(variables["params"])
  scales = ("alpha", "beta", "step", "clip")
  params = {p: abs(v) + 0.1 if p[-1] in scales else v for p, v in params.items()}
  return {**variables, "params": unflatten_dict(params)}


@pytest.mark.parametrize("weights", WEIGHTS)
def test_weights_of_every_grid(weights):
  hard, whole, variables = network(MLP(hidden=(7, 6, 5)), X, weights)
  expected = jax.jit(hard.apply)(variables, X)
  program = jax.jit(whole.apply).lower(variables, X)
  assert program.as_text().count("xi8>, tensor") == 2  # of dense2 and dense3
  found = program.compile()(variables, X)
  np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("activations", ACTIVATIONS)
def test_activations_of_every_grid(activations):
  hard, whole, variables = network(MLP(hidden=(7, 6, 5)), X, activations=activations)
  expected = jax.jit(hard.apply)(variables, X)
  found = jax.jit(whole.apply)(variables, X)
  np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


@pytest.fixture(scope="module")
def residual():
  """A residual network of which eight layers are quantized."""
  config = {"name": "cifar_resnet", "depth": 8, "width": 4, "option": "B"}
  return network(models.build(config), X)


def test_convolutions_and_norms(residual):
  hard, whole, variables = residual
  expected = jax.jit(hard.apply)(variables, X)
  found = jax.jit(whole.apply)(variables, X)
  np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def integer_convolutions(model, variables):
  text = jax.jit(model.apply).lower(variables, X).as_text()
  lines = [line for line in text.splitlines() if "stablehlo.convolution" in line]
  return sum("xi8>" in line for line in lines)


def test_which_convolutions_multiply_integers(residual, monkeypatch):
  hard, whole, variables = residual
  assert integer_convolutions(hard, variables) == 0
  # The shortcuts' too, but for the last one: 3x3 on a map of 2x2.
  assert integer_convolutions(whole, variables) == 7
  train = lambda v: whole.apply(v, X, train=True, mutable=["batch_stats"])
  hot = {**variables, "schedule": jax.tree.map(jnp.ones_like, variables["schedule"])}
  assert "xi8>" not in jax.jit(train).lower(hot).as_text()
  monkeypatch.setattr(integer_arithmetic, "LEAST_CHANNELS", 8)
  assert integer_convolutions(whole, variables) == 3  # those that read 4 channels left


def test_scales_are_folded_into_the_norm():
  sums = jnp.arange(24).reshape(2, 3, 4)
  variables = {
    "params": {"scale": jnp.arange(1.0, 5.0), "bias": jnp.ones(4)},
    "batch_stats": {"mean": jnp.arange(4.0), "var": jnp.arange(1.0, 5.0)},
  }
  norm = BatchNorm(use_running_average=True).bind(variables)
  unit, bias = jnp.float32(0.25), jnp.arange(4.0)
  known = integer_arithmetic.Sums(sums, unit, bias)
  found = integer_arithmetic.folded_norm(norm, known)
  np.testing.assert_allclose(found, norm(sums * unit + bias), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("target", ["weights", "activations"])
def test_grids_say_what_schemes_return(target):
  low = -1.0 if target == "weights" else 0.0
  x = jax.random.uniform(KEY, (40, 6), minval=low, maxval=1.5)
  table = WEIGHTS if target == "weights" else ACTIVATIONS
  for name, levels in table.items():
    options = {"method": "linear"} if name in FITTED else {}
    scheme = make_scheme(name, levels, target=target, **options)
    own = scheme.init(x)
    y = scheme.apply(own, x, None, False)
    multiples = np.asarray(y / scheme.grid.unit(own, x))
    np.testing.assert_allclose(multiples, np.round(multiples), atol=1e-3, err_msg=name)
    assert np.abs(np.round(multiples)).max() <= scheme.grid.most, name
  without = {n for n, family in QUANTIZERS.items() if target in family.targets}
  assert without - set(table) == ({"ttq", "lq_nets"} if target == "weights" else
                                  {"lq_nets"})  # fmt: skip


def test_levels_that_are_no_integers_have_no_grid():
  scheme = make_scheme("quantization_networks", (-0.5, 0.0, 0.5), target="weights")
  assert scheme.grid is None
