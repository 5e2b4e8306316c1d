"""The method: its phases, their freezing, resuming, temperature, metrics, plan."""

import json
import re
import shutil

import chex
import jax
import numpy as np
import pytest

from configs import quantization_networks as config_file
from jaxvision import experiment
from jaxvision.errors import UserError
from jaxvision.methods import quantization_networks as method
from jaxvision.ops import quantization
from jaxvision.train import runner

SPARED = {"at": "dense1/.*|logits/.*", "quantizer": "none"}
WEIGHTS = ({**SPARED}, {"at": ".*kernel", "levels": "w2"})
ACTIVATIONS = ({"at": "relu[12]", "levels": "a2"},)
EACH = {
  f"phases.{phase}.epochs": 2.0
  for phase in ("float", "weights", "activations", "joint")
}
TINY = {
  "data.name": "digits",
  "data.limit": 200,
  "batch_size": 40,
  "per_dispatch": 5,
  "quantize.weights": WEIGHTS,
  "eval.every": 0,
  "checkpoint.every": 5,
  "eval.batch_size": 64,
  "log.figures": False,
  **EACH,
}
MLP = {"name": "mlp", "hidden": (8, 8, 8)}


def configure(variant="", **changes):
  config = config_file.get_config(variant)
  with config.unlocked():
    config.model = MLP
  config.update_from_flattened_dict({**TINY, **changes})
  return config


BOTH = {"quantize.activations": ACTIVATIONS, "phases.statistics.epochs": 2.0}


@pytest.fixture(scope="module")
def both(tmp_path_factory):
  """A run of all five phases: its config, folder, results and last states."""
  folder = tmp_path_factory.mktemp("both")
  config = configure(**BOTH)
  found = experiment.run(config, folder)
  return config, folder, found, states(config, folder)


def states(config, folder):
  plan = experiment.prepare(method, config)
  found = runner.restore(plan, 0, folder, which="last", warn=print).states
  return jax.device_get(found)


@pytest.fixture(scope="module")
def data():
  return method.load(configure())


def test_every_phase_trains_and_is_measured(both):
  found = both[2]
  names = ["float", "weights", "activations", "joint", "statistics"]
  assert list(found["steps"]) == names
  assert list(found["steps"].values()) == [10, 10, 10, 10, 10]
  metrics = found["metrics"]
  assert {"accuracy", "soft/accuracy", "gap", "saturated"} <= set(metrics)
  assert metrics["gap"] == metrics["soft/accuracy"] - metrics["accuracy"]
  assert 0 <= metrics["saturated"] <= 1
  assert metrics["float/soft/accuracy"] == metrics["float/accuracy"]
  assert metrics["float/gap"] == 0.0 and "float/temperature" not in metrics


def test_temperature_rises_by_epoch_and_goes_on(both):
  metrics = both[2]["metrics"]
  # Two epochs a phase at rate 5; "joint" goes on where "weights" ended.
  assert metrics["weights/temperature"] == metrics["activations/temperature"] == 10.0
  assert metrics["joint/temperature"] == metrics["temperature"] == 20.0
  restarted = method.phase_config(configure("restart", **BOTH), "joint")
  assert restarted.quantize.start == 0.0


def test_phases_freeze_what_they_do_not_train(both):
  found = {name: state["params"] for name, state in both[3].items()}
  quantized, other = ("dense2", "dense3"), ("dense1", "logits")

  def moved(first, second, name):
    a, b = found[first][name]["kernel"], found[second][name]["kernel"]
    return not np.array_equal(a, b)

  for name in (*quantized, *other):
    assert moved("float", "weights", name) and moved("activations", "joint", name)
    assert not moved("joint", "statistics", name)
    assert moved("weights", "activations", name) == (name in other)
  chex.assert_trees_all_equal(
    found["weights"]["quantizers"], found["activations"]["quantizers"]
  )
  own = [found[p]["quantizers"]["dense2"]["kernel"] for p in ("weights", "joint")]
  assert own[0]["alpha"] != own[1]["alpha"] and own[0]["beta"] != own[1]["beta"]
  np.testing.assert_array_equal(own[0]["biases"], own[1]["biases"])
  acts = [found[p]["relu1"]["quantize"]["quantizer"] for p in ("activations", "joint")]
  assert acts[0]["alpha"] != acts[1]["alpha"]


