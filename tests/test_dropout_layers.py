"""Linen forms of dropout, standout and DropConnect."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from jaxvision.errors import UserError
from jaxvision.layers.dropout import (
  ContinuousDropout,
  DropConnectDense,
  StandoutDense,
  hidden_dense,
)
from jaxvision.ops import stochastic_dense as dense
from jaxvision.ops.masks import MaskSpec

KEY = jax.random.key(0)


def test_layer_equals_linen_dropout_for_a_bernoulli_mask():
  x, rngs = jnp.ones((4, 50)), {"dropout": KEY}
  ours = ContinuousDropout(MaskSpec(rate=0.3), deterministic=False)
  theirs = nn.Dropout(0.3, deterministic=False).apply({}, x, rngs=rngs)
  chex.assert_trees_all_close(ours.apply({}, x, rngs=rngs), theirs, rtol=1e-6)


def test_layer_is_deterministic_by_attribute_or_call():
  x, layer = jnp.ones((4, 5)), ContinuousDropout(MaskSpec("uniform"))
  chex.assert_trees_all_equal(layer.apply({}, x, deterministic=True), x)
  assert not jnp.allclose(layer.apply({}, x, deterministic=False, rng=KEY), x)
  with pytest.raises(ValueError, match="deterministic"):
    layer.apply({}, x)


@pytest.mark.parametrize("module", [StandoutDense, DropConnectDense])
def test_layers_have_the_parameters_of_dense(module):
  x = jnp.ones((2, 5))
  variables = module(4, deterministic=True).init(KEY, x)
  reference = nn.Dense(4).init(KEY, x)
  chex.assert_trees_all_equal_shapes_and_dtypes(variables, reference)
  noisy = module(4).apply(variables, x, False, rngs={"dropout": KEY})
  again = module(4).apply(variables, x, False, rngs={"dropout": jax.random.key(1)})
  assert not jnp.array_equal(noisy, again)
  low = module(4, deterministic=True, dtype="bfloat16")
  assert low.apply(variables, x).dtype == jnp.bfloat16


def test_layers_apply_the_functions():
  x = jnp.ones((2, 5))
  standout = StandoutDense(4, alpha=0.5, beta=0.1, deterministic=True)
  variables = standout.init(KEY, x)
  kernel, bias = (variables["params"][name] for name in ("kernel", "bias"))
  chex.assert_trees_all_close(
    standout.apply(variables, x),
    dense.standout_dense(
      None, x, kernel, bias, alpha=0.5, beta=0.1, deterministic=True
    ),
  )
  dropconnect = DropConnectDense(4, rate=0.2, act=nn.relu, deterministic=True)
  chex.assert_trees_all_close(
    dropconnect.apply(variables, x), nn.relu(x @ kernel + bias), rtol=1e-6
  )
  gaussian = DropConnectDense(4, gaussian_samples=4, deterministic=True)
  y = gaussian.apply(variables, x, rngs={"dropout": KEY})
  assert not jnp.allclose(y, x @ kernel + bias)


@pytest.mark.parametrize(
  ("kind", "options", "named"),
  [
    ("sparse", {}, "'sparse'.*plain, standout, dropconnect"),
    ("plain", {"rate": 0.5}, "rate.*none"),
    ("dropconnect", {"alpha": 1.0}, "alpha.*rate, per_example"),
  ],
)
def test_the_factory_names_what_is_wrong(kind, options, named):
  with pytest.raises(UserError, match=named):
    hidden_dense(kind, 4, act=nn.relu, train=False, options=options)
