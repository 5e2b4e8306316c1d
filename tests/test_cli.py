"""The command line as a user meets it: flags, messages, signals, other processes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SMALL = [
  "--config=configs/continuous_dropout.py",
  "--config.data.name=digits",
  "--config.model.hidden=(32,)",
  "--config.dependence.at=('relu1',)",
  "--config.eval.every=20",
  "--config.eval.batch_size=64",
  "--config.log.every=10",
  "--config.log.figures=False",
  "--config.epochs=3",
]  # 11 steps an epoch


def command(*args):
  return [sys.executable, "experiments/main.py", *args]


def environment(devices=1):
  """That of the tests, with another number of devices than their four."""
  flags = os.environ["XLA_FLAGS"]
  count = f"device_count={devices}"
  return {**os.environ, "XLA_FLAGS": flags.replace("device_count=4", count)}


def main(*args, code=0):
  done = subprocess.run(
    command(*args), cwd=ROOT, env=environment(), capture_output=True, text=True
  )
  assert done.returncode == code, done.stderr + done.stdout
  assert "Traceback" not in done.stderr
  return done


def mistake(*args):
  """Runs what must fail; returns its one sentence."""
  done = main(*args, code=2)
  lines = done.stderr.strip().splitlines()
  assert len(lines) == 1 and lines[0].startswith("error: "), done.stderr
  return lines[0]


def results(folder):
  return json.loads((folder / "results.json").read_text())


@pytest.mark.parametrize(
  "args, words",
  [
    (["--config.unknown=1"], "config.unknown: the config has no such key"),
    (["--config.optimizer.learning_rat=1"], "did you mean optimizer.learning_rate"),
    (["--config.epochs=many"], "--config.epochs=many"),
    (["--config.model.hidden=wide"], "config.model.hidden"),
    (["--mode=dance"], "--mode=dance"),
    (["--mod=plan"], "mod"),
    (["surplus"], "unexpected argument 'surplus'"),
    (["--distributed=here"], "HOST:PORT,COUNT,ID"),
    (["--config.data.name=npz:/nowhere.npz"], "/nowhere.npz"),
  ],
)
def test_mistakes_end_in_one_sentence(tmp_path, args, words):
  assert words in mistake(*SMALL, f"--workdir={tmp_path / 'run'}", *args)
  assert not (tmp_path / "run").exists()


def test_missing_config_file_and_variant():
  assert "there is no file" in mistake("--config=configs/nothing.py", "--workdir=x")
  assert "has no variant 'x'" in mistake(
    "--config=configs/continuous_dropout.py:x", "--workdir=x"
  )
  assert "--workdir" in mistake("--config=configs/continuous_dropout.py")


def start(*args):
  return subprocess.Popen(
    command(*args),
    cwd=ROOT,
    env={**environment(), "PYTHONUNBUFFERED": "1"},
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )


LONG = [*SMALL, "--config.epochs=30", "--config.checkpoint.every=50"]  # 330 steps


def wait_for(process, words):
  for line in process.stdout:
    if words in line:
      return line
  raise AssertionError(process.stderr.read())


def test_interrupted_and_killed_run_ends_like_an_undisturbed_one(tmp_path):
  whole, broken = tmp_path / "whole", tmp_path / "broken"
  main(*LONG, f"--workdir={whole}")
  interrupt(broken)
  kill(broken)
  done = main(*LONG, f"--workdir={broken}")
  assert "resumed from step" in done.stdout
  assert results(broken)["metrics"] == results(whole)["metrics"]


def interrupt(folder):
  """SIGTERM saves and exits with 0 within seconds."""
  process = start(*LONG, f"--workdir={folder}")
  wait_for(process, "100 train")
  process.send_signal(signal.SIGTERM)
  begin = time.monotonic()
  out, err = process.communicate(timeout=30)
  assert process.returncode == 0, err
  assert time.monotonic() - begin < 10
  assert "SIGTERM: saved stage train at step" in out
  assert not (folder / "results.json").exists()


def kill(folder):
  """SIGKILL leaves what was saved before; the run had resumed from the SIGTERM's."""
  process = start(*LONG, f"--workdir={folder}")
  wait_for(process, "resumed from step")
  wait_for(process, "200 train")
  process.kill()
  process.communicate()
