"""Files that are written whole or not at all."""

import json
import os
import time
from pathlib import Path


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
