"""The loop: resume bit for bit, interruption, non-finite values, one compilation."""

import functools
import json

import chex
import jax
import numpy as np
import optax
import pytest
import support

from jaxvision import interruption
from jaxvision.errors import UserError
from jaxvision.train import checkpoints, loop, program, reports, sharding

classifier = functools.cache(support.classifier)  # a kind is compiled once


def mesh(devices=1, fsdp=1):
  return jax.make_mesh(
    (devices // fsdp, fsdp),
    ("data", "fsdp"),
    axis_types=(jax.sharding.AxisType.Auto,) * 2,
    devices=jax.devices()[:devices],
  )


def train(
  folder, stage, *, seed=0, per_dispatch=1, where=None, inherited=None, **intervals
):
  compiled = compile_once(stage, where or mesh(), per_dispatch)
  return run(folder, compiled, seed=seed, inherited=inherited, **intervals)


@functools.cache
def compile_once(stage, where, per_dispatch):
  return program.compile_stage(stage, where, per_dispatch=per_dispatch, rules=())


def run(folder, compiled, *, seed=0, inherited=None, **intervals):
  report = reports.Reports(folder)
  chosen = {"log": 3, "evaluate": 5, "save": 4, **intervals}
  with checkpoints.Checkpoints(
    folder / compiled.stage.name, fingerprint={"config.a": "1"}
  ) as store:
    try:
      return loop.run_stage(
        compiled,
        seed=seed,
        inherited=inherited or {},
        store=store,
        reports=report,
        intervals=loop.Intervals(**chosen),
      )
    finally:
      report.close()


def lines(folder):
  return [json.loads(x) for x in (folder / "metrics.jsonl").read_text().splitlines()]


def val_lines(folder):
  return [row for row in lines(folder) if row["split"] == "val"]


@pytest.fixture(autouse=True)
def no_signal():
  interruption.clear()
  yield
  interruption.clear()


@pytest.mark.parametrize(
  "optimizer, per_dispatch", [(None, 1), (optax.adam(1e-2), 3)], ids=["sgd", "adam"]
)
def test_interrupted_run_resumes_bit_for_bit(
  tmp_path, monkeypatch, optimizer, per_dispatch
):
  stage = classifier(optimizer=optimizer)
  whole = train(tmp_path / "whole", stage, per_dispatch=per_dispatch)
  monkeypatch.setattr(loop.preemption, "check", _interrupt_at(7))
  with pytest.raises(interruption.Interrupted):
    train(tmp_path / "halves", stage, per_dispatch=per_dispatch)
  monkeypatch.undo()
  halves = train(tmp_path / "halves", stage, per_dispatch=per_dispatch)
  chex.assert_trees_all_equal(halves.state, whole.state)
  assert halves.metrics == whole.metrics
  assert set(whole.state) == {"params", "batch_stats", "opt", "step", "ema"}
  # The first mean after a resume covers fewer steps; all else is said alike.
  assert val_lines(tmp_path / "halves") == val_lines(tmp_path / "whole")
  steps = [[r["step"] for r in lines(tmp_path / x)] for x in ("halves", "whole")]
  assert steps[0] == steps[1]


def _interrupt_at(at):
  def check(step):
    if step >= at:
      raise interruption.Interrupted

  return check


def test_interruption_inside_evaluation_saves_and_evaluates_on_resume(tmp_path):
  calls = []

  def on_evaluate():
    calls.append(1)
    if len(calls) == 1:
      interruption._requested.set()

  stage = classifier(on_evaluate=on_evaluate)
  with pytest.raises(interruption.Interrupted):
    train(tmp_path, stage)
  interruption.clear()
  outcome = train(tmp_path, stage)
  evaluated = [row["step"] for row in lines(tmp_path) if row["split"] == "val"]
  assert evaluated == [5, 10, 12]
  assert int(outcome.state["step"]) == 12


def test_seeds_share_one_compilation_and_differ(tmp_path):
  traced = chex.assert_max_traces(lambda: None, n=10)
  traces = []
  stage = classifier(on_trace=lambda: traces.append(traced()))
  compiled = program.compile_stage(stage, mesh(), per_dispatch=4)
  first = run(tmp_path / "0", compiled, seed=0)
  once = len(traces)
  second = run(tmp_path / "1", compiled, seed=1)
  again = run(tmp_path / "2", compiled, seed=0)
  assert len(traces) == once  # neither another seed nor a remainder traces again
  chex.assert_trees_all_equal(first.state, again.state)
  with pytest.raises(AssertionError):
    chex.assert_trees_all_equal(first.state["params"], second.state["params"])


def test_finished_stage_is_skipped(tmp_path):
  whole = train(tmp_path, classifier())
  steps = []
  stage = classifier(on_trace=lambda: steps.append(1))
  again = train(tmp_path, stage)
  assert not steps
  chex.assert_trees_all_equal(again.state, whole.state)
  assert again.seconds["train"] >= 0
  rows = lines(tmp_path)
  assert [r["step"] for r in rows if r["split"] == "val"] == [5, 10, 12]


def test_stage_inherits_the_state_of_an_earlier_one(tmp_path):
  teacher = train(tmp_path, classifier(name="teacher", steps=3))
  student = classifier(name="student", steps=1, inherits="teacher")
  compiled = program.compile_stage(student, mesh())
  frozen = student.frozen({"teacher": teacher.state})
  key = loop.stage_key(0, "student")
  begun = compiled.init(key, frozen, student.batches(0)[0])
  chex.assert_trees_all_equal(begun["params"], teacher.state["params"])
  train(tmp_path, student, inherited={"teacher": teacher.state})


@pytest.mark.parametrize("per_dispatch", [1, 4])
def test_non_finite_loss_names_step_and_place_and_is_never_saved(
  tmp_path, per_dispatch
):
  stage = classifier(poison_at=6)
  where = r"step 6 of stage 'train', first in loss and in state params/conv/bias"
  with pytest.raises(UserError, match=where):
    train(tmp_path, stage, per_dispatch=per_dispatch, save=1)
  healthy = train(tmp_path, classifier(steps=6), save=1)
  assert int(healthy.state["step"]) == 6  # step 6 was saved, and no later one


def test_logs_are_means_over_the_interval(tmp_path):
  single = tmp_path / "single"
  train(single, classifier(steps=6), log=1)
  train(tmp_path / "threes", classifier(steps=6), log=3, per_dispatch=2)
  each = [r["loss"] for r in lines(single) if r["split"] == "train"]
  means = [r["loss"] for r in lines(tmp_path / "threes") if r["split"] == "train"]
  np.testing.assert_allclose(means, np.mean(np.reshape(each, (2, 3)), 1), rtol=1e-5)


@pytest.mark.parametrize(
  "step, expected", [(0, 3), (3, 4), (4, 5), (10, 12), (99, 100)]
)
def test_next_stop(step, expected):
  assert loop.Intervals(3, 5, 4).next_stop(step, 100) == expected


def test_intervals_of_zero_mean_only_at_the_end(tmp_path):
  assert loop.Intervals(0, 0, 0).next_stop(2, 9) == 9
  train(tmp_path, classifier(steps=5), log=0, evaluate=0, save=0)
  rows = lines(tmp_path)
  assert [(r["split"], r["step"]) for r in rows] == [("train", 5), ("val", 5)]


@pytest.fixture(scope="module")
def one(tmp_path_factory):
  return train(tmp_path_factory.mktemp("one"), classifier())


@pytest.mark.parametrize("devices, fsdp", [(2, 1), (4, 1), (4, 4), (4, 2)])
def test_devices_agree(one, tmp_path, monkeypatch, devices, fsdp):
  monkeypatch.setattr(sharding, "SMALLEST_SHARDED", 8)
  several = train(tmp_path, classifier(), where=mesh(devices, fsdp))
  chex.assert_trees_all_close(several.state, one.state, rtol=2e-4, atol=2e-5)
  kernel = several.state["params"]["logits"]["kernel"]
  assert len(kernel.sharding.device_set) == devices
  assert kernel.addressable_shards[0].data.size == kernel.size // fsdp


def test_state_of_several_devices_restores_on_one(tmp_path):
  stage = classifier(steps=4)
  four = train(tmp_path, stage, where=mesh(4, 2))
  one = train(tmp_path, stage)
  chex.assert_trees_all_equal(jax.device_get(one.state), jax.device_get(four.state))
