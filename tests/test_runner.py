"""All stages of a seed: trained, restored, predicted with."""

import json

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toy_stage

from jaxvision import config as shared
from jaxvision import interruption
from jaxvision.errors import UserError
from jaxvision.train import program, runner, sharding
from jaxvision.train.stage import Method


def read(paths):
  for path in paths:
    for i in range(int(path)):
      yield f"{path}-{i}", {"x": np.full(toy_stage.WIDTH, i, np.float32)}


def predict(variables, inputs):
  return {"y": toy_stage.forward(variables, inputs["x"])}


def method(*stages):
  inputs = {"x": jax.ShapeDtypeStruct((1, toy_stage.WIDTH), jnp.float32)}
  return Method(stages, predict, lambda s: s["params"], inputs, read, lambda *_: None)


def plan_of(**fields):
  config = shared.base("toy")
  config.eval.every, config.checkpoint.every, config.checkpoint.keep = 2, 1, 1
  config.log.figures = False
  config.update(fields)
  mesh = sharding.build_mesh(config.mesh)
  stages = (
    toy_stage.regression("teacher", steps=6),
    toy_stage.regression("student", steps=4, teacher="teacher"),
  )
  programs = tuple(program.compile_stage(stage, mesh) for stage in stages)
  facts = {"method": "toy", "data": "sines", "note": "sines stand in"}
  marks = shared.fingerprint(config)
  return runner.Plan(config, method(*stages), programs, marks, facts, {"jax": "1"})


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
  folder, plan = tmp_path_factory.mktemp("run"), plan_of()
  return plan, folder, runner.train_seed(plan, 3, folder)


def test_results_hold_what_the_run_found(trained):
  _, folder, result = trained
  assert json.loads((folder / "results.json").read_text()) == result
  assert (result["method"], result["data"], result["seed"]) == ("toy", "sines", 3)
  assert result["steps"] == {"teacher": 6, "student": 4}
  assert result["parameters"] == toy_stage.WIDTH * 6 + 6
  own = {"loss", "best/loss", "val/loss"}
  assert set(result["metrics"]) == own | {f"teacher/{name}" for name in own}
  timed = {
    f"{s}/{k}" for s in result["steps"] for k in ("train", "input", "first_step")
  }
  assert set(result["seconds"]) == timed | {"total"}
  assert json.loads((folder / "config.json").read_text())["method"] == "toy"


def test_a_second_run_restores_what_the_first_one_found(trained, capsys):
  plan, folder, result = trained
  again = runner.train_seed(plan, 3, folder)
  assert again["metrics"] == result["metrics"]
  out = capsys.readouterr().out
  assert "sines stand in" in out
  assert "teacher: resumed from step 6" in out and "student: resumed from step 4" in out


@pytest.mark.parametrize("which", ["last", "best"])
def test_restoring_gives_the_states_that_were_evaluated(trained, which):
  plan, folder, result = trained
  found = runner.restore(plan, 3, folder, which=which, warn=pytest.fail)
  student = plan.method.stages[-1]
  state, frozen = found.states["student"], found.frozen["student"]
  metrics = student.evaluate(state, frozen, "test")
  prefix = "best/" if which == "best" else ""
  assert metrics["loss"] == result["metrics"][f"{prefix}loss"]
  assert int(found.states["teacher"]["step"]) == 6 or which == "best"
  chex.assert_trees_all_equal(frozen["teacher"], found.states["teacher"]["params"])


def test_a_stage_may_inherit_the_best_state(tmp_path):
  folder, plan = tmp_path, plan_of(inherit="best")
  rising = lambda state, frozen, split: {"loss": float(state["step"])}
  teacher = plan.programs[0]
  teacher = teacher._replace(stage=teacher.stage._replace(evaluate=rising))
  plan = plan._replace(programs=(teacher, plan.programs[1]))
  result = runner.train_seed(plan, 0, folder)
  assert result["steps"]["teacher"] == 2  # the first evaluation, the best of all
  assert result["metrics"]["teacher/loss"] == 6.0
  assert result["metrics"]["teacher/best/loss"] == 2.0
  found = runner.restore(plan, 0, folder, which="last", warn=pytest.fail)
  assert int(found.states["teacher"]["step"]) == 2
  assert int(found.states["student"]["step"]) == 4


def test_what_cannot_be_restored_is_one_sentence(trained, tmp_path):
  plan, folder, _ = trained
  restore = lambda folder, which="last", seed=3: runner.restore(
    plan, seed, folder, which=which, warn=pytest.fail
  )
  with pytest.raises(UserError, match="checkpoint is 'first'; choose last or best"):
    restore(folder, "first")
  sentence = r"there is no checkpoint in .*checkpoints/teacher; train first"
  with pytest.raises(UserError, match=sentence):
    restore(tmp_path)
  (tmp_path / "checkpoints" / "teacher").mkdir(parents=True)
  with pytest.raises(UserError, match=sentence):
    restore(tmp_path)
  with pytest.raises(UserError, match=r"config\.seed was 3 and is 4"):
    restore(folder, seed=4)


@pytest.mark.parametrize("batch_size", [1, 2, 5, 8])
def test_predictions_do_not_depend_on_the_size_of_batches(batch_size):
  variables = toy_stage.initial(jax.random.key(0))
  inputs, outputs = runner.predict(
    method(), variables, ["2", "3"], batch_size=batch_size
  )
  assert list(inputs) == list(outputs) == ["2-0", "2-1", "3-0", "3-1", "3-2"]
  for name, row in inputs.items():
    expected = predict(variables, {"x": row["x"][None]})["y"][0]
    np.testing.assert_allclose(outputs[name]["y"], expected, rtol=1e-5)


def test_nothing_to_predict_is_one_sentence():
  with pytest.raises(UserError, match="there is nothing to predict in 0, 0"):
    runner.predict(method(), {}, ["0", "0"], batch_size=2)


def test_sigterm_ends_prediction(monkeypatch):
  monkeypatch.setattr(interruption, "requested", lambda: True)
  with pytest.raises(interruption.Interrupted):
    runner.predict(method(), {}, ["3"], batch_size=2)
