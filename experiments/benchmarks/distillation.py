"""The student's step of IE-KD, its teacher frozen, against a torch twin.

python experiments/benchmarks/distillation.py [--steps=40] [--rounds=7]

Ours is the whole step of the loop: batches taken and gathered, the teacher and its
encoder applied, the student and two encoders trained, watched for NaN. The line
"beside_plain" has our own step without a teacher as its baseline: what distillation
costs. Prints JSON lines; below 1 we are faster.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from configs import iekd
from experiments.benchmarks import against_torch, distillation_twins, stages, timing


def student(variant: str) -> stages.Ours:
  """The student's stage of a variant."""
  config = iekd.get_config(variant)
  assert config.batch_size == distillation_twins.BATCH
  return stages.Ours(config, "student")


def main() -> None:
  """Runs both comparisons."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--steps", type=int, default=40)
  parser.add_argument("--rounds", type=int, default=7)
  args = parser.parse_args()
  ours, plain = student(""), student("plain")
  twin = distillation_twins.trainer(len(ours.frozen["data"]["label"]))
  programs = {
    "jaxvision": lambda: ours.train(args.steps),
    "torch": lambda: twin(args.steps),
  }
  facts = {"steps": args.steps}
  against_torch.compare("distillation_step", programs, args.rounds, lambda _: facts)
  programs = {"ie": programs["jaxvision"], "plain": lambda: plain.train(args.steps)}
  times = timing.measure(programs, rounds=args.rounds)
  timing.report("distillation_beside_plain", times, baseline="plain", **facts)


if __name__ == "__main__":
  main()
