"""NTU RGB+D's `.skeleton` files: text of one recording, and which bodies are kept.

A file is a list of numbers between white space. First the number of frames; then for
each frame the number of bodies, and for each body 10 numbers (the first is its id),
the number of joints (25) and for each joint 12: x, y, z in metres, pixels in the depth
and colour images, a quaternion and a tracking state. Only x, y, z are decoded, which is
half the time; what the other fields hold is not looked at.
"""

import math
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from jaxvision.errors import UserError

JOINTS = 25
SLOTS = 4  # bodies of a frame that count; the authors drop later ones
HEADER, FIELDS = 10, 12  # numbers a body, numbers a joint
BODY = HEADER + 1 + JOINTS * FIELDS
SHOWN = 20  # characters of a field in a message

Bodies = Float64[np.ndarray, "m t 25 3"]


def read_skeleton(path: str | Path) -> Bodies:
  """Reads a `.skeleton` file.

  Args:
    path: the file.

  Returns:
    Positions in metres, x to the right of the camera, y up, z away from it, of the
    first four bodies of each frame; zeros where there are fewer. A body's slot m is
    its place in the frame, as in the authors' code: ids are not followed.

  Raises:
    UserError: naming the file, and what is wrong in which frame.
  """
  try:
    content = Path(path).read_bytes()
  except OSError as error:
    raise UserError(f"{path} cannot be read ({error.strerror}): check it.") from error
  return parse_skeleton(content, str(path))


def parse_skeleton(content: bytes, name: str) -> Bodies:
  """Decodes the content of a `.skeleton` file; see `read_skeleton`.

  Args:
    content: of the file.
    name: of the file, for messages.

  Raises:
    UserError: if it is cut off, has fields that are no numbers, no bodies at all, or
      bodies of other than 25 joints.
  """
  fields = content.split()
  frames, slots, starts = _find_bodies(fields, name)
  if not starts:
    raise UserError(
      f"{name} holds no body in any of its {frames} frames: leave it out."
    )
  xyz = _decode(fields, starts)
  finite = np.isfinite(xyz).all((1, 2))
  if not finite.all():
    t, slot = slots[int(np.argmin(finite))]
    raise UserError(
      f"{name}: frame {t + 1}, body {slot + 1} has a joint whose position is no finite"
      " number: copy the file again or leave it out."
    )
  bodies = np.zeros((SLOTS, frames, JOINTS, 3))
  t, slot = np.array(slots).T
  bodies[slot, t] = xyz.transpose(0, 2, 1)
  return bodies


def _find_bodies(
  fields: list[bytes], name: str
) -> tuple[int, list[tuple[int, int]], list[int]]:
  """Walks over the counts: (frames, (frame, slot) of bodies, where their x is)."""
  frames = _count(fields, 0, f"{name}: the number of frames")
  slots, starts, place = [], [], 1
  for t in range(frames):
    where = f"{name}: frame {t + 1} of {frames}"
    bodies = _count(fields, place, f"{where}: the number of bodies")
    place += 1
    for slot in range(bodies):
      joints = place + HEADER
      number = _count(fields, joints, f"{where}, body {slot + 1}: the number of joints")
      if number != JOINTS:
        raise UserError(
          f"{where}, body {slot + 1} has {number} joints where {JOINTS} belong: the"
          " file is damaged, copy it again."
        )
      if slot < SLOTS:
        slots.append((t, slot))
        starts.append(joints + 1)
      place += BODY
  if place != len(fields):
    fault = "is cut off" if place > len(fields) else "goes on"
    raise UserError(
      f"{name} {fault}: it has {len(fields)} fields, and its {frames} frames need"
      f" {place}: copy it again."
    )
  return frames, slots, starts


def _count(fields: list[bytes], place: int, what: str) -> int:
  """A number of things, which is at least 0 and no more than there are fields."""
  if place >= len(fields):
    raise UserError(f"{what} is missing: the file is cut off, copy it again.")
  field = fields[place]
  if not field.isdigit() or len(field) > 9:
    shown = field[:SHOWN].decode("ascii", "replace")
    raise UserError(f"{what} is {shown!r}, which is no count: copy the file again.")
  return int(field)


def _decode(fields: list[bytes], starts: list[int]) -> Float64[np.ndarray, "n 3 25"]:
  """Positions of n bodies; NaN where a field is no number."""
  texts: list[bytes] = []
  for start in starts:
    for axis in range(3):
      texts += fields[start + axis : start + FIELDS * JOINTS : FIELDS]
  try:
    values = list(map(float, texts))
  except ValueError:
    values = list(map(_number, texts))  # slower, and finds out which one
  return np.array(values).reshape(-1, 3, JOINTS)


def _number(text: bytes) -> float:
  try:
    return float(text)
  except ValueError:
    return math.nan


def body_energy(bodies: Float64[np.ndarray, "m t v c"]) -> Float64[np.ndarray, " m"]:
  """How much a body is spread and moves: standard deviations of x, y, z, added up.

  Over all joints of the frames in which the body is there (any joint is not 0).
  """
  there = bodies.any((2, 3))
  return np.array([_spread(x[f]) for x, f in zip(bodies, there, strict=True)])


def _spread(frames: Float64[np.ndarray, "t v c"]) -> float:
  return float(frames.std((0, 1)).sum()) if len(frames) else 0.0


def select_bodies(
  bodies: Float64[np.ndarray, "m t v c"], count: int = 2
) -> Float64[np.ndarray, "n t v c"]:
  """Keeps the bodies of the highest energy, that of the highest first.

  Args:
    bodies: m bodies, zeros where they are absent.
    count: bodies n to keep; of equal ones the first of the file wins.
  """
  order = np.argsort(-body_energy(bodies), kind="stable")
  return bodies[order[:count]]
