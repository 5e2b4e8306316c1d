"""Files that are written whole or not at all, and those that a user names as inputs."""

import json
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from jaxvision.errors import UserError


def input_files(
  paths: Sequence[str], suffixes: Sequence[str], *, below: bool = True
) -> Iterator[Path]:
  """Yields files as they are named; a folder stands for those in it, sorted.

  Args:
    paths: of `--inputs`.
    suffixes: of the files that are taken from a folder, in small letters.
    below: whether folders within it count, too.

  Raises:
    UserError: a path that is missing, or a folder without such a file.
  """
  for path in map(Path, paths):
    if path.is_file():
      yield path
      continue
    there = path.rglob("*") if below else path.glob("*")
    found = sorted(p for p in there if p.suffix.lower() in suffixes)
    if not found:
      raise UserError(f"--inputs: {path} is no file and has no {', '.join(suffixes)}.")
    yield from found


def write_bytes(path: Path, content: bytes) -> None:
  """Writes a file so that a kill leaves the old one or the new one, nothing else."""
  path.parent.mkdir(parents=True, exist_ok=True)
  part = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}")
  try:
    with part.open("wb") as file:
      file.write(content)
      file.flush()
      os.fsync(file.fileno())
    part.replace(path)
  finally:
    part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
  """Writes UTF-8 text as `write_bytes` does."""
  write_bytes(path, text.encode())


def write_json(path: Path, value: object) -> None:
  """Writes JSON as `write_bytes` does, indented, with a last newline."""
  write_text(path, json.dumps(value, indent=2) + "\n")
