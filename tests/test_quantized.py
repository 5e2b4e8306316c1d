"""`config.quantize` and `config.init_from`, for any supervised method."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import continuous_dropout
from jaxvision.errors import UserError
from jaxvision.interop import weights as weight_files
from jaxvision.layers import quantization as layers
from jaxvision.layers.insertion import Inserted
from jaxvision.layers.quantized_weights import QuantizedWeights, quantizers
from jaxvision.methods import continuous_dropout as method
from jaxvision.methods.common import initial, quantized, supervised
from jaxvision.methods.common.quantized import Uses
from jaxvision.metrics import quantization as metrics
from jaxvision.models.mlp import MLP
from jaxvision.ops import tree_quantization as tq
from jaxvision.ops.quantization import hard_quantize, soft_quantize
from jaxvision.ops.quantizers import make_scheme

KEY = jax.random.key(0)
X = jax.random.normal(jax.random.key(1), (6, 8, 8, 1))
SPARED = {"at": "dense1/.*|logits/.*", "quantizer": "none"}
TERNARY = (SPARED, {"at": ".*kernel", "levels": "w2"})
TWO_BITS = ({"at": "relu1", "levels": "a2"},)
SMALL = {
  "data.name": "digits",
  "data.limit": 120,
  "batch_size": 40,
  "per_dispatch": 3,
  "epochs": 2.0,
  "model.hidden": (8, 8, 8),
  "mask.at": "relu2",
  "input_mask.kind": "none",
  "dependence.at": ("relu1",),
  "eval.every": 0,
  "eval.batch_size": 64,
  "log.figures": False,
}


def configure(**changes):
  config = continuous_dropout.get_config()
  config.update_from_flattened_dict({**SMALL, **changes})
  return config


def build(config):
  data = method.load(config)
  return method.build(config, data).stages[0]


def wrapped(
  soft="training", quantizer="quantization_networks", shared=False, levels="w2"
):
  scheme = make_scheme(quantizer, levels, target="weights")
  rules = (("dense1/.*|logits/.*", None), (".*kernel", scheme))
  return QuantizedWeights(MLP(hidden=(7, 7, 7)), rules, shared=shared, soft=soft)


# The network with quantized weights.


def test_quantizers_lie_beside_the_network_and_are_fitted():
  model = wrapped()
  variables = jax.jit(model.init)(KEY, X)
  plain = jax.jit(model.model.init)(KEY, X)
  params = {k: v for k, v in variables["params"].items() if k != "quantizers"}
  chex.assert_trees_all_equal(params, plain["params"])
  expected = tq.init_tree(params, model.rules)
  chex.assert_trees_all_close(quantizers(variables["params"]), expected, rtol=1e-5)
  assert variables["schedule"] == {"quantizers": {"temperature": 1.0}}


@pytest.mark.parametrize("train, soft", [(True, "training"), (False, "always")])
def test_soft_weights(train, soft):
  model = wrapped(soft)
  variables = layers.with_temperature(model.init(KEY, X), 7.0)
  own = quantizers(variables["params"])
  params = dict(variables["params"])
  for name in ("dense2", "dense3"):
    w = params[name]["kernel"]
    fields = own[f"{name}/kernel"]
    w = soft_quantize(w, **fields, levels=(-1, 0, 1), temperature=7.0)
    params[name] = {**params[name], "kernel": w}
  del params["quantizers"]
  expected = model.model.apply({"params": params}, X)
  found = jax.jit(lambda v: model.apply(v, X, train=train))(variables)
  chex.assert_trees_all_close(found, expected, atol=1e-5)


@pytest.mark.parametrize("train, soft", [(False, "training"), (True, "never")])
def test_hard_weights_need_no_temperature(train, soft):
  model = wrapped(soft)
  variables = {"params": model.init(KEY, X)["params"]}
  own = quantizers(variables["params"])["dense2/kernel"]
  w = variables["params"]["dense2"]["kernel"]
  hard = model.quantize(variables)["dense2"]["kernel"]
  chex.assert_trees_all_equal(hard, hard_quantize(w, **own, levels=(-1, 0, 1)))
  expected = model.model.apply({"params": model.quantize(variables)}, X)
  found = model.apply(variables, X, train=train)
  chex.assert_trees_all_close(found, expected, atol=1e-5)


def test_weights_that_are_never_soft_get_no_gradient():
  def slopes(soft):
    model = wrapped(soft)
    variables = model.init(KEY, X)

    def loss(params):
      return jnp.sum(
        jnp.sin(model.apply({**variables, "params": params}, X, train=True))
      )

    return jax.jit(jax.grad(loss))(variables["params"])

  free, fixed = slopes("training"), slopes("never")
  own = quantizers(free)["dense2/kernel"]
  assert own["alpha"] != 0 and own["beta"] != 0 and not own["biases"].any()
  assert jnp.any(free["dense2"]["kernel"]) and jnp.any(fixed["dense1"]["kernel"])
  assert not jnp.any(fixed["dense2"]["kernel"])
  assert not any(jnp.any(x) for x in jax.tree.leaves(fixed["quantizers"]))


def test_the_cap_stops_the_temperature():
  model = wrapped()
  variables = model.init(KEY, X)
  hot = layers.with_temperature(variables, 2000.0)
  hotter = layers.with_temperature(variables, 1e5)
  chex.assert_trees_all_equal(
    model.quantize(hot, hard=False), model.quantize(hotter, hard=False)
  )


def test_one_quantizer_may_serve_all_weights():
  model = wrapped(shared=True)
  params = model.init(KEY, X)["params"]
  assert list(quantizers(params)) == [".*kernel"]
  owned = model.owned(params)
  chex.assert_trees_all_equal(owned["dense2/kernel"], owned["dense3/kernel"])


def test_training_without_a_temperature_is_refused():
  model = wrapped()
  params = model.init(KEY, X)["params"]
  with pytest.raises(UserError, match="without a temperature"):
    model.apply({"params": params}, X, train=True)


# The config.


def test_off_is_off():
  config = configure()
  model = supervised.build_model(config, 10)
  assert isinstance(model.model, MLP) and not model.rules
  stage = build(config)
  frozen, rows = stage.frozen({}), stage.batches(0)
  state = jax.eval_shape(stage.init, KEY, frozen, rows[0])
  assert set(state) == {"params", "opt", "step"} and set(frozen) == {"data"}
  program = str(jax.make_jaxpr(stage.step)(state, frozen, rows[0], KEY))
  assert "logistic" not in program  # the sigmoids of soft quantizers


def test_any_classifier_is_quantized_by_the_config_alone():
  changes = {"quantize.weights": TERNARY, "quantize.activations": TWO_BITS}
  config = configure(**changes)
  found = method.build(config, method.load(config))
  assert found.inserted[1:] == (
    "quantize at relu1",
    "quantization_networks w2 for the weights dense2/kernel, dense3/kernel",
  )
  stage = found.stages[0]
  frozen, rows = stage.frozen({}), stage.batches(0)
  state, step = jax.jit(stage.init)(KEY, frozen, rows[0]), jax.jit(stage.step)
  for i in range(4):  # three make an epoch
    state, _ = step(state, frozen, rows[i], jax.random.key(i))
  temperatures = jax.tree.leaves(state["schedule"])
  assert len(temperatures) == 2 and {float(t) for t in temperatures} == {10.0}
  model = supervised.build_model(config, 10, method.insertions(config))
  hard = model.model.quantize({"params": state["params"]})
  assert len(np.unique(hard["dense2"]["kernel"])) <= 3 < hard["dense1"]["kernel"].size
  # What evaluates, predicts and exports uses the hard weights.
  image = np.asarray(frozen["data"]["image"][:5])
  plain = supervised.build_model(configure(**{"quantize.activations": TWO_BITS}), 10)
  logits = jax.jit(found.predict)(found.variables(state), image)["logits"]
  expected = jax.jit(plain.apply)({"params": hard}, image / np.float32(255))
  np.testing.assert_allclose(logits, expected, atol=1e-4)


def test_activations_are_fitted_to_examples_in_training_s_view():
  config = configure(
    **{"quantize.activations": TWO_BITS, "mask.kind": "none", "quantize.examples": 50}
  )
  stage = build(config)
  frozen, rows = stage.frozen({}), stage.batches(0)
  state = jax.jit(stage.init)(KEY, frozen, rows[0])
  own = state["params"]["relu1"]["quantize"]["quantizer"]
  chosen = initial.sample(frozen, rows[0], 50, KEY)
  assert len(set(chosen.tolist())) == 50
  image = frozen["data"]["image"][chosen].reshape(50, -1) / 255
  layer = state["params"]["dense1"]
  h = jnp.maximum(image @ layer["kernel"] + layer["bias"], 0)
  np.testing.assert_allclose(own["beta"] * h.max(), 1.25 * 3, rtol=1e-4)


def test_bases_of_lq_nets_move_without_a_gradient():
  model = wrapped(quantizer="lq_nets", levels="s2")
  params = jax.jit(model.init)(KEY, X)["params"]
  params["dense2"]["kernel"] *= 1.5
  settle = lambda p: quantized.settle(Inserted(model, ()), {"params": p})["params"]
  moved = jax.jit(settle)(params)
  before, after = (quantizers(p)["dense2/kernel"]["basis"] for p in (params, moved))
  assert not np.array_equal(before, after)
  chex.assert_trees_all_equal(moved["dense2"], params["dense2"])


def test_use_leaves_other_transforms_alone():
  config = configure(**{"quantize.activations": TWO_BITS})
  model = supervised.build_model(config, 10, method.insertions(config))
  soft = quantized.use(model, Uses(activations="always"))
  for before, after in zip(model.rules, soft.rules, strict=True):
    assert (before.make is after.make) == (before.name != "quantize")


def test_constant_temperature():
  config = configure(**{"quantize.constant": True, "quantize.rate": 3.0})
  now = {"schedule": {"a": jnp.float32(1)}, "step": jnp.int32(70)}
  assert quantized.temperature(quantized.anneal(config, now, 10)) == 3.0
  config.quantize.constant = False
  assert quantized.temperature(quantized.anneal(config, now, 10)) == 24.0


@pytest.mark.parametrize(
  "changes, words",
  [
    ({"quantize.weights": ({"at": "conv/.*", "levels": "w2"},)}, "'conv/.*' matches"),
    ({"quantize.weights": ({"at": ".*kernel"},)}, "has no 'levels'; add it"),
    ({"quantize.activations": ({"levels": "a2"},)}, "has no 'at'; add it"),
    ({"quantize.activations": ({"at": "relu1", "levels": "a2", "speed": 1},)},
     "no option 'speed'"),
    ({"init_from": "/nowhere/a.safetensors"}, "there is no file of weights"),
    ({"init_from": "/nowhere/a.txt"}, "is no file of weights"),
  ],
)  # fmt: skip
def test_mistakes_are_one_sentence(changes, words):
  with pytest.raises(UserError) as error:
    build(configure(**changes)).frozen({})
  assert words in str(error.value) and "\n" not in str(error.value)


# Where a stage starts.


@pytest.fixture(scope="module")
def file(tmp_path_factory):
  """Variables of the float network, and the file that holds them."""
  path = tmp_path_factory.mktemp("weights") / "float.safetensors"
  model = supervised.build_model(configure(), 10)
  variables = jax.jit(model.init)(jax.random.key(5), X[:, ::1, ::1])
  weight_files.write_safetensors(path, variables)
  return path, jax.device_get(variables)


def start(config):
  stage = build(config)
  frozen = stage.frozen({})
  return jax.jit(stage.init)(KEY, frozen, stage.batches(0)[0])


def test_a_float_network_starts_from_a_file(file):
  path, expected = file
  state = start(configure(init_from=str(path)))
  chex.assert_trees_all_equal(state["params"], expected["params"])


def test_modules_may_be_left_out(file):
  path, expected = file
  params = start(configure(init_from=str(path), init_leave="logits|dense3"))["params"]
  for name in params:
    same = np.array_equal(params[name]["kernel"], expected["params"][name]["kernel"])
    assert same == (name not in ("logits", "dense3"))


def test_quantizers_are_fitted_to_the_file_s_weights(file, tmp_path):
  path, expected = file
  changes = {"quantize.weights": TERNARY, "quantize.activations": TWO_BITS}
  state = start(configure(init_from=str(path), **changes))
  w = expected["params"]["dense2"]["kernel"]
  own = quantizers(state["params"])["dense2/kernel"]
  np.testing.assert_allclose(own["beta"] * np.abs(w).max(), 1.25, rtol=1e-5)
  # The file of a quantized network serves, too; its quantizers are not read.
  again = tmp_path / "quantized.safetensors"
  kept = {k: state[k] for k in ("params", "schedule")}
  weight_files.write_safetensors(again, kept)
  other = start(configure(init_from=str(again), **changes))
  chex.assert_trees_all_close(other["params"], state["params"], rtol=1e-5)
  plain = start(configure(init_from=str(again)))
  chex.assert_trees_all_equal(plain["params"], expected["params"])


def test_a_file_of_another_network_is_one_sentence(file):
  config = configure(init_from=str(file[0]), **{"model.hidden": (8, 9, 8)})
  with pytest.raises(UserError, match="has shape") as error:
    build(config).frozen({})
  assert str(file[0]) in str(error.value)


# Measures.


def test_saturated_counts_what_is_far_from_every_threshold():
  x = jnp.asarray([-2.0, -0.45, 0.0, 0.3, 0.55, 3.0])
  fields = {"beta": 2.0, "biases": jnp.asarray([-1.0, 1.0])}
  some, size = metrics.saturated(x, **fields, temperature=10.0)
  assert (float(some), size) == (3.0, 6)  # distances 3, .1, 1, .4, .1, 5
  some, _ = metrics.saturated(x, **fields, temperature=10.0, margin=20.0)
  assert float(some) == 2.0


def test_occupancy_keeps_every_value():
  x = jnp.asarray([-9.0, 0.1, 0.5, 1.0, 7.0])
  found = metrics.occupancy(x, jnp.asarray([0.0, 0.5, 1.0, 2.0]))
  np.testing.assert_array_equal(found, [2, 1, 2])


def test_inserted_networks_may_be_wrapped():
  model = Inserted(wrapped(), ())
  variables = jax.jit(model.init)(KEY, X)
  assert model.apply(variables, X).shape == (6, 10)
  assert quantized.plain(model) is model.model.model
