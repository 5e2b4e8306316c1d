"""The MLP and the CNN: parameters, shapes, names, dtypes, configs."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from jaxvision import models
from jaxvision.errors import UserError
from jaxvision.layers import insertion
from jaxvision.layers.transforms import make_rules
from jaxvision.models.cnn import CNN
from jaxvision.models.mlp import MLP, kernel_init

KEY = jax.random.key(0)
RNGS = {"dropout": jax.random.key(1)}
DIGITS = jax.random.uniform(jax.random.key(2), (4, 8, 8, 1))
DENSE = ("plain", "standout", "dropconnect")


def init(model, x):
  return jax.jit(model.init)(KEY, x)


@pytest.mark.parametrize("dense", DENSE)
def test_the_mnist_network_has_its_published_size(dense):
  x = jax.ShapeDtypeStruct((2, 28, 28, 1), jnp.float32)
  shapes = jax.eval_shape(MLP(dense=dense).init, KEY, x)
  sizes = [leaf.size for leaf in jax.tree.leaves(shapes["params"])]
  assert sum(sizes) == 1_276_810
  assert set(shapes["params"]) == {"dense1", "dense2", "logits"}


def test_dropout_adds_no_parameters():
  entries = [{"at": "input|relu.", "kind": "continuous_dropout"}]
  net = MLP(hidden=(16, 16))
  inserted = insertion.Inserted(net, make_rules(entries))
  chex.assert_trees_all_equal(init(inserted, DIGITS), init(net, DIGITS))
  assert insertion.inserted_where(inserted, DIGITS) == {
    "continuous_dropout": ["input", "relu1", "relu2"]
  }


def test_mlp_computes_dense_layers_and_activations():
  for activation, act in (("relu", nn.relu), ("sigmoid", nn.sigmoid)):
    net = MLP(hidden=(6,), classes=3, activation=activation)
    variables = init(net, DIGITS)
    dense, logits = (variables["params"][name] for name in ("dense1", "logits"))
    hidden = act(DIGITS.reshape(4, 64) @ dense["kernel"] + dense["bias"])
    expected = hidden @ logits["kernel"] + logits["bias"]
    chex.assert_trees_all_close(net.apply(variables, DIGITS), expected, rtol=1e-5)
    assert f"{activation}1" in insertion.places(net, DIGITS)


@pytest.mark.parametrize("activation,factor", [("relu", 1), ("sigmoid", 4)])
def test_initial_weights_fill_the_stated_range(activation, factor):
  kernel = kernel_init("glorot_uniform", activation)(KEY, (300, 200))
  limit = factor * (6 / 500) ** 0.5
  np.testing.assert_allclose(jnp.abs(kernel).max(), limit, rtol=1e-3)
  np.testing.assert_allclose(kernel.std(), limit / 3**0.5, rtol=0.01)
  normal = kernel_init("he_normal", activation)(KEY, (300, 200))
  np.testing.assert_allclose(normal.std(), (2 / 300) ** 0.5, rtol=0.02)


@pytest.mark.parametrize("shape", [(8, 8, 1), (28, 28, 1), (32, 32, 3)])
def test_cnn_takes_small_images(shape):
  x = jax.ShapeDtypeStruct((2, *shape), jnp.float32)
  places = insertion.places(CNN(classes=7), x)
  height = shape[0]
  assert places["conv1"] == (2, height, height, 32)
  assert places["pool2"] == (2, height // 4, height // 4, 64)
  assert places["relu_dense"] == (2, 128) and places["logits"] == (2, 7)
  taps = ["input", "relu1", "pool1", "relu2", "pool2", "relu_dense"]
  layers = ["conv1", "norm1", "conv2", "norm2", "dense", "logits"]
  assert sorted(places) == sorted(taps + layers)


def test_stages_of_the_cnn_may_have_kernels_of_their_own():
  x = jax.ShapeDtypeStruct((2, 32, 32, 1), jnp.float32)
  small = CNN(widths=(8, 16), kernels=(5, 3), dense_width=64, norm="none")
  params = jax.eval_shape(small.init, KEY, x)["params"]
  assert params["conv1"]["kernel"].shape == (5, 5, 1, 8)
  assert params["conv2"]["kernel"].shape == (3, 3, 8, 16)
  assert insertion.places(small, x)["pool2"] == (2, 8, 8, 16)
  same = jax.eval_shape(CNN(kernels=(5,)).init, KEY, x)["params"]
  assert {same[f"conv{i}"]["kernel"].shape[:2] for i in (1, 2)} == {(5, 5)}


def test_cnn_without_norm_has_biases_and_no_statistics():
  x = jax.ShapeDtypeStruct((2, 8, 8, 1), jnp.float32)
  plain = jax.eval_shape(CNN(norm="none").init, KEY, x)
  assert set(plain) == {"params"} and "bias" in plain["params"]["conv1"]
  normed = jax.eval_shape(CNN().init, KEY, x)
  assert set(normed) == {"params", "batch_stats"}
  assert "bias" not in normed["params"]["conv1"]


@pytest.mark.parametrize("dense", DENSE)
@pytest.mark.parametrize(
  "net", [MLP(hidden=(8,)), CNN(widths=(4,), dense_width=8)], ids=["mlp", "cnn"]
)
def test_noise_of_the_dense_layer_follows_train(net, dense):
  variables = init(net, DIGITS)
  noisy = net.clone(dense=dense)
  step = jax.jit(
    lambda v, rngs: noisy.apply(
      v, DIGITS, train=True, rngs=rngs, mutable=["batch_stats"]
    )[0]
  )
  a, b = step(variables, RNGS), step(variables, {"dropout": KEY})
  assert jnp.array_equal(a, b) == (dense == "plain")
  chex.assert_shape(noisy.apply(variables, DIGITS), (4, 10))


def test_options_reach_the_dense_layer():
  net = MLP(hidden=(8,), dense="dropconnect", dense_options={"rate": 0.0})
  variables = init(net, DIGITS)
  y = net.apply(variables, DIGITS, train=True, rngs=RNGS)
  chex.assert_trees_all_close(y, net.apply(variables, DIGITS), rtol=1e-6)
  gaussian = net.clone(dense_options={"rate": 0.5, "gaussian_samples": 3})
  assert not jnp.array_equal(y, gaussian.apply(variables, DIGITS, rngs=RNGS))


@pytest.mark.parametrize("dense", DENSE)
@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_bfloat16_computes_low_and_stores_high(name, dense):
  net = models.build({"name": name, "dense": dense, "dtype": "bfloat16"})
  variables = jax.eval_shape(net.init, KEY, DIGITS)
  assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(variables))
  tap = "relu1" if name == "mlp" else "relu_dense"
  run = lambda v: insertion.features(net, v, DIGITS, [tap])
  logits, features = jax.eval_shape(run, variables)
  assert features[tap].dtype == jnp.bfloat16 and logits.dtype == jnp.float32


def test_cnn_normalizes_by_the_batch_in_training_only():
  net = CNN(widths=(4,), dense_width=8)
  variables = init(net, DIGITS)
  run = lambda v, train: net.apply(v, DIGITS, train=train, mutable=["batch_stats"])
  trained, changed = jax.jit(run, static_argnums=1)(variables, True)
  evaluated, same = jax.jit(run, static_argnums=1)(variables, False)
  assert not jnp.allclose(trained, evaluated)
  before, after = variables["batch_stats"], changed["batch_stats"]
  assert not jnp.allclose(before["norm1"]["mean"], after["norm1"]["mean"])
  chex.assert_trees_all_equal(same["batch_stats"], before)


def test_gradients_are_finite_and_reach_every_parameter():
  net = CNN(widths=(4,), dense_width=8)
  variables = init(net, DIGITS)

  def loss(params):
    logits, _ = net.apply(
      {**variables, "params": params}, DIGITS, train=True, mutable=["batch_stats"]
    )
    return jnp.sum(logits**2)

  for leaf in jax.tree.leaves(jax.jit(jax.grad(loss))(variables["params"])):
    assert jnp.isfinite(leaf).all() and jnp.any(leaf != 0)


@pytest.mark.parametrize("wrap", [dict, ConfigDict])
def test_build_takes_fields_from_a_config(wrap):
  config = wrap({"name": "mlp", "hidden": [7], "dense_options": {"rate": 0.1}})
  net = models.build(config)
  assert isinstance(net, MLP)
  assert tuple(net.hidden) == (7,) and net.dense_options["rate"] == 0.1
  hash(net)  # a static argument of jit


@pytest.mark.parametrize(
  ("config", "named"),
  [
    ({"name": "lenet"}, "'lenet'; choose one of cnn, mlp"),
    ({}, "None"),
    ({"name": "mlp", "width": 3}, "'width', which mlp lacks; it has hidden, classes"),
  ],
)
def test_build_names_what_is_wrong(config, named):
  with pytest.raises(UserError, match=named):
    models.build(config)


@pytest.mark.parametrize(
  ("net", "named"),
  [
    (MLP(activation="tanh"), "'tanh'; choose one of relu, sigmoid"),
    (MLP(initializer="zeros"), "'zeros'"),
    (MLP(dense="sparse"), "'sparse'"),
    (CNN(norm="layer"), "'layer'; choose batch or none"),
    (
      CNN(kernels=(5, 3, 3)),
      "kernels has 3 numbers; give one, or one for each of the 2",
    ),
    (CNN(widths=(4, 4, 4, 4)), "16x16 pixels or more; these have 8x8"),
  ],
)
def test_a_bad_field_is_refused(net, named):
  with pytest.raises(UserError, match=named):
    net.init(KEY, DIGITS)
