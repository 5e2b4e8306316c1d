"""Checks annotations against features and names every bad file, key and segment.

python -m jaxvision.data.validate --annotations=annotations.json --features=FOLDER

The exit code is 0 if all is well, 1 if something was found and 2 for a mistake in the
command itself.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from jaxvision.data.checks import validate
from jaxvision.errors import UserError

CLEAN, FOUND, MISTAKE = 0, 1, 2


class _Parser(argparse.ArgumentParser):
  """Says in one sentence what is wrong, as the other commands do."""

  def error(self, message: str) -> NoReturn:
    raise UserError(f"{message}; --help lists the options.")


def _parser() -> _Parser:
  parser = _Parser(
    prog="python -m jaxvision.data.validate",
    description="Checks annotations against features; names all that is wrong.",
    allow_abbrev=False,
  )
  parser.add_argument(
    "--annotations",
    required=True,
    help="JSON in ActivityNet's form, or THUMOS14's folder or text file",
  )
  parser.add_argument(
    "--features", help="folder of npy, npz, csv, h5, pkl or pt, or one file"
  )
  parser.add_argument(
    "--subset", help="check this one alone: training, validation, ..."
  )
  parser.add_argument("--prefix", default="", help="of the names of feature files")
  parser.add_argument(
    "--key",
    default="",
    help="of arrays in files of several, as in v_VIDEO/c3d_features",
  )
  parser.add_argument(
    "--allow_pickle",
    action="store_true",
    help="load Python objects, too: only from whom you trust, as they can run any code",
  )
  parser.add_argument("--layout", default="auto", choices=("auto", "td", "dt"))
  parser.add_argument("--width", type=int, help="numbers a time step, if known")
  parser.add_argument(
    "--class_list", help="of THUMOS14's detections: lines number name"
  )
  return parser


def main(argv: Sequence[str] | None = None) -> int:
  """Prints the findings and a summary; returns the exit code."""
  try:
    report = validate(**vars(_parser().parse_args(argv)))
  except UserError as error:
    print(f"error: {error}", file=sys.stderr)
    return MISTAKE
  for sentence in report.findings:
    print(sentence)
  count = len(report.findings)
  print(
    f"{count or 'no'} finding{'s' * (count != 1)} in {report.videos} videos with"
    f" {report.segments} segments and {report.files} feature files"
  )
  return FOUND if report.findings else CLEAN


if __name__ == "__main__":
  sys.exit(main())
