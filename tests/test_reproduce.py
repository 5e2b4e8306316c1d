"""Runs of a protocol: only what is missing is run; and the command line."""

import json
import re
import shutil

import pytest
from toy_claims import Arm, FakeRun, protocol, result

from experiments import claims, reproduce
from experiments.reproduction import runs
from jaxvision import experiment, interruption
from jaxvision.errors import UserError


class TestRuns:
  def plan(self, tmp_path, seeds=3, **changes):
    return runs.plan_runs(
      protocol(tmp_path, **changes), tmp_path / "runs", range(seeds)
    )

  def test_pairs_are_complete_early_and_configs_take_the_seed(self, tmp_path):
    plan = self.plan(tmp_path)
    names = [(run.arm, run.seed) for run in plan]
    assert names[:3] == [("narrow", 0), ("wide", 0), ("narrow", 1)]
    last = plan[-1]
    assert last.folder == tmp_path / "runs" / "wide" / "seed_2"
    assert (last.config.seed, last.config.data.seed) == (2, 2)
    assert (last.config.width, last.config.eval.batch_size) == (2.0, 7)
    assert last.source.endswith("toy.py:wide")

  @pytest.mark.parametrize("override", [{"data.sed": 1}, {"no.key": 1}, {"width": "x"}])
  def test_override_that_the_config_refuses(self, tmp_path, override):
    with pytest.raises(UserError, match=f"arm a: .*{next(iter(override))}"):
      self.plan(tmp_path, arms={"a": Arm("", override)})

  def test_runs_only_what_is_missing(self, tmp_path):
    train = FakeRun()
    runs.run_unfinished(self.plan(tmp_path, seeds=2), train)
    assert len(train.calls) == 4
    runs.run_unfinished(self.plan(tmp_path, seeds=3), train)
    assert train.calls[4:] == [("narrow", 2), ("wide", 2)]
    shutil.rmtree(tmp_path / "runs" / "narrow" / "seed_1")
    runs.run_unfinished(self.plan(tmp_path, seeds=3), train)
    assert train.calls[6:] == [("narrow", 1)]

  def test_interrupted_run_keeps_its_folder_and_is_run_again(self, tmp_path):
    plan = self.plan(tmp_path, seeds=1)
    with pytest.raises(interruption.Interrupted):
      runs.run_unfinished(plan, FakeRun(fail_at=2))
    assert [runs.status(run) for run in plan] == [runs.FINISHED, runs.STARTED]
    (plan[1].folder / "checkpoint").touch()
    train = FakeRun()
    runs.run_unfinished(plan, train)
    assert train.calls == [("wide", 0)]
    assert (plan[1].folder / "checkpoint").exists()  # so `run` could resume

  def test_another_config_is_run_again_and_nothing_is_lost(self, tmp_path):
    runs.run_unfinished(self.plan(tmp_path, seeds=1), FakeRun())
    arms = {"narrow": Arm("", {}), "wide": Arm("wide", {"data.limit": 5})}
    plan = self.plan(tmp_path, seeds=1, arms=arms)
    assert [runs.status(run) for run in plan] == [runs.FINISHED, runs.OUTDATED]
    assert runs.collect(plan) == {"narrow": {0: result("narrow", 0)}, "wide": {}}
    train = FakeRun()
    for _ in range(2):
      runs.run_unfinished(plan, train)
    assert train.calls == [("wide", 0)]
    # Back and forth: every earlier run stays.
    runs.run_unfinished(self.plan(tmp_path, seeds=1), train)
    names = sorted(path.name for path in (tmp_path / "runs" / "wide").iterdir())
    assert names == ["seed_0", "seed_0.outdated_1", "seed_0.outdated_2"]

  def test_keys_that_do_not_shape_training_may_change(self, tmp_path):
    runs.run_unfinished(self.plan(tmp_path, seeds=1), FakeRun())
    arms = {"narrow": Arm("", {"log.every": 5}), "wide": Arm("wide", {})}
    plan = self.plan(tmp_path, seeds=1, arms=arms)
    assert {runs.status(run) for run in plan} == {runs.FINISHED}

  def test_file_that_is_not_json(self, tmp_path):
    plan = self.plan(tmp_path, seeds=1)
    runs.run_unfinished(plan, FakeRun())
    (plan[0].folder / "results.json").write_text("{")
    with pytest.raises(UserError, match=r"results\.json is not JSON"):
      runs.collect(plan)


