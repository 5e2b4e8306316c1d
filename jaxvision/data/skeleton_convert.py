"""Converts a folder of skeletons once into an ArrayRecord data set.

python -m jaxvision.data.skeleton_convert --source=FOLDER --target=FOLDER

The source holds NTU's `.skeleton` files, or Kinetics-Skeleton. Recordings that cannot
be read are left out; `skipped.txt` in the target says which, and why. A conversion that
was interrupted goes on where it stopped. The exit code is 0 if all is well, 1 if
recordings were left out and 2 for a mistake.
"""

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from jaxvision import interruption
from jaxvision.data.skeleton_conversion import SHARD, SKIPPED, convert
from jaxvision.errors import UserError

CLEAN, LEFT_OUT, MISTAKE = 0, 1, 2
SHOWN = 5  # recordings left out that the terminal names


class _Parser(argparse.ArgumentParser):
  """Says in one sentence what is wrong, as the other commands do."""

  def error(self, message: str) -> NoReturn:
    raise UserError(f"{message}; --help lists the options.")


def _parser() -> _Parser:
  parser = _Parser(
    prog="python -m jaxvision.data.skeleton_convert",
    description="Converts skeletons once into an ArrayRecord data set.",
    allow_abbrev=False,
  )
  parser.add_argument(
    "--source", required=True, help="folder of .skeleton files, or Kinetics-Skeleton"
  )
  parser.add_argument("--target", required=True, help="folder that is written")
  parser.add_argument(
    "--workers", type=int, default=0, help="processes; 0 is one a core"
  )
  parser.add_argument(
    "--shard_size", type=int, default=SHARD, help="recordings in one file"
  )
  return parser


def main(argv: Sequence[str] | None = None) -> int:
  """Converts and prints a summary; returns the exit code."""
  try:
    options = _parser().parse_args(argv)
    with _terminal() as report:
      done = convert(**vars(options), report=report)
  except UserError as error:
    print(f"error: {error}", file=sys.stderr)
    return MISTAKE
  except (interruption.Interrupted, KeyboardInterrupt):
    print("stopped; the same command goes on where it was.", file=sys.stderr)
    return CLEAN
  for name, why in list(done.skipped.items())[:SHOWN]:
    print(f"left out {name}: {why}")
  print(
    f"{done.records} recordings in {done.shards} files"
    f" ({done.reused} of them from an earlier conversion), {len(done.skipped)} left out"
    + f", see {Path(options.target) / SKIPPED}"
    * bool(done.skipped)
  )
  return LEFT_OUT if done.skipped else CLEAN


@contextlib.contextmanager
def _terminal() -> Iterator[Callable[[str], None]]:
  """Prints lines of progress: on a terminal over each other."""
  over = sys.stderr.isatty()
  yield lambda line: print(
    f"\r\033[K{line}" if over else line,
    end="" if over else "\n",
    file=sys.stderr,
    flush=True,
  )
  if over:
    print(file=sys.stderr)


if __name__ == "__main__":
  interruption.install()
  sys.exit(main())
