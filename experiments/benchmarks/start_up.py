"""Seconds from the command to the first finished training step, cold and warm.

python experiments/benchmarks/start_up.py [--runs=3]

Cold: nothing is compiled yet (an empty compilation cache; the data set is prepared).
Warm: the same command again. Prints one JSON line.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def seconds_to_first_step(cache: str) -> float:
  """Runs the default experiment until it reports step 1, then ends it."""
  with tempfile.TemporaryDirectory() as workdir:
    begin = time.perf_counter()
    process = subprocess.Popen(
      [
        sys.executable,
        "experiments/main.py",
        "--config=configs/continuous_dropout.py",
        f"--workdir={workdir}",
        "--config.log.every=1",
        "--config.per_dispatch=1",
      ],
      cwd=ROOT,
      env={**os.environ, "JAX_COMPILATION_CACHE_DIR": cache, "PYTHONUNBUFFERED": "1"},
      stdout=subprocess.PIPE,
      text=True,
    )
    for line in process.stdout:
      if " 1 train" in line:
        break
    seconds = time.perf_counter() - begin
    process.kill()
    process.wait()
  return seconds


def main() -> None:
  """Prints cold and warm times."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--runs", type=int, default=3)
  runs = parser.parse_args().runs
  cold, warm = [], []
  for _ in range(runs):
    with tempfile.TemporaryDirectory() as cache:
      cold.append(seconds_to_first_step(cache))
      warm.append(seconds_to_first_step(cache))
  row = {
    "benchmark": "start_up",
    "cold_seconds": round(statistics.median(cold), 2),
    "warm_seconds": round(statistics.median(warm), 2),
    "runs": runs,
  }
  print(json.dumps(row))


if __name__ == "__main__":
  main()
