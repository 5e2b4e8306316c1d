"""Windows of frames with actions in them: laid out, and rendered one by one.

An action is a garment that enters from one side, turns about its middle by a quarter,
and leaves on the other side. A distractor is a garment that is there and turns, but has
never entered and never leaves: the middle of an action. Lengths and places are those
of the other generated actions (`jaxvision.data.generated_windows`).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, Int32, Int64, UInt8

from jaxvision.data.frame_pixels import SIDE, clutter, cover, half_width, noisy, place
from jaxvision.data.generated_windows import (
  ACTIONS,
  MIDDLE,
  STEPS,
  draw_lengths,
)
from jaxvision.data.generated_windows import place as place_items

SCALE, HEIGHT = (0.6, 0.85), (-2.0, 2.0)  # size of a garment; pixels below the middle
Garments = UInt8[np.ndarray, "g h w"]


class FrameActions(NamedTuple):
  """What happens in n windows, without a pixel; times in whole steps.

  The items of a window are up to three actions, then two distractors.

  Attributes:
    seed: of the windows' pixels, too.
    length: steps of a window.
    start: first step of each item.
    steps: of each item, 0 for an action that is not there.
    label: which of the classes of actions; nothing of a distractor.
    garment: row of its image.
    looks: how each one moves.
  """

  seed: tuple[int, ...]
  length: int
  start: Int64[np.ndarray, "n 5"]
  steps: Int64[np.ndarray, "n 5"]
  label: Int32[np.ndarray, "n 5"]
  garment: Int64[np.ndarray, "n 5"]
  looks: "Looks"

  @property
  def valid(self) -> Bool[np.ndarray, "n 3"]:
    """Which of the actions there are."""
    return self.steps[:, :ACTIONS] > 0

  @property
  def segments(self) -> Int64[np.ndarray, "n 5 2"]:
    """(start, end) of all items, 0 for an action that is not there."""
    ends = np.stack((self.start, self.start + self.steps), -1)
    return np.where(self.steps[..., None] > 0, ends, 0)

  def first(self, count: int) -> "FrameActions":
    """The first `count` windows."""
    head = lambda x: x[:count]
    looks = Looks(*map(head, self.looks))
    return FrameActions(self.seed, self.length, *map(head, self[2:-1]), looks)


class Looks(NamedTuple):
  """How garments move; arrays of one shape.

  Attributes:
    side: 1 enters from the left, -1 from the right.
    turn: 1 turns clockwise, -1 the other way.
    scale: of the size.
    height: pixels below the middle.
  """

  side: Int64[np.ndarray, "*s"]
  turn: Int64[np.ndarray, "*s"]
  scale: Float[np.ndarray, "*s"]
  height: Float[np.ndarray, "*s"]


def lay_out(
  count: int,
  *,
  seed: tuple[int, ...],
  label: Int32[np.ndarray, " g"],
  classes: Sequence[int],
  length: int = STEPS,
) -> FrameActions:
  """Draws what happens in windows; a pure function of its arguments.

  Args:
    count: number of windows n.
    seed: of the random numbers.
    label: classes of the images of garments.
    classes: those of them that are actions; each needs an image. Distractors are
      garments of all classes.
    length: steps of a window, at least 32.

  Returns:
    The windows, whose pixels `render` makes.
  """
  rng = np.random.default_rng(seed)
  steps = draw_lengths(rng, count, length)
  start = place_items(rng, steps, length)
  number = rng.integers(len(classes), size=steps.shape)
  order = np.argsort(label, kind="stable")
  bounds = np.searchsorted(label[order], [classes, np.add(classes, 1)])[:, number]
  bounds[0, :, ACTIONS:], bounds[1, :, ACTIONS:] = 0, len(label)
  garment = order[rng.integers(*bounds)]
  looks = draw_looks(rng, steps.shape)
  number = number.astype(np.int32)
  return FrameActions(seed, length, start, steps, number, garment, looks)


def draw_looks(rng: np.random.Generator, shape: tuple[int, ...]) -> Looks:
  """Draws how garments move, each property independently."""
  side, turn = rng.choice((-1, 1), (2, *shape))
  return Looks(side, turn, rng.uniform(*SCALE, shape), rng.uniform(*HEIGHT, shape))


def show(
  garments: UInt8[np.ndarray, "m h w"], looks: Looks, phase: Float[np.ndarray, " m"]
) -> Float32[np.ndarray, "m h w"]:
  """Shows each garment at a phase of its action, on black.

  It enters at phases below 0.3, moving from where it just cannot be seen to the
  middle; it turns at 0.3 to 0.7 and leaves above, on its side.

  Args:
    garments: images, one a frame.
    looks: how they move.
    phase: in [0, 1].

  Returns:
    Grey values in [0, 1].
  """
  begin, end = MIDDLE
  along = np.minimum(phase / begin - 1, 0) + np.maximum((phase - end) / (1 - end), 0)
  turned = np.clip((phase - begin) / (end - begin), 0, 1)
  return place(
    garments,
    right=looks.side * along * (SIDE / 2 + half_width(garments) * looks.scale),
    down=looks.height,
    angle=np.pi / 2 * looks.turn * turned,
    scale=looks.scale,
  )


def render(
  actions: FrameActions, garments: Garments, i: int, *, noise: float
) -> Float32[np.ndarray, "t h w 1"]:
  """Renders the frames of one window; a pure function of its arguments.

  Args:
    actions: from `lay_out`.
    garments: the images that its `label` was about.
    i: number of the window; its pixels do not depend on how many there are.
    noise: standard deviation of a pixel.

  Returns:
    Frames of grey values in [0, 1].
  """
  rng = np.random.default_rng((*actions.seed, i))
  frames = clutter(rng, 1, actions.length)[0]
  item = np.repeat(np.arange(actions.steps.shape[1]), actions.steps[i])
  since = np.concatenate([np.arange(k) for k in actions.steps[i]])
  done = (since + 0.5) / actions.steps[i, item]
  begin, end = MIDDLE
  phase = np.where(item < ACTIONS, done, begin + (end - begin) * done)
  looks = Looks(*(x[i, item] for x in actions.looks))
  shown = show(garments[actions.garment[i, item]], looks, phase)
  at = actions.start[i, item] + since
  frames[at] = cover(frames[at], shown)
  return noisy(rng, frames, noise)[..., None]
