"""Training steps of Continuous Dropout against torch twins, and the input's share.

python experiments/benchmarks/train_step.py [--steps=50] [--rounds=7]

Ours is the whole step of the loop: batches taken and placed, gathered, masked, trained,
watched for NaN. Prints JSON lines; below 1 we are faster.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from configs import continuous_dropout
from experiments.benchmarks import against_torch, stages, twins

CASES = {  # variant -> torch twin
  "": lambda: twins.trainer(twins.mlp(masks=True)),
  "none": lambda: twins.trainer(twins.mlp(masks=False)),
  "cnn": lambda: twins.trainer(twins.cnn(), channels_last=True),
}


def compare(variant: str, twin: Callable[[int], float], steps: int, rounds: int):
  """Prints the line of one case."""
  ours = stages.Ours(continuous_dropout.get_config(variant))
  programs = {"jaxvision": lambda: ours.train(steps), "torch": lambda: twin(steps)}

  def facts(times):
    share = ours.feeder.seconds / (rounds + 1) / (sum(times["jaxvision"].wall) / rounds)
    name = variant or "default"
    return {"variant": name, "steps": steps, "input_share": round(share, 4)}

  against_torch.compare("train_step", programs, rounds, facts)


def main() -> None:
  """Runs all cases."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--steps", type=int, default=50)
  parser.add_argument("--rounds", type=int, default=7)
  args = parser.parse_args()
  for variant, make in CASES.items():
    compare(variant, make(), args.steps, args.rounds)


if __name__ == "__main__":
  main()
