"""Training steps of Continuous Dropout against torch twins, and the input's share.

python experiments/benchmarks/train_step.py [--steps=50] [--rounds=7]

Ours is the whole step of the loop: batches taken and placed, gathered, masked, trained,
watched for NaN. Both sides use all cores. Prints JSON lines; below 1 we are faster.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch

from configs import continuous_dropout
from experiments.benchmarks import timing, twins
from jaxvision import experiment
from jaxvision.train import feeding, loop, sharding

CASES = {  # variant -> torch twin
  "": lambda: twins.trainer(twins.mlp(masks=True)),
  "none": lambda: twins.trainer(twins.mlp(masks=False)),
  "cnn": lambda: twins.trainer(twins.cnn(), channels_last=True),
}


class Ours:
  """The step of a variant as the loop runs it."""

  def __init__(self, variant: str):
    """Builds and initialises."""
    config = continuous_dropout.get_config(variant)
    plan = experiment.prepare(experiment.method_module(config.method), config)
    self.program = plan.programs[0]
    stage, mesh = self.program.stage, self.program.mesh
    self.frozen = sharding.place_replicated(stage.frozen({}), mesh)
    self.key, batches = loop.stage_key(0, stage.name), stage.batches(0)
    example = sharding.place_batch(batches[0], mesh)
    self.state = self.program.init(self.key, self.frozen, example)
    self.feeder = feeding.Feeder(batches, 0, 10**9)

  def run(self, steps: int) -> jax.Array:
    """Takes some steps."""
    size = self.program.per_dispatch
    for _ in range(steps // size):
      batches = self.feeder.take(size, size, self.program.mesh)
      self.state, _, health = self.program.dispatch(
        self.state, self.frozen, batches, self.key, np.int32(size)
      )
    return health


def compare(variant: str, twin: Callable[[int], float], steps: int, rounds: int):
  """Prints the line of one case."""
  ours = Ours(variant)
  programs = {"jaxvision": lambda: ours.run(steps), "torch": lambda: twin(steps)}
  times = timing.measure(programs, rounds=rounds)
  waited = ours.feeder.seconds / (rounds + 1)
  total = sum(times["jaxvision"].wall) / rounds
  timing.report(
    "train_step",
    times,
    baseline="torch",
    variant=variant or "default",
    steps=steps,
    input_share=round(waited / total, 4),
  )


def main() -> None:
  """Runs all cases."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--steps", type=int, default=50)
  parser.add_argument("--rounds", type=int, default=7)
  args = parser.parse_args()
  torch.set_num_threads(timing.torch_threads())
  for variant, make in CASES.items():
    compare(variant, make(), args.steps, args.rounds)


if __name__ == "__main__":
  main()
