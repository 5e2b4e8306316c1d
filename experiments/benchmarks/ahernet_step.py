"""AherNet's six updates in one program against a torch twin that takes them in turn.

python experiments/benchmarks/ahernet_step.py [--fast] [--only=step,fused,compile,peak]

Both take the default network's step on the same generated data; "fused" is ours with
two optimizer steps in place of eleven, which is not the same training. "compile" tells
the seconds to compile our steps; "peak" the memory of either side's process above what
it had at its start, which for ours includes compiling. Prints JSON lines; below 1 we
are faster. `--fast` takes few steps.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import jax
import numpy as np
import torch

from configs import ahernet
from experiments.benchmarks import against_torch, ahernet_twin, stages, timing
from jaxvision.ops.contextual_moments import TWENTIETHS


class Twin:
  """The torch twin on the data of ours."""

  def __init__(self, ours: stages.Ours, size: int):
    """Takes resident data and numbers of classes from `ours`."""
    data = jax.device_get(ours.frozen["data"])
    self.data = {k: ahernet_twin.channels_first(x) for k, x in data.items()}
    params = ours.state["params"]
    names = ("source", "target")
    classes = {n: params[f"regv_{n}"]["layer1"]["bias"].size for n in names}
    self.twin, self.size = ahernet_twin.Twin(classes), size

  def train(self, steps: int) -> None:
    """Takes some steps."""
    rng = np.random.default_rng(0)
    for _ in range(steps):
      batch = {}
      for name, arrays in self.data.items():
        rows = torch.tensor(rng.integers(len(arrays["label"]), size=self.size))
        batch[name] = {k: x[rows] for k, x in arrays.items()}
      draw = lambda low: torch.tensor(TWENTIETHS[rng.integers(low, 20, self.size)])
      self.twin.train(batch, draw(14), draw(1))


def configure(variant: str):
  """The config of the six updates alone."""
  config = ahernet.get_config(variant)
  config.warm_start = 0
  return config


def compile_seconds(ours: stages.Ours) -> dict[str, float]:
  """Wall and CPU seconds to trace and compile one step, and its memory by XLA."""
  stage, key = ours.program.stage, jax.random.key(0)
  batch = jax.tree.map(lambda s: np.zeros(s.shape, s.dtype), stage.spec)
  wall, cpu = time.perf_counter(), time.process_time()
  compiled = jax.jit(stage.step).lower(ours.state, ours.frozen, batch, key).compile()
  return {
    "wall_s": round(time.perf_counter() - wall, 1),
    "cpu_s": round(time.process_time() - cpu, 1),
    "temporaries_mib": round(compiled.memory_analysis().temp_size_in_bytes / 2**20, 1),
  }


def peak(side: str) -> None:
  """Prints how many MiB this process needed above its imports, and data of ours."""
  ours = stages.Ours(configure(""))
  before = peak_kib()
  if side == "torch":
    Twin(ours, ours.method.stages[0].spec["source"].shape[0]).train(10)
  else:
    jax.block_until_ready(ours.train(10))
  print(round((peak_kib() - before) / 2**10))


def peak_kib() -> int:
  """Most memory that this process has had, on Linux.

  Not `getrusage`, whose figure begins at that of the process that started this one.
  """
  status = Path("/proc/self/status").read_text()
  return int(status.partition("VmHWM:")[2].split()[0])


def step(steps: int, rounds: int) -> None:
  """The six updates against the twin."""
  config = configure("")
  ours = stages.Ours(config)
  twin = Twin(ours, config.batch_size)
  programs = {
    "jaxvision": lambda: ours.train(steps),
    "torch": lambda: twin.train(steps),
  }
  facts = lambda _: {"steps": steps, "batch": config.batch_size}
  against_torch.compare("ahernet_six_updates", programs, rounds, facts)


def fused(steps: int, rounds: int) -> None:
  """One update in place of six."""
  ours = {name: stages.Ours(configure(v)) for name, v in VARIANTS.items()}
  programs = {name: lambda o=o: o.train(steps) for name, o in ours.items()}
  times = timing.measure(programs, rounds=rounds)
  timing.report("ahernet_fused", times, baseline="ordered", steps=steps)


def compiled(steps: int, rounds: int) -> None:
  """Seconds to compile either."""
  del steps, rounds
  jax.config.update("jax_enable_compilation_cache", False)
  for name, variant in VARIANTS.items():
    found = compile_seconds(stages.Ours(configure(variant)))
    line = {"benchmark": "ahernet_compile", "step": name, **found}
    print(json.dumps(line), flush=True)


def peaks(steps: int, rounds: int) -> None:
  """Peak memory of both sides, each in a process of its own."""
  del steps, rounds
  found = {}
  for side in ("jaxvision", "torch"):
    command = [sys.executable, __file__, "--peak", side]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found[side] = int(output.split()[-1])
  print(json.dumps({"benchmark": "ahernet_peak", "mib": found}), flush=True)


VARIANTS = {"ordered": "", "fused": "fused"}
CASES = {"step": step, "fused": fused, "compile": compiled, "peak": peaks}


def main() -> None:
  """Runs the cases."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--fast", action="store_true")
  parser.add_argument("--only", default=",".join(CASES), help="cases, with commas")
  parser.add_argument("--peak", default="", help="internal: of one side")
  arguments = parser.parse_args()
  if arguments.peak:
    peak(arguments.peak)
    return
  for name in arguments.only.split(","):
    CASES[name](*((10, 3) if arguments.fast else (50, 7)))


if __name__ == "__main__":
  main()
