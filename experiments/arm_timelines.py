"""Draws what the arms of a temporal claim find in the same windows, below the truth.

python experiments/arm_timelines.py ahernet --workdir=runs/reproduce

One figure for each of the first test windows, of the runs that `reproduce.py` has
finished with one seed; by default its first.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a clone, uninstalled

import jax
import numpy as np

from experiments import claims
from experiments.reproduction.runs import FINISHED, Run, plan_runs, status
from jaxvision import experiment
from jaxvision.data.partial_examples import PartialDataset
from jaxvision.data.temporal import TemporalExamples
from jaxvision.errors import UserError
from jaxvision.methods.common import detection_rows, windows
from jaxvision.train import state
from jaxvision.viz import timeline
from jaxvision.viz.timeline_rows import Bars


def found(run: Run, test: TemporalExamples, count: int) -> list[Bars]:
  """What the trained network of a run finds in each of the first windows."""
  plan = experiment.prepare(experiment.method_module(run.config.method), run.config)
  trained = state.variables(experiment.final_state(plan, run.folder))
  features = test[np.arange(count)]["features"]
  outputs = jax.device_get(jax.jit(plan.method.predict)(trained, features))
  listed = windows.listed(outputs, np.arange(count))
  rows = (listed.take(np.flatnonzero(listed.video == i)) for i in range(count))
  return [detection_rows.found(row)._replace(name=run.arm) for row in rows]


def draw(method: str, workdir: Path, seed: int | None, count: int, top: int) -> Path:
  """Draws the figures and returns their folder.

  Raises:
    UserError: no arm has finished.
  """
  protocol = claims.load(method)
  seed = protocol.first_seed if seed is None else seed
  done = [
    r for r in plan_runs(protocol, workdir / method, [seed]) if status(r) == FINISHED
  ]
  if not done:
    raise UserError(
      f"no run of {method} with seed {seed} has finished in {workdir}; start "
      f"experiments/reproduce.py {method}."
    )
  data = experiment.method_module(method).load(done[0].config)
  data = data.target if isinstance(data, PartialDataset) else data
  test = data.splits["test"]
  count = min(count, len(test))
  arms = [found(run, test, count) for run in done]
  folder = workdir / method / "figures"
  for i in range(count):
    valid = test.valid[i]
    truth = Bars("truth", test.segments[i][valid].astype(float), test.label[i][valid])
    timeline.draw_timeline(
      [truth, *(rows[i] for rows in arms)],
      folder / f"arms_window_{i}.png",
      duration=1.0,
      title=f"window {i}, seed {seed}",
      classes=data.classes,
      xlabel="window",
      top=top,
    )
  return folder


def main() -> None:
  """Reads the flags."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("method", choices=claims.methods())
  parser.add_argument("--workdir", type=Path, default=Path("runs/reproduce"))
  parser.add_argument("--seed", type=int, help="by default the protocol's first")
  parser.add_argument("--windows", type=int, default=4)
  parser.add_argument("--top", type=int, default=5, help="detections of an arm")
  args = parser.parse_args()
  try:
    print(draw(args.method, args.workdir, args.seed, args.windows, args.top))
  except UserError as error:
    sys.exit(f"error: {error}")


if __name__ == "__main__":
  main()
