"""Activation quantizers, inserted behind the taps of a network."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.errors import UserError
from jaxvision.layers import insertion, transforms
from jaxvision.layers import quantization as layers
from jaxvision.layers.insertion import Inserted
from jaxvision.models.cnn import CNN
from jaxvision.ops import quantization
from jaxvision.ops.quantizers import make_scheme

KEY = jax.random.key(0)
X = jax.random.normal(jax.random.key(1), (6, 8, 8, 1))
PLACES = ["pool1", "pool2"]  # conv, norm, relu, pool, quantizer
ENTRY = {"at": "pool.", "kind": "quantize", "name": "quantizer"}


def network(**fields):
  rules = transforms.make_rules([{**ENTRY, **fields}])
  return Inserted(CNN(widths=(4, 5), dense_width=6), rules)


def init(net):
  return jax.jit(net.init)(KEY, X)


def features(net, variables, names=PLACES, x=X, train=False):
  mutable = ["batch_stats"] if train else []

  def run(variables, x):
    return insertion.features(net, variables, x, names, train=train, mutable=mutable)

  return jax.jit(run)(variables, x)[1]


def plain(variables):
  return {k: variables[k] for k in ("params", "batch_stats")}


def owned(params, place):
  return params[place]["quantizer"]["quantizer"]


def test_init_fits_each_place_to_what_it_sees():
  net = network()
  variables = init(net)
  seen = features(net.model, plain(variables))
  for place in PLACES:
    expected = quantization.init_quantizer(seen[place], (0, 1, 2, 3))._asdict()
    chex.assert_trees_all_close(
      owned(variables["params"], place), expected, rtol=1e-4, atol=1e-5
    )
  schedule = variables["schedule"]
  chex.assert_trees_all_equal(schedule["pool1"], {"quantizer": {"temperature": 1.0}})
  assert set(schedule) == set(PLACES)
  assert "calibration" not in variables


def test_inference_is_hard_and_needs_no_temperature():
  net = network()
  variables = plain(init(net))
  seen = features(net, variables)
  for place in PLACES:
    alpha = owned(variables["params"], place)["alpha"]
    expected = alpha * jnp.arange(4.0)
    assert np.isin(seen[place], expected).all() and len(np.unique(seen[place])) > 2


def test_training_is_soft_at_the_given_temperature():
  net = network()
  fresh = init(net)
  seen = features(net.model, plain(fresh), train=True)
  own = owned(fresh["params"], "pool1")
  for temperature in (1.0, 20.0):
    expected = quantization.soft_quantize(
      seen["pool1"], **own, levels=(0, 1, 2, 3), temperature=temperature
    )
    found = features(net, layers.with_temperature(fresh, temperature), train=True)
    chex.assert_trees_all_close(found["pool1"], expected, atol=1e-5)


def test_soft_inference_on_request():
  net, soft = network(), network(soft_inference=True)
  variables = layers.with_temperature(init(net), 2.0)
  assert not jnp.allclose(soft.apply(variables, X), net.apply(variables, X))
  sharp = layers.with_temperature(variables, 1e6)
  found, hard = soft.apply(sharp, X), net.apply(sharp, X)
  chex.assert_trees_all_close(found, hard, rtol=1e-4, atol=1e-4)


def test_gradients_reach_quantizers_and_one_program_serves_all_temperatures():
  net = network()
  variables = init(net)
  chex.clear_trace_counter()

  @jax.jit
  @chex.assert_max_traces(1)
  def step(variables, epoch):
    temperature = quantization.annealed_temperature(epoch, rate=5.0)

    def loss(params):
      now = layers.with_temperature({**variables, "params": params}, temperature)
      logits, _ = net.apply(now, X, train=True, mutable=["batch_stats"])
      return jnp.sum(jnp.sin(logits))

    return jax.value_and_grad(loss)(variables["params"])

  losses = []
  for epoch in (1, 2, 3):
    value, grads = step(variables, epoch)
    losses.append(float(value))
  assert len(set(losses)) == 3
  for place in PLACES:
    slope = owned(grads, place)
    assert slope["alpha"] != 0 and slope["beta"] != 0 and not slope["biases"].any()
  assert jnp.abs(grads["conv1"]["kernel"]).max() > 0


def test_calibration_refits_all_places_on_the_float_network():
  net = network()
  variables = init(net)
  params = jax.tree.map(lambda p: p + 0.1, variables["params"])
  batch = 3.0 * X[:4]
  fit = jax.jit(lambda v, x: layers.calibrate(net, v, x))
  fitted = fit({**variables, "params": params}, batch)
  chex.assert_trees_all_equal_shapes_and_dtypes(fitted, params)
  chex.assert_trees_all_equal(fitted["conv1"], params["conv1"])
  seen = features(net.model, {**plain(variables), "params": params}, x=batch)
  for place in PLACES:
    expected = quantization.init_quantizer(seen[place], (0, 1, 2, 3))._asdict()
    chex.assert_trees_all_close(owned(fitted, place), expected, rtol=1e-4, atol=1e-5)
    largest = jnp.abs(owned(fitted, place)["beta"] * seen[place]).max()
    np.testing.assert_allclose(largest, 1.25 * 3, rtol=1e-5)


def test_training_without_a_temperature_is_refused():
  net = network()
  variables = init(net)
  del variables["schedule"]
  with pytest.raises(
    UserError, match=r"pool1/quantizer trains without a temp.*schedule"
  ):
    net.apply(variables, X, train=True, mutable=["batch_stats"])
  chex.assert_trees_all_equal(layers.with_temperature(variables, 3.0), variables)


@pytest.mark.parametrize("name", ["ste", "dorefa", "pact", "lsq", "lq_nets"])
def test_baselines_are_inserted_alike_and_need_no_temperature(name):
  net = network(quantizer=name, levels=[0, 1, 2, 3])
  variables = init(net)
  assert "schedule" not in variables
  owns = make_scheme(name, "a2", target="activations").owns
  place = variables["params"].get("pool1", {"quantizer": {"quantizer": {}}})
  assert set(place["quantizer"]["quantizer"]) == set(owns)

  for train in (True, False):
    y = features(net, variables, train=train)["pool1"]
    assert 2 <= len(np.unique(y)) <= 4
  fitted = layers.calibrate(net, variables, X)
  chex.assert_trees_all_equal_shapes_and_dtypes(fitted, variables["params"])


@pytest.mark.parametrize(
  ("fields", "named"),
  [
    ({"quantizer": "twn"}, "'twn' is for weights, not activations"),
    ({"levels": "b2"}, "'b2'; choose one of"),
    ({"options": {"speed": 1}}, "no option 'speed'"),
    ({"bits": 2}, "quantize has no field 'bits'; it has quantizer, levels"),
  ],
)
def test_a_bad_entry_is_refused(fields, named):
  with pytest.raises(UserError, match=named):
    network(**fields)


def test_a_pattern_without_a_place_is_refused():
  with pytest.raises(UserError, match=r"matches no place of CNN.*pool1"):
    init(network(at="stage.*"))
