"""Which axis of feature arrays is time, and how wide they are, from many files."""

import collections
import pathlib
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from jaxvision import interruption
from jaxvision.data.features import read_features
from jaxvision.errors import UserError


class Agreement(NamedTuple):
  """What the shapes of many feature arrays have in common."""

  layout: Literal["td", "dt"]
  width: int
  odd: tuple[str, ...]  # locations of another width


def agree(
  shapes: Mapping[str, tuple[int, int]], *, axes: tuple[int, ...] = (1, 0)
) -> Agreement:
  """Finds the axis whose length the arrays share; that is the width.

  Arrays of videos resized to one length share both. Then, and always when more than
  half of the arrays agree on it, the second axis is the width.

  Args:
    shapes: {location: shape}, at least one.
    axes: which of the axes may be the width, the first choice first.

  Returns:
    The layout, the width and who differs.
  """
  found = []
  for axis in axes:
    lengths = collections.Counter(shape[axis] for shape in shapes.values())
    [(width, count)] = lengths.most_common(1)
    # agreement beyond a half is enough: one odd file must not turn all the others
    found.append((min(count, len(shapes) // 2 + 1), width, axis))
  _, width, axis = max(found, key=lambda f: f[0])  # the first of equals
  odd = tuple(name for name, shape in shapes.items() if shape[axis] != width)
  return Agreement("td" if axis else "dt", width, odd)


def infer_layout(
  locations: Iterable[str | pathlib.Path], *, allow_pickle: bool = False
) -> tuple[Literal["td", "dt"], int]:
  """Returns (layout, width) that fit all files; reads each of them.

  Raises:
    UserError: naming a file that has another width than most, or if there is none.
  """
  shapes = {}
  for location in locations:
    interruption.check()
    x = read_features(location, allow_pickle=allow_pickle, layout="td")
    shapes[str(location)] = x.shape
  if not shapes:
    raise UserError("there are no feature files whose width could be taken.")
  layout, width, odd = agree(shapes)
  if odd:
    raise UserError(
      f"{odd[0]} has features of shape {shapes[odd[0]]}, but most files have {width}"
      f" numbers a time step ({layout}): remove it, or give the others' kind."
    )
  return layout, width
