"""Puts the papers' claims to the test: runs all arms over seeds, reports verdicts.

python experiments/reproduce.py                       # all papers
python experiments/reproduce.py gtan ticnn            # these
python experiments/reproduce.py --publish=docs/claims

Only runs that are missing, or were made with another config, are run; an interrupted
one resumes. Each paper's report, in WORKDIR/METHOD, covers whatever is finished;
WORKDIR/report.html and report.md cover all papers of the call. `--only=uniform,none`
runs these arms, `--report` none. `--pilot` runs candidates for numbers that the claims
file fixes. `--publish` runs nothing and copies the reports that are complete.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a clone, uninstalled

from absl import logging

from experiments import claims
from experiments.reproduction import papers, publish, report
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
  listed = ", ".join(claims.methods())
  add("methods", nargs="*", metavar="METHOD", help=f"of {listed}; by default all")
  add("--workdir", type=Path, default=Path("runs/reproduce"), help="folder of all runs")
  add("--seeds", type=int, help="how many; by default the protocol's")
  add("--only", default="", metavar="ARM,ARM", help="run these arms, of one method")
  add("--pilot", action="store_true", help="run what numbers are chosen by")
  add("--report", action="store_true", help="run nothing")
  add("--publish", type=Path, metavar="FOLDER", help="copy complete reports there")
  args = parser.parse_args(argv)
  if args.only and len(args.methods) != 1:
    raise UserError("--only: name the one method whose arms these are.")
  return args


def reproduce(args: argparse.Namespace) -> Path:
  """Runs what is to be run and writes the reports.

  Returns:
    The folder of the report: one paper's, or that of all.

  Raises:
    UserError: a wrong flag; or a paper could not be run, after all others were.
  """
  chosen = args.methods or claims.methods()
  planned = [
    papers.plan(method, args.workdir, seeds=args.seeds, pilot=args.pilot)
    for method in chosen
  ]
  if len(planned) == 1:
    reproduce_one(planned[0], args)
    return planned[0].folder
  print(papers.outline(planned), flush=True)
  done, found, failed = [], [], []
  for number, paper in enumerate(planned, start=1):
    place = f"paper {number} of {len(planned)} ({paper.method}), "
    try:
      found.append(reproduce_one(paper, args, place))
      done.append(paper)
    except UserError as error:  # data that one paper lacks do not stop the others
      failed.append(f"{paper.method}: {error}")
      print(f"{place}left out: {error}", flush=True)
  if found:
    papers.write_overview(done, found, args.workdir)
  if failed:
    raise UserError(" ".join(failed))
  return args.workdir


def reproduce_one(
  paper: papers.Paper, args: argparse.Namespace, place: str = ""
) -> dict[str, Any]:
  """Runs what is to be run of a paper; writes and returns its report."""
  if not args.report:
    from jaxvision import experiment  # a mistake in the flags answers at once

    arms = [name for name in args.only.split(",") if name]
    papers.run(paper, experiment.run, arms=arms, place=place)
  found = papers.write_report(paper)
  tally = ", ".join(f"{n} {verdict}" for verdict, n in report.counts(found).items())
  print(f"{place}{len(found['claims'])} claims: {tally}", flush=True)
  return found


def main(argv: Sequence[str]) -> int:
  """Runs what the flags say; returns 0, also after SIGTERM, or 2 after a mistake."""
  logging.set_verbosity(logging.ERROR)  # Orbax tells every save at a lower level
  interruption.install()
  try:
    args = parse(argv)
    if args.publish:
      chosen = args.methods or claims.methods()
      done = publish.publish(chosen, args.workdir, args.publish)
      print(f"published in {args.publish}: {', '.join(done)}")
    else:
      print(f"the report is {reproduce(args) / 'report.html'}")
  except UserError as error:
    print(f"error: {error}", file=sys.stderr)
    return MISTAKE
  except interruption.Interrupted:
    print("stopped by SIGTERM; the same command resumes")
  return OK


if __name__ == "__main__":
  sys.exit(main(sys.argv[1:]))
