"""Size and checksum of every file of a finished checkpoint, written last.

With them damage is found before Orbax reads: Orbax gives up at the first array that it
cannot read, and its other reads, still in flight, then print tracebacks of their own.
"""

import json
import zlib
from pathlib import Path

from jaxvision import files

NAME = "seal.json"


def write(folder: Path) -> None:
  """Writes the seal of a folder whose files are final."""
  files.write_json(folder / NAME, _facts(folder))


def check(folder: Path) -> None:
  """Compares the files of a folder with its seal; without one it passes.

  A kill between the last file and the seal leaves none.

  Raises:
    ValueError: a file is missing or differs, or the seal itself is damaged.
  """
  path = folder / NAME
  if not path.exists():
    return
  expected, found = json.loads(path.read_text()), _facts(folder)
  for name, facts in expected.items():
    if found.get(name) != facts:
      raise ValueError(f"{name} is {'damaged' if name in found else 'missing'}")


def _facts(folder: Path) -> dict[str, list[int]]:
  paths = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != NAME)
  return {
    p.relative_to(folder).as_posix(): [p.stat().st_size, _checksum(p)] for p in paths
  }


def _checksum(path: Path) -> int:
  value = 0
  with path.open("rb") as file:
    while chunk := file.read(2**24):
      value = zlib.crc32(chunk, value)
  return value
