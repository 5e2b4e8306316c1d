"""Two processes on the loopback interface train what one process trains."""

import json
import os
import socket
import subprocess

import pytest
from test_cli import ROOT, SMALL, command

ARGS = [*SMALL, "--config.model.hidden=(128,)", "--config.batch_size=40"]


def free_port():
  with socket.socket() as listener:
    listener.bind(("127.0.0.1", 0))
    return listener.getsockname()[1]


def start(folder, *args, devices):
  flags = f"--xla_force_host_platform_device_count={devices}"
  return subprocess.Popen(
    command(*ARGS, f"--workdir={folder}", *args),
    cwd=ROOT,
    env={**os.environ, "XLA_FLAGS": flags},
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


@pytest.mark.parametrize("extra", [[], ["--config.mesh.fsdp=2"]], ids=["data", "fsdp"])
def test_two_processes_equal_one(tmp_path, extra):
  one, two = tmp_path / "one", tmp_path / "two"
  finish([start(one, devices=4)])
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