class TestCommand:
  @pytest.fixture
  def toy(self, tmp_path, monkeypatch):
    """Puts a toy protocol in place of every paper's, and a fake in that of training."""
    fake, found = FakeRun(), protocol(tmp_path)
    monkeypatch.setattr(claims, "load", lambda method, pilot=False: found)
    monkeypatch.setattr(claims, "title", lambda method: f"{method.title()} (Us, 2000)")
    monkeypatch.setattr(experiment, "run", fake)
    return fake

  def call(self, tmp_path, *flags):
    return reproduce.main(["toy", f"--workdir={tmp_path}/runs", *flags])

  def test_writes_report_and_figure(self, tmp_path, toy, capsys):
    assert self.call(tmp_path) == 0
    assert len(toy.calls) == 6
    folder = tmp_path / "runs" / "toy"
    found = json.loads((folder / "report.json").read_text())
    assert found["claims"][0]["verdict"] == "shown"
    assert found["command"] == "python experiments/reproduce.py toy"
    assert found["title"] == "Toy (Us, 2000)"
    text = (folder / "report.md").read_text()
    assert "**shown**" in text
    assert "![Claims on NLL](figures/claims_dependence_loss.png)" in text
    figures = {path.name for path in (folder / "figures").iterdir()}
    assert figures == {"claims_error.png", "claims_dependence_loss.png"}
    printed = capsys.readouterr().out
    assert "3 claims: 1 shown, 1 not shown, 1 contradicted" in printed
    assert "run 6 of 6: wide, seed 2" in printed

  def test_only_and_report(self, tmp_path, toy):
    assert self.call(tmp_path, "--only=wide", "--seeds=2") == 0
    assert toy.calls == [("wide", 0), ("wide", 1)]
    assert self.call(tmp_path, "--report") == 0
    assert len(toy.calls) == 2
    found = json.loads((tmp_path / "runs" / "toy" / "report.json").read_text())
    assert found["missing"] == {"narrow": [0, 1, 2], "wide": [2]}
    assert found["arms"]["wide"]["seeds"] == [0, 1]

  def test_first_seed(self, tmp_path, toy, monkeypatch):
    found = protocol(tmp_path, first_seed=4)
    monkeypatch.setattr(claims, "load", lambda method, pilot=False: found)
    assert self.call(tmp_path, "--only=wide", "--seeds=2") == 0
    assert toy.calls == [("wide", 4), ("wide", 5)]
    written = json.loads((tmp_path / "runs" / "toy" / "report.json").read_text())
    assert written["seeds"] == [4, 5] and written["missing"] == {"narrow": [4, 5]}
    assert written["command"].endswith("toy --seeds=2")

  def test_sigterm_ends_well(self, tmp_path, toy, capsys):
    toy.fail_at = 2
    assert self.call(tmp_path) == 0
    assert "the same command resumes" in capsys.readouterr().out
    assert not (tmp_path / "runs" / "toy" / "report.json").exists()

  @pytest.mark.parametrize(
    ("flags", "message"),
    [
      (["nonsense"], "no claims of 'nonsense'.*continuous_dropout"),
      (["continuous_dropout", "--only=none,nil"], "no arm 'nil'.*uniform"),
      (["continuous_dropout", "--seeds=0"], "--seeds=0"),
      (["continuous_dropout", "--seeds=x"], "--seeds.*'x'"),
      (["continuous_dropout", "--sneeds=2"], "--sneeds"),
      (["--only=none"], "--only: name the one method"),
      (["--publish=there", "--workdir=nowhere"], "nowhere has no complete report"),
    ],
  )
  def test_mistakes_are_one_sentence(self, flags, message, capsys):
    assert reproduce.main(flags) == 2
    out, err = capsys.readouterr()
    assert err.startswith("error: ") and err.count("\n") == 1 and not out
    assert re.search(message, err)
