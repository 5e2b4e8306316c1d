"""Measures what longer windows and more videos cost GTAN.

    python experiments/benchmarks/temporal_growth.py [--fast]

The network of `configs/gtan.py` with one kernel a cell: the whole training step of the
loop, the network alone, and the network with decoding and soft-NMS. Windows grow from
128 to 1024 steps, the pyramid with them, so that its last layer always has two cells;
videos from 16 to 128 in a batch. Prints JSON lines: times, and what each doubling
costs: 2 is in proportion, and the Gaussian weights of a layer, cells by cells, are more
than that. `--fast` doubles once, as compilation takes longest, in few steps and rounds.
"""

import argparse
import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from configs import gtan
from experiments.benchmarks import stages
from experiments.benchmarks.timing import measure, report_growth
from jaxvision.methods.common import supervised
from jaxvision.train import state

LENGTHS, VIDEOS = (128, 256, 512, 1024), (16, 32, 64, 128)  # the first ones meet
CHANNELS = 64
Program = Callable[[], Any]


def config(length: int, videos: int):
  """The default, on windows of another length, in batches of another size."""
  result = gtan.get_config()
  with result.unlocked():
    result.data.length, result.batch_size, result.per_dispatch = length, videos, 1
    result.data.generated.update({"train": 128, "val": 1, "test": 1})
    layers = (length // 4).bit_length() - 1  # 128 steps: 32 to 2 cells
    result.model.anchor_widths = (CHANNELS,) * layers
  return result


@functools.cache
def programs(length: int, videos: int, steps: int) -> dict[str, Program]:
  """The three programs of one size, on generated windows."""
  settings = config(length, videos)
  ours = stages.Ours(settings)
  features = ours.frozen["data"]["features"][:videos]
  # a copy, as the loop gives the state's own arrays away with the first step
  variables = jax.tree.map(jnp.copy, state.variables(ours.state))
  model = supervised.build_model(settings, settings.data.generated.classes)
  network = jax.jit(lambda v, x: model.apply(v, x, train=False))
  detect = jax.jit(ours.method.predict)
  return {
    "train_step": lambda: ours.train(steps),
    "network": lambda: [network(variables, features) for _ in range(steps)],
    "detections": lambda: [detect(variables, features) for _ in range(steps)],
  }


def grow(sizes: list[tuple[int, int]], label: str, steps: int, rounds: int) -> None:
  """Prints a line for each program over sizes (steps of a window, videos)."""
  axis = ("steps", "videos").index(label)
  made = {str(size[axis]): programs(*size, steps) for size in sizes}
  fixed = ("videos", "steps")[axis], sizes[0][1 - axis]
  for name in next(iter(made.values())):
    runs = {size: programs[name] for size, programs in made.items()}
    times = measure(runs, rounds=rounds)
    for clock in ("wall", "cpu"):
      facts = {"sizes": label, fixed[0]: fixed[1], "calls": steps}
      report_growth(f"temporal_{name}", times, clock=clock, **facts)


def main() -> None:
  """Reads the flag and measures both ways of growing."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--fast", action="store_true")
  fast = parser.parse_args().fast
  steps, rounds = (2, 3) if fast else (10, 7)
  lengths, videos = (LENGTHS[:2], VIDEOS[:2]) if fast else (LENGTHS, VIDEOS)
  grow([(t, VIDEOS[0]) for t in lengths], "steps", steps, rounds)
  grow([(LENGTHS[0], v) for v in videos], "videos", steps, rounds)


if __name__ == "__main__":
  main()
