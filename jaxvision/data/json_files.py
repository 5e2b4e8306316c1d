"""JSON files of the user's: compressed or not, and each mistake with its place."""

import gzip
import json
import math
import pathlib
import zlib
from collections.abc import Callable
from typing import Any

from jaxvision.errors import UserError

# What a parser does with a sentence on a mistake: a reader raises, `validate` collects.
Complain = Callable[[str], None]
GZIP = b"\x1f\x8b"
DAMAGED = (EOFError, OSError, zlib.error)
SHOWN = 60  # characters of an object in a message


def refuse(path: str | pathlib.Path) -> Complain:
  """Returns a `Complain` that raises `UserError` with the file's name in front."""

  def complain(sentence: str) -> None:
    raise UserError(f"{path}: {sentence}")

  return complain


def read_text(path: str | pathlib.Path) -> str:
  """Returns the text of a UTF-8 file, decompressed if it is in gzip's format.

  Raises:
    UserError: if the file is missing, cut off, or no text.
  """
  file = pathlib.Path(path).expanduser()
  if not file.is_file():
    raise UserError(f"there is no file {file}: give the path of an existing one.")
  try:
    content = file.read_bytes()
    if content.startswith(GZIP):
      content = gzip.decompress(content)
    return content.decode("utf-8-sig")
  except DAMAGED as error:
    raise UserError(
      f"{file} is cut off or damaged ({error}): copy it again."
    ) from error
  except UnicodeDecodeError as error:
    raise UserError(f"{file} is no UTF-8 text ({error}): copy it again.") from error


def read_json(path: str | pathlib.Path, complain: Complain) -> Any:
  """Returns what a JSON file holds.

  Args:
    path: the file, `.gz` or plain.
    complain: takes one sentence for each key that occurs twice in one object; of such
      values JSON readers keep the last one without a word.

  Raises:
    UserError: if the file is missing, cut off, or no JSON.
  """

  def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
      keys = [key for key, _ in pairs]
      for key in value:
        if keys.count(key) > 1:
          complain(
            f"the key {key!r} occurs {keys.count(key)} times in the object"
            f" {_short(value)}: keep one of them."
          )
    return value

  text = read_text(path)
  try:
    return json.loads(text, object_pairs_hook=unique)
  except (ValueError, RecursionError) as error:  # also of too long an integer
    raise UserError(
      f"{path} is no JSON, or is cut off ({error}): copy or write it again."
    ) from error


def number(value: Any) -> float | None:
  """The finite number that JSON holds as `value`, or None; texts and bools are none."""
  if isinstance(value, bool) or not isinstance(value, int | float):
    return None
  try:
    return float(value) if math.isfinite(value) else None
  except OverflowError:  # an integer beyond the floats
    return None


def _short(value: Any) -> str:
  text = repr(value)
  return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."
