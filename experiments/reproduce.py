"""Puts a paper's claims to the test: runs all arms over seeds, reports verdicts.

python experiments/reproduce.py continuous_dropout --workdir=runs/reproduce

Only runs that are missing, or were made with another config, are run; an interrupted
one resumes. `--only=uniform,none` runs these arms, `--report` none; the report covers
whatever is finished. `--pilot` runs candidates for numbers that the claims file fixes.
"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a clone, uninstalled

from absl import logging

from experiments import claims
from experiments.reproduction import markdown, report, runs
from jaxvision import interruption
from jaxvision.cli import MISTAKE, OK
from jaxvision.errors import UserError


class _Parser(argparse.ArgumentParser):
  def error(self, message: str) -> NoReturn:
    raise UserError(f"{message}; see --help.")


def parse(argv: Sequence[str]) -> argparse.Namespace:
  """Parses the command line.

  Raises:
    UserError: a wrong flag or value.
  """
  parser = _Parser(
    description=__doc__,
    allow_abbrev=False,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  add = parser.add_argument
  add("method", help=f"one of {', '.join(claims.methods())}")
  add("--workdir", type=Path, default=Path("runs/reproduce"), help="folder of all runs")
  add("--seeds", type=int, help="how many; by default the protocol's")
  add("--only", default="", metavar="ARM,ARM", help="run these arms only")
  add("--pilot", action="store_true", help="run what numbers are chosen by")
  add("--report", action="store_true", help="run nothing")
  return parser.parse_args(argv)


def choose_arms(protocol: claims.Protocol, only: str) -> list[str]:
  """Reads `--only`; empty is all arms."""
  chosen = [name for name in only.split(",") if name] or list(protocol.arms)
  for name in chosen:
    if name not in protocol.arms:
      raise UserError(
        f"--only: there is no arm {name!r}; choose of {', '.join(protocol.arms)}."
      )
  return chosen


def reproduce(args: argparse.Namespace, command: str) -> Path:
  """Runs what is to be run, writes the report and returns its folder."""
  protocol = claims.load(args.method, pilot=args.pilot)
  arms = choose_arms(protocol, args.only)
  count = protocol.seeds if args.seeds is None else args.seeds
  if count < 1:
    raise UserError(f"--seeds={count}: give 1 or more.")
  seeds = range(protocol.first_seed, protocol.first_seed + count)
  folder = args.workdir / f"{args.method}{'_pilot' if args.pilot else ''}"
  planned = runs.plan_runs(protocol, folder, seeds)
  if not args.report:
    from jaxvision import experiment  # a mistake in the flags answers at once

    todo = [run for run in planned if run.arm in arms]
    runs.run_unfinished(todo, experiment.run)
  found = report.build(
    protocol, runs.collect(planned), seeds, method=args.method, command=command
  )
  report.write(found, markdown.render(found), folder)
  tally = ", ".join(f"{n} {verdict}" for verdict, n in report.counts(found).items())
  print(f"{len(found['claims'])} claims: {tally}")
  return folder


def main(argv: Sequence[str]) -> int:
  """Runs what the flags say; returns 0, also after SIGTERM, or 2 after a mistake."""
  logging.set_verbosity(logging.ERROR)  # Orbax tells every save at a lower level
  interruption.install()
  command = shlex.join(["python", "experiments/reproduce.py", *argv])
  try:
    print(f"the report is {reproduce(parse(argv), command) / 'report.md'}")
  except UserError as error:
    print(f"error: {error}", file=sys.stderr)
    return MISTAKE
  except interruption.Interrupted:
    print("stopped by SIGTERM; the same command resumes")
  return OK


if __name__ == "__main__":
  sys.exit(main(sys.argv[1:]))
