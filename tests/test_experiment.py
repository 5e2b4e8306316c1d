"""Experiments in one process: every mode, and mistakes that a run finds."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest
import safetensors
from ml_collections import ConfigDict
from PIL import Image

from configs import continuous_dropout
from jaxvision import config as config_lib
from jaxvision import experiment
from jaxvision.errors import UserError
from jaxvision.interop import export, weights

SMALL = {
  "data.name": "digits",
  "model.hidden": (32,),
  "dependence.at": ("relu1",),
  "eval.every": 20,
  "eval.batch_size": 64,
  "log.every": 10,
  "log.figures": False,
  "epochs": 3.0,  # of 11 steps
}


def small(variant="", **changes) -> ConfigDict:
  config = continuous_dropout.get_config(variant)
  config.update_from_flattened_dict({**SMALL, **changes})
  return config


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  target = tmp_path_factory.mktemp("run")
  experiment.run(small(**{"log.figures": True}), target)
  return target


def results(folder):
  return json.loads((folder / "results.json").read_text())


def test_train_writes_what_the_design_promises(folder):
  found = {p.relative_to(folder).parts[0] for p in folder.rglob("*")}
  assert found >= {"config.json", "metrics.jsonl", "checkpoints", "figures"}
  result = results(folder)
  assert list(result) == [
    "method", "config", "variant", "data", "note", "seed", "steps", "parameters",
    "metrics", "seconds", "versions",
  ]  # fmt: skip
  assert result["steps"] == {"train": 33}
  assert result["data"] == "digits" and result["seed"] == 0
  assert result["parameters"] == (64 + 1) * 32 + (32 + 1) * 10
  assert 0.5 < result["metrics"]["accuracy"] <= 1.0
  config = json.loads((folder / "config.json").read_text())
  assert config["model"]["hidden"] == [32]


def test_figures_are_drawn(folder):
  names = {p.name for p in (folder / "figures").iterdir()}
  assert names == {
    "training_train.png",
    "masks.png",
    "filters.png",
    "correlation_relu1.png",
  }


def test_finished_run_is_not_trained_again(folder, capsys):
  before = results(folder)
  experiment.run(small(), folder)
  assert "resumed from step 33" in capsys.readouterr().out
  assert results(folder)["metrics"] == before["metrics"]


def test_eval_may_change_what_does_not_shape_training(folder):
  config = small(**{"eval.batch_size": 50, "eval.checkpoint": "best"})
  experiment.run(config, folder, "eval")
  again = json.loads((folder / "eval_test.json").read_text())
  expected = results(folder)["metrics"]["best/accuracy"]
  assert again["metrics"]["accuracy"] == pytest.approx(expected)


def test_predict_reads_images_and_writes_classes(folder, tmp_path):
  rng = np.random.default_rng(0)
  for name in ("one.png", "two.png"):
    pixels = rng.integers(0, 255, (8, 8), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / name)
  Image.new("RGB", (20, 20), "red").save(tmp_path / "large.jpg")
  experiment.run(small(), folder, "predict", inputs=[str(tmp_path)])
  rows = json.loads((folder / "predictions" / "predictions.json").read_text())
  assert {Path(name).name for name in rows} == {"one.png", "two.png", "large.jpg"}
  chances = next(iter(rows.values()))
  assert len(chances) == 5 and 0 < sum(chances.values()) <= 1 + 1e-4
  assert (folder / "predictions" / "predictions.png").stat().st_size > 0


def test_exported_model_equals_predict(folder):
  experiment.run(small(), folder, "export")
  image = np.random.default_rng(0).integers(0, 255, (3, 8, 8, 1), dtype=np.uint8)
  found = export.read(folder / "export")(image)
  plan = experiment.prepare(experiment.method_module("continuous_dropout"), small())
  variables = plan.method.variables(experiment.final_state(plan, folder))
  expected = jax.jit(plan.method.predict)(variables, image)
  np.testing.assert_allclose(found["logits"], expected["logits"], atol=1e-5)
  with safetensors.safe_open(folder / "export" / weights.FILE, "numpy") as file:
    origin = file.metadata()
    bias = file.get_tensor("params/logits/bias")
  np.testing.assert_array_equal(bias, variables["params"]["logits"]["bias"])
  assert origin == {
    "method": "continuous_dropout", "variant": "", "data": "digits",
    "checkpoint": "last", "step": "33", "fingerprint": config_lib.digest(plan.marks),
  }  # fmt: skip


def test_plan_needs_no_data():
  found = experiment.run(continuous_dropout.get_config("paper"), None, "plan")
  assert found["stages"]["train"]["parameters"] == 1_276_810
  assert found["stages"]["train"]["steps"] == 3000 * 500
  assert found["inserted"] == ["mask at relu1, relu2", "input_mask at input"]
  assert "mnist" in found["files"][0]


def test_seeds_have_folders_and_a_summary(tmp_path):
  experiment.run(small(seeds=2, seed=3, epochs=1.0), tmp_path)
  values = [results(tmp_path / f"seed_{k}")["metrics"]["accuracy"] for k in (3, 4)]
  row = results(tmp_path)["metrics"]["accuracy"]
  assert row["values"] == values and row["mean"] == pytest.approx(np.mean(values))
  assert set(row) == {"mean", "sd", "ci95", "values"}
  assert results(tmp_path)["seed"] == [3, 4]


def test_streamed_data_train_as_resident_ones_do(folder, tmp_path):
  experiment.run(small(**{"data.resident_bytes": 0}), tmp_path)
  found, expected = results(tmp_path)["metrics"], results(folder)["metrics"]
  assert found == pytest.approx(expected, rel=1e-4)


VARIANTS = [
  "none", "bernoulli", "uniform", "gaussian", "unclipped_05", "uniform,matched",
  "standout", "dropconnect", "label_noise",
]  # fmt: skip


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_train(tmp_path, variant):
  changes = {"epochs": 1.0, "data.limit": 300, "monte_carlo": 2}
  found = experiment.run(small(variant, **changes), tmp_path)["metrics"]
  assert 0 < found["accuracy"] <= 1 and np.isfinite(found["loss"])
  assert 0 < found["monte_carlo/accuracy"] <= 1


RECIPES = {
  "bfloat16": {"dtype": "bfloat16"},
  "ema_accumulated": {"ema.decay": 0.9, "optimizer.accumulate": 2},
  "adamw": {
    "optimizer.name": "adamw",
    "optimizer.learning_rate": 1e-3,
    "optimizer.weight_decay": 0.01,
    "optimizer.schedule.name": "linear",
    "optimizer.schedule.warmup": 0.5,
  },
  "fsdp": {"mesh.fsdp": 4, "model.hidden": (128,)},
  "no_validation": {"data.validation": 0.0},
  "profiled": {"log.profile_steps": 2, "per_dispatch": 1},
}


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_train(tmp_path, name):
  config = small(**{"epochs": 2.0, "data.limit": 400, **RECIPES[name]})
  found = experiment.run(config, tmp_path)["metrics"]
  assert 0.15 < found["accuracy"] <= 1 and np.isfinite(found["loss"])
  assert (tmp_path / "profile").exists() == (name == "profiled")


@pytest.mark.parametrize("variant", ["cnn", "cnn,per_map", "cnn,dropconnect"])
def test_cnn_variants_train(tmp_path, variant):
  changes = {
    "epochs": 1.0,
    "data.limit": 300,
    "model": {"name": "cnn", "widths": (4, 8), "dense_width": 16, "norm": "batch"},
    "dependence.at": ("relu_dense",),
    "data.name": "digits",
    "eval.every": 0,
  }
  config = continuous_dropout.get_config(variant)
  with config.unlocked():
    changes["model"]["dense"] = config.model.dense
    config.model = changes.pop("model")
  config.update_from_flattened_dict(changes)
  found = experiment.run(config, tmp_path)["metrics"]
  assert 0 < found["accuracy"] <= 1


@pytest.mark.parametrize(
  "changes, words",
  [
    ({"data.name": "npz:/nowhere.npz"}, "/nowhere.npz"),
    ({"data.name": "folder:/nowhere"}, "/nowhere"),
    ({"data.name": "no_such_set"}, "no_such_set"),
    ({"model.name": "lenet"}, "choose one of cnn, mlp"),
    ({"mask.at": "nothing"}, "its places are input, dense1, relu1, logits"),
    ({"mask.rate": 2.0, "mask.kind": "bernoulli"}, "rate is 2.0"),
    ({"mask.kind": "beta"}, "beta"),
    ({"optimizer.name": "sgdd"}, "choose one of sgd, adam, adamw"),
    ({"optimizer.freeze": (".*nothing",)}, "match no parameter"),
    ({"mesh.data": 3}, "config.mesh asks for data=3"),
    ({"batch_size": 5000}, "config.batch_size is 5000"),
    ({"method": "gtam"}, "config.method is 'gtam'"),
    ({"per_dispatch": 0}, "config.per_dispatch is 0"),
    ({"dependence.at": ("relu9",)}, "relu9"),
    ({"optimizer.learning_rate": 1e30}, "non-finite values at step"),
  ],
)
def test_mistakes_are_one_sentence_and_leave_no_results(tmp_path, changes, words):
  with pytest.raises(UserError) as error:
    experiment.run(small(**changes), tmp_path)
  assert words in str(error.value) and "\n" not in str(error.value)
  assert not (tmp_path / "results.json").exists()


@pytest.mark.parametrize(
  "mode, changes, inputs, words",
  [
    ("predict", {}, [], "--inputs"),
    ("predict", {}, ["/nowhere.png"], "/nowhere.png"),
    ("eval", {"eval.split": "dev"}, [], "'dev'"),
    ("eval", {"eval.checkpoint": "first"}, [], "choose last or best"),
    ("export", {"onnx": "all"}, [], "config.onnx is 'all'"),
    ("train", {"optimizer.learning_rate": 0.5}, [], "was 0.05 and is 0.5"),
  ],
)
def test_mistakes_over_a_trained_folder(folder, mode, changes, inputs, words):
  kept = sorted(p.name for p in (folder / "checkpoints" / "train").iterdir())
  with pytest.raises(UserError, match=words):
    experiment.run(small(**changes), folder, mode, inputs=inputs)
  assert kept == sorted(p.name for p in (folder / "checkpoints" / "train").iterdir())


def test_eval_without_training(tmp_path):
  with pytest.raises(UserError, match="train first"):
    experiment.run(small(), tmp_path, "eval")
