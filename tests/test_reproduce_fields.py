"""Config fields that came after a run was finished."""

import json

import pytest
from toy_claims import Arm, FakeRun, protocol

from experiments.reproduction import runs


def plan(tmp_path, **changes):
  return runs.plan_runs(protocol(tmp_path, **changes), tmp_path / "runs", [0])


def forget(run, key):
  """Takes a field of the data out of a run's config, as if it had not been there."""
  path = run.folder / "config.json"
  config = json.loads(path.read_text())
  del config["data"][key]
  path.write_text(json.dumps(config))


@pytest.fixture
def old(tmp_path):
  """A plan of two finished runs that do not know `data.fit`."""
  made = plan(tmp_path)
  runs.run_unfinished(made, FakeRun())
  for run in made:
    forget(run, "fit")
  return made


def test_a_finished_run_stays_finished(old):
  assert {runs.status(run) for run in old} == {runs.FINISHED}


def test_a_run_that_needs_the_field_is_made_anew(old, tmp_path):
  arms = {"narrow": Arm("", {"data.fit": "crop"}), "wide": Arm("wide", {})}
  assert runs.status(plan(tmp_path, arms=arms)[0]) == runs.OUTDATED


def test_a_run_that_is_under_way_is_made_anew(old):
  (old[0].folder / "results.json").unlink()  # its checkpoints would be refused
  assert runs.status(old[0]) == runs.OUTDATED


def test_fields_of_the_model_that_an_arm_replaces_are_not_amiss(tmp_path):
  made = plan(tmp_path, arms={"narrow": Arm("", {}), "cnn": Arm("cnn", {})})
  runs.run_unfinished(made, FakeRun())
  assert {runs.status(run) for run in made} == {runs.FINISHED}
