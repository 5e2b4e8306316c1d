"""Two processes on the loopback interface train what one process trains."""

import json
import socket
import subprocess

import pytest
from test_cli import ROOT, SMALL, command, environment

ARGS = [*SMALL, "--config.model.hidden=(128,)", "--config.batch_size=40"]


def free_port():
  with socket.socket() as listener:
    listener.bind(("127.0.0.1", 0))
    return listener.getsockname()[1]


def start(folder, *args, devices):
  return subprocess.Popen(
    command(*ARGS, f"--workdir={folder}", *args),
    cwd=ROOT,
    env=environment(devices),
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
  )


def finish(processes):
  for process in processes:
    out, _ = process.communicate(timeout=240)
    assert process.returncode == 0, out


def rows(folder):
  """Numbers of `metrics.jsonl`; only the first process writes it."""
  lines = (folder / "metrics.jsonl").read_text().splitlines()
  keys = ("stage", "split")
  return [
    {k: v for k, v in json.loads(line).items() if k not in keys} for line in lines
  ]


def metrics(folder):
  return json.loads((folder / "results.json").read_text())["metrics"]


@pytest.fixture(scope="module")
def one(tmp_path_factory):
  folder = tmp_path_factory.mktemp("one")
  finish([start(folder, devices=4)])
  return folder


@pytest.mark.parametrize("extra", [[], ["--config.mesh.fsdp=2"]], ids=["data", "fsdp"])
def test_two_processes_equal_one(one, tmp_path, extra):
  two = tmp_path / "two"
  address = f"127.0.0.1:{free_port()}"
  finish(
    [
      start(two, f"--distributed={address},2,{rank}", *extra, devices=2)
      for rank in range(2)
    ]
  )
  assert len(rows(one)) == len(rows(two))
  for a, b in zip(rows(one), rows(two), strict=True):
    assert b == pytest.approx(a, rel=2e-3)
  assert metrics(two) == pytest.approx(metrics(one), rel=2e-3)
  by_two = metrics(two)
  finish([start(two, devices=1)])  # one process reads what two have written
  assert metrics(two) == pytest.approx(by_two, rel=2e-3)
