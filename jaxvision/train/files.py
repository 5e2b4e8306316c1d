"""Files that are written whole or not at all."""

import json
import os
import time
from pathlib import Path


def write_atomically(path: Path, text: str) -> None:
  """Writes a file so that a kill leaves the old one or the new one, nothing else."""
  path.parent.mkdir(parents=True, exist_ok=True)
  part = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}")
  try:
    with part.open("w") as file:
      file.write(text)
      file.flush()
      os.fsync(file.fileno())
    part.replace(path)
  finally:
    part.unlink(missing_ok=True)


def write_json(path: Path, value: object) -> None:
  """Writes JSON atomically, indented, with a last newline."""
  write_atomically(path, json.dumps(value, indent=2) + "\n")
