"""The command line: flags to a run, mistakes to one sentence and exit code 2."""

import difflib
import itertools
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags, logging
from ml_collections import config_flags

from jaxvision import config as config_lib
from jaxvision import interruption
from jaxvision.errors import UserError

MODES = ("train", "eval", "predict", "plan", "export")
OK, MISTAKE = 0, 2
# What absl and ml_collections raise for a wrong key, value or file.
PARSING_ERRORS = (
  AttributeError, KeyError, flags.Error, OSError, TypeError, ValueError,
)  # fmt: skip


def parse_flags(argv: Sequence[str]) -> list[str]:
  """Parses flags for `absl.app.run`; a mistake ends in one sentence, exit code 2."""
  try:
    _check_file(argv)
    sys.argv[:] = argv = by_name(argv)  # ml_collections reads overrides from there
    rest = flags.FLAGS(list(argv))
    _check_tuples(argv, flags.FLAGS.config)
    if len(rest) > 1:
      raise UserError(f"unexpected argument {rest[1]!r}; options begin with --.")
    return rest
  except UserError as error:
    sys.exit(_complain(str(error)))
  except PARSING_ERRORS as error:
    sys.exit(_complain(_explain(argv, error)))


def _check_file(argv: Sequence[str]) -> None:
  for value in _values(argv, "config"):
    path = Path(value.split(":", 1)[0])
    if not path.is_file():
      raise UserError(f"--config={value}: there is no file {path}.")


def _values(argv: Sequence[str], name: str) -> list[str]:
  """Returns the values that a flag is given, as --name=value or --name value."""
  found = [m[1] for a in argv if (m := re.fullmatch(rf"--?{name}=(.*)", a))]
  pairs = itertools.pairwise(argv)
  return found + [b for a, b in pairs if re.fullmatch(rf"--?{name}", a)]


def by_name(argv: Sequence[str]) -> list[str]:
  """Reads --config.attack=pgd as --config.attack.name=pgd, as of all parts with a name.

  Args:
    argv: the command line.
  """
  known = _unchanged(argv) if _overrides(argv) else {}
  found = []
  for argument in argv:
    match = re.fullmatch(r"(--?config\.([^=]+))(=.*)?", argument)
    named = match and match[2] not in known and f"{match[2]}.name" in known
    found.append(f"{match[1]}.name{match[3] or ''}" if named else argument)
  return found


def _explain(argv: Sequence[str], error: Exception) -> str:
  """Finds the config key that is at fault, or repeats the error's first line."""
  known = list(_unchanged(argv))
  for key in _overrides(argv):
    if known and key not in known and not any(k.startswith(f"{key}.") for k in known):
      close = difflib.get_close_matches(key, known, n=3, cutoff=0.5)
      hint = f"did you mean {' or '.join(close)}?" if close else "see the config file."
      return f"--config.{key}: the config has no such key; {hint}"
  lines = [line for line in str(error).strip("'\"").splitlines() if line.strip()]
  return lines[-1] if lines else type(error).__name__


def _overrides(argv: Sequence[str]) -> list[str]:
  matches = (re.match(r"--?(?:no)?config\.([^=]+)", a) for a in argv)
  return [m[1] for m in matches if m]


def _unchanged(argv: Sequence[str]) -> dict[str, Any]:
  """{key: value} of the config file without overrides; {} if it cannot be loaded."""
  values = _values(argv, "config")
  parser = config_flags.config_flags.ConfigFileFlagParser("config")
  try:
    return config_lib.flat(parser.parse(values[-1])) if values else {}
  except Exception:  # the first error, which is being explained, says more
    return {}


def _check_tuples(argv: Sequence[str], config: Any) -> None:
  """Raises if an element of an overridden tuple has a type that its default lacks.

  ml_collections checks the types of all values but of what is in a tuple.
  """
  now, before = config_lib.flat(config) if config else {}, _unchanged(argv)
  for key in _overrides(argv):
    default = before.get(key)
    if not isinstance(default, tuple) or not default:
      continue
    kinds = {type(x) for x in default} | (
      {int} if float in map(type, default) else set()
    )
    odd = [x for x in now[key] if type(x) not in kinds]
    if odd:
      raise UserError(
        f"--config.{key}: {odd[0]!r} is no {type(default[0]).__name__}; "
        f"the config file has {default}."
      )


def guarded(
  argv: Sequence[str],
  *,
  config: flags.FlagHolder,
  workdir: str | None,
  mode: str,
  inputs: Sequence[str],
  distributed: str,
) -> int:
  """Runs an experiment; returns 0, also after SIGTERM, or 2 after a mistake."""
  del argv
  logging.set_verbosity(logging.ERROR)  # Orbax tells every save at a lower level
  interruption.install()
  try:
    if config.value is None or (workdir is None and mode != "plan"):
      raise UserError("give --config=configs/METHOD.py and --workdir=DIR.")
    _join(distributed)
    # Imported here, after the flags: a mistake in them answers at once.
    from jaxvision import experiment

    source = config_flags.get_config_filename(flags.FLAGS["config"])
    folder = Path(workdir) if workdir else None
    experiment.run(config.value, folder, mode, inputs=inputs, source=source)
  except UserError as error:
    return _complain(str(error))
  except interruption.Interrupted:
    print("stopped by SIGTERM; the same command resumes")
  return OK


def _join(distributed: str) -> None:
  """Joins other processes: "" alone, "auto", or "HOST:PORT,COUNT,ID"."""
  if not distributed:
    return
  import jax

  if distributed == "auto":
    jax.distributed.initialize()
    return
  match = re.fullmatch(r"([^,]+:\d+),(\d+),(\d+)", distributed)
  if not match:
    raise UserError(
      f"--distributed={distributed}: expected auto, or HOST:PORT,COUNT,ID."
    )
  jax.distributed.initialize(match[1], int(match[2]), int(match[3]))


def _complain(sentence: Any) -> int:
  print(f"error: {sentence}", file=sys.stderr)
  return MISTAKE
