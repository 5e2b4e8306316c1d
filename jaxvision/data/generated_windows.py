"""Windows of generated actions: how they are laid out and what they look like."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Int32, Int64

STEPS = 128  # of a window, to which the longest action refers
SHORTEST, LONGEST = 5, 90
ACTIONS, DISTRACTORS, GAP = 3, 2, 2  # most of them in a window; steps between them
PHASES, MIDDLE = 3, (0.3, 0.7)  # prototypes a class; what a distractor shows
SCENES, SCENE_STEPS, SCENE_SCALE = 4, (8, 39), 0.6
LEAST_STEPS = 32  # into which the shortest of all fit with room to spare
VECTORS_SEED = 0  # the vectors are the task, which is the same for all seeds


class GeneratedActions(NamedTuple):
  """Generated windows; times in steps from the window's begin, in whole numbers.

  Attributes:
    features: float32 [n, t, d].
    segments: (start, end) of the actions, in no order; 0 where there is none.
    label: class of each, 0 where there is none.
    valid: which of the actions there are.
    distractors: (start, end) of the incomplete actions.
    distractor_label: the class that each pretends to be.
  """

  features: Float32[np.ndarray, "n t d"]
  segments: Int64[np.ndarray, "n 3 2"]
  label: Int32[np.ndarray, "n 3"]
  valid: Bool[np.ndarray, "n 3"]
  distractors: Int64[np.ndarray, "n 2 2"]
  distractor_label: Int32[np.ndarray, "n 2"]


def generate_actions(
  count: int,
  *,
  seed: int | tuple[int, ...],
  length: int = STEPS,
  width: int = 24,
  classes: int = 5,
  noise: float = 0.55,
) -> GeneratedActions:
  """Generates windows; a pure function of its arguments.

  At phase s in (0, 1) of an action the features are clip(1 - 2.5 s, 0, 1) P_start +
  exp(-((s - 0.5) / 0.25)^2) P_mid + clip(2.5 s - 1.5, 0, 1) P_end plus noise; a
  distractor goes through the phases 0.3 to 0.7. Elsewhere they are 0.6 times the
  vector of a scene, which changes every 8 to 39 steps, plus noise. All vectors are
  random unit vectors, the same for all seeds.

  Args:
    count: number of windows n.
    seed: of the random numbers.
    length: steps t of a window, at least 32. Actions have 5 to 90 steps at 128, and
      the longest are in proportion.
    width: numbers d a step.
    classes: of the actions.
    noise: standard deviation of each number.

  Returns:
    The windows with what is in them.
  """
  rng = np.random.default_rng(seed)
  lengths = draw_lengths(rng, count, length)
  starts = place(rng, lengths, length)
  label = rng.integers(classes, size=lengths.shape)
  mixture = scenes(rng, count, length, PHASES * classes)
  for slot in range(lengths.shape[1]):
    part = (0.0, 1.0) if slot < ACTIONS else MIDDLE
    show(mixture, starts[:, slot], lengths[:, slot], label[:, slot], part)
  features = mixture @ _vectors(PHASES * classes + SCENES, width)
  features += np.float32(noise) * rng.standard_normal(features.shape, np.float32)
  valid = lengths[:, :ACTIONS] > 0
  ends = np.stack((starts, starts + lengths), -1)
  return GeneratedActions(
    features,
    np.where(valid[..., None], ends[:, :ACTIONS], 0),
    np.where(valid, label[:, :ACTIONS], 0).astype(np.int32),
    valid,
    ends[:, ACTIONS:],
    label[:, ACTIONS:].astype(np.int32),
  )


def _vectors(count: int, width: int) -> Float32[np.ndarray, "k d"]:
  """Unit vectors, of the phases of all classes and of the scenes."""
  x = np.random.default_rng(VECTORS_SEED).standard_normal((count, width))
  return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def draw_lengths(
  rng: np.random.Generator, count: int, length: int
) -> Int64[np.ndarray, "n 5"]:
  """Draws how long the items of each window are, so that they fit in together.

  Args:
    rng: source of the random numbers.
    count: number of windows n.
    length: steps of a window.

  Returns:
    Steps of the actions, 0 for one that is not there, and of the distractors.
  """
  longest = round(LONGEST * length / STEPS)
  there = np.ones((count, ACTIONS + DISTRACTORS), bool)
  number = rng.integers(1, ACTIONS + 1, count)
  there[:, :ACTIONS] = np.arange(ACTIONS) < number[:, None]
  lengths = np.zeros(there.shape, np.int64)
  todo = np.arange(count)
  while len(todo):
    bounds = np.log((SHORTEST, longest))
    drawn = np.exp(rng.uniform(*bounds, (len(todo), there.shape[1])))
    drawn[:, ACTIONS:] *= MIDDLE[1] - MIDDLE[0]
    lengths[todo] = np.rint(drawn) * there[todo]
    needed = lengths[todo].sum(1) + GAP * (there[todo].sum(1) - 1)
    todo = todo[needed > length]
  return lengths


def place(
  rng: np.random.Generator, lengths: Int64[np.ndarray, "n 5"], length: int
) -> Int64[np.ndarray, "n 5"]:
  """Places items: in random order, the steps left over between them.

  Args:
    rng: source of the random numbers.
    lengths: of the items of each window, as of `draw_lengths`.
    length: steps of a window.

  Returns:
    The first step of each item; nothing where the length is 0.
  """
  order = np.argsort(rng.random(lengths.shape) + (lengths == 0), axis=1)  # absent last
  ordered = np.take_along_axis(lengths, order, 1)
  there = ordered > 0
  taken = ordered + GAP * there
  free = (length + GAP - taken.sum(1))[:, None]
  slack = np.where(there, rng.integers(0, free + 1, lengths.shape), free)
  ordered_starts = np.cumsum(taken, 1) - taken + np.sort(slack, 1)
  starts = np.zeros_like(lengths)
  np.put_along_axis(starts, order, ordered_starts, 1)
  return starts


def scenes(
  rng: np.random.Generator, count: int, length: int, column: int
) -> Float32[np.ndarray, "n t k"]:
  """How much of each vector is in each step, of scenes only; theirs come last.

  Args:
    rng: source of the random numbers.
    count: number of windows n.
    length: steps t of a window.
    column: number of the vectors that come before those of the scenes.
  """
  shortest, longest = SCENE_STEPS
  pieces = -(-length // shortest)
  ends = np.cumsum(rng.integers(shortest, longest + 1, (count, pieces)), 1)
  # a scene gives way to another one: 1 to SCENES - 1 further on
  moves = rng.integers(1, SCENES, (count, pieces))
  moves[:, 0] = rng.integers(SCENES, size=count)
  scene = np.cumsum(moves, 1) % SCENES
  piece = (np.arange(length)[:, None] >= ends[:, None, :]).sum(-1)
  shown = np.take_along_axis(scene, piece, 1)
  mixture = np.zeros((count, length, column + SCENES), np.float32)
  np.put_along_axis(mixture, column + shown[..., None], SCENE_SCALE, 2)
  return mixture


def show(
  mixture: Float32[np.ndarray, "n t k"],
  start: Int[np.ndarray, " n"],
  length: Int[np.ndarray, " n"],
  label: Int[np.ndarray, " n"],
  part: tuple[float, float],
  *,
  weight: float = 1.0,
  rest: float = 0.0,
) -> None:
  """Puts a part of an action into each window, in the place of the scene.

  Args:
    mixture: how much of each vector is in each step; changed.
    start: first step of the action.
    length: of the action, 0 for none.
    label: whose phases it has.
    part: phases at its begin and end.
    weight: factor of the action.
    rest: factor of what the steps have shown before.
  """
  since = np.arange(mixture.shape[1]) - start[:, None]
  row, time = np.nonzero((since >= 0) & (since < length[:, None]))
  done = (since[row, time] + 0.5) / length[row]
  mixture[row, time] *= rest
  columns = PHASES * label[row, None] + np.arange(PHASES)
  mixture[row[:, None], time[:, None], columns] = weight * phases(
    part[0] + (part[1] - part[0]) * done
  )


def phases(s: Float[np.ndarray, " m"]) -> Float[np.ndarray, "m 3"]:
  """Weights of the prototypes of begin, middle and end."""
  begin, end = np.clip(1 - 2.5 * s, 0, 1), np.clip(2.5 * s - 1.5, 0, 1)
  return np.stack((begin, np.exp(-(((s - 0.5) / 0.25) ** 2)), end), -1)