def test_figures_show_every_stage(both, data, tmp_path):
  last = jax.device_put(both[3]["statistics"])
  method.build(both[0], data).figures(last, tmp_path)
  assert {path.name for path in tmp_path.iterdir()} == {"weights.png", "quantizer.png"}
  history = both[3]["statistics"]["history"]
  assert set(history) == {"weights", "activations", "joint", "statistics"}
  for rows in history.values():
    np.testing.assert_array_equal(rows.sum(1), [64, 64])


def test_resume_in_every_phase_is_bit_exact(both, tmp_path):
  config, folder, found, expected = both
  shutil.copytree(folder, tmp_path / "again")
  for stage in expected:  # leaves what was saved half way
    shutil.rmtree(tmp_path / "again" / "checkpoints" / stage / "10")
  again = experiment.run(config, tmp_path / "again")
  assert again["metrics"] == found["metrics"]
  chex.assert_trees_all_equal(states(config, tmp_path / "again"), expected)


def test_one_trace_serves_all_epochs(both, data):
  stage = method.build(both[0], data).stages[1]
  frozen, rows = {"data": stage.frozen({"float": {}})["data"]}, stage.batches(0)
  chex.clear_trace_counter()
  step = jax.jit(chex.assert_max_traces(stage.step, 1))
  state = {**both[3]["weights"], "step": np.int32(0)}
  found = []
  for i in range(11):
    state, _ = step(state, frozen, rows[i], jax.random.key(i))
    found.append(float(state["schedule"]["quantizers"]["temperature"]))
  assert found == 5 * [5.0] + 5 * [10.0] + [15.0]


def test_weights_are_levels_at_inference(both):
  model = method.supervised.build_model(both[0], 10)
  params = both[3]["statistics"]["params"]
  hard = model.model.quantize({"params": params})
  own = params["quantizers"]["dense2"]["kernel"]
  levels = own["alpha"] * np.asarray(quantization.LEVELS["w2"], np.float32)
  assert np.isin(np.asarray(hard["dense2"]["kernel"]), levels).all()
  chex.assert_trees_all_equal(hard["logits"], params["logits"])


def test_export_packs(both):
  config, folder = both[:2]
  experiment.run(config, folder, "export")
  facts = json.loads((folder / "export" / "packed.json").read_text())
  assert facts["weights"]["dense2/kernel"] == {"bits": 2, "shape": [8, 8]}


@pytest.mark.parametrize(
  "changes, names",
  [
    ({}, ["float", "weights"]),
    ({"quantize.weights": ()}, ["float"]),
    ({"quantize.weights": (), "quantize.activations": ACTIVATIONS},
     ["float", "activations"]),
    ({"quantize.activations": ACTIVATIONS, "pretrain": False},
     ["weights", "activations", "joint"]),
    ({"phases.statistics.epochs": 1.0}, ["float", "weights", "statistics"]),
  ],
)  # fmt: skip
def test_what_is_quantized_decides_the_phases(changes, names):
  found = method.phases(configure(**changes))
  assert [phase.name for phase in found] == names


def test_quantizers_have_a_group_without_decay():
  config = configure(**BOTH, **{"rates.activations": 3.0})
  config = method.phase_config(config, "joint")
  model = method.supervised.build_model(config, 10)
  inputs = jax.ShapeDtypeStruct((1, 8, 8, 1), np.float32)
  parameters = method.quantized.parameters(model, inputs)
  assert parameters.quantized == ("dense2/kernel", "dense3/kernel")
  method._set_groups(config, parameters, method.JOINT)
  (weights, first), (activations, second) = config.optimizer.groups
  assert re.fullmatch(weights, "quantizers/dense2/kernel/alpha")
  assert re.fullmatch(activations, "relu1/quantize/quantizer/beta")
  assert not re.fullmatch(f"{weights}|{activations}", "dense2/kernel")
  assert first["weight_decay"] == second["weight_decay"] == 0.0
  assert second["learning_rate"] == 3.0 * first["learning_rate"]


