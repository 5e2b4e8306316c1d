"""The class list of THUMOS14's development kit, and files like it."""

import pathlib

from jaxvision.data.json_files import read_text
from jaxvision.errors import UserError

# Numbers among the 101 classes of UCF101, of which 20 are annotated in time.
DEVKIT_CLASSES = {
  7: "BaseballPitch",
  9: "BasketballDunk",
  12: "Billiards",
  21: "CleanAndJerk",
  22: "CliffDiving",
  23: "CricketBowling",
  24: "CricketShot",
  26: "Diving",
  31: "FrisbeeCatch",
  33: "GolfSwing",
  36: "HammerThrow",
  40: "HighJump",
  45: "JavelinThrow",
  51: "LongJump",
  68: "PoleVault",
  79: "Shotput",
  85: "SoccerPenalty",
  92: "TennisSwing",
  93: "ThrowDiscus",
  97: "VolleyballSpiking",
}


def read_class_list(path: str | pathlib.Path) -> dict[int, str]:
  """Returns {number: class} of a file with lines `number name`.

  Raises:
    UserError: naming the line that has another form, or a number or name used twice.
  """
  classes: dict[int, str] = {}
  for i, line in enumerate(read_text(path).splitlines(), 1):
    words = line.split()
    if not words:
      continue
    if len(words) != 2 or not words[0].isdecimal():
      raise UserError(
        f"{path}: line {i} is {line.strip()!r}, but it should be 'number name'."
      )
    if int(words[0]) in classes or words[1] in classes.values():
      raise UserError(
        f"{path}: line {i}, {line.strip()!r}, repeats a number or a name."
      )
    classes[int(words[0])] = words[1]
  return classes