BASELINES = ["ste", "bwn", "twn", "ttq", "dorefa", "lsq", "lq_nets"]


def first_stage(name, data):
  weights = config_file.get_config(name).quantize.weights
  changes = {"quantize.weights": (SPARED, *weights[1:]), "pretrain": False}
  stage = method.build(configure(name, **changes), data).stages[0]
  return stage, stage.frozen({}), stage.batches(0)[0]


@pytest.mark.parametrize("name", BASELINES)
def test_baselines_share_the_slot(name, data):
  stage, frozen, rows = first_stage(name, data)
  state = jax.eval_shape(stage.init, jax.random.key(0), frozen, rows)
  assert "schedule" not in state
  after, _ = jax.eval_shape(stage.step, state, frozen, rows, jax.random.key(0))
  chex.assert_trees_all_equal_shapes_and_dtypes(after, state)


def test_quantizers_of_baselines_are_trained(data):
  stage, frozen, rows = first_stage("lsq", data)
  state = jax.jit(stage.init)(jax.random.key(0), frozen, rows)
  before = state["params"]["quantizers"]["dense2"]["kernel"]
  after, logs = jax.jit(stage.step)(state, frozen, rows, jax.random.key(0))
  after = after["params"]["quantizers"]["dense2"]["kernel"]
  assert np.isfinite(logs["loss"]) and before["step"] != after["step"]


@pytest.mark.parametrize(
  "changes, words",
  [
    ({"pretrain": False, "quantize.weights": ()}, "there is nothing to train"),
    ({"quantize.quantizer": "qat"}, "quantizer 'qat': choose one of"),
    ({"quantize.weights": ({"at": "conv9/.*", "levels": "w2"},)}, "'conv9/.*' matches"),
    ({"quantize.weights": ({"at": ".*kernel", "levels": "w9"},)}, "levels are 'w9'"),
    ({"quantize.weights": ({"levels": "w2"},)}, "has no 'at'; add it"),
    ({"quantize.activations": ({"at": "relu9", "levels": "a2"},)}, "matches no place"),
    ({"quantize.activations": ({"at": "relu1", "quantizer": "bwn", "levels": "w1"},)},
     "'bwn' is for weights, not activations"),
    ({"quantize.options.backward": "t2"}, "backward is 't2'"),
  ],
)  # fmt: skip
def test_mistakes_are_one_sentence(data, changes, words):
  with pytest.raises(UserError) as error:
    method.build(configure(**changes), data)
  assert words in str(error.value) and "\n" not in str(error.value)


INSERTED = [
  "quantize at relu1, relu2",
  "quantization_networks w2 for the weights dense2/kernel, dense3/kernel",
]


def test_plan_says_what_is_quantized_without_data():
  config = configure(**{"quantize.activations": ACTIVATIONS})
  found = method.build(config, method.load(config, abstract=True))
  names = ["float", "weights", "activations", "joint"]
  assert [stage.name for stage in found.stages] == names
  assert list(found.inserted) == INSERTED


def test_all_variants_are_configs():
  for variant in config_file.VARIANTS:
    config = config_file.get_config(variant)
    assert method.phases(config)[0].name in ("float", "weights")
    method.supervised.build_model(config, 10)


def test_resnet_18_is_quantized_where_the_paper_says():
  config = config_file.get_config("resnet18,resnet_a2")
  model = method.supervised.build_model(config, 1000)
  x = jax.ShapeDtypeStruct((1, 224, 224, 3), np.float32)
  found = method.quantized.parameters(model, x)
  assert len(found.quantized) == 19
  assert len(found.activations) == 3 * 17
