"""Generated task of AherNet: some classes with untrimmed windows, some with moments.

A class has a code, which common matrices turn into what its actions begin with, show in
the middle, end with, and what precedes and follows them: so where an action begins and
ends can be learned from other classes. In untrimmed windows an action is mixed with the
scene; trimmed moments are clean. A window shows one class, and incomplete actions of it
as distractors, which are to be told from whole ones.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int

from jaxvision.data.clips import Clips
from jaxvision.data.feature_windows import resize_features
from jaxvision.data.generated_actions import window_examples
from jaxvision.data.generated_windows import (
  ACTIONS,
  LONGEST,
  MIDDLE,
  PHASES,
  SCENES,
  SHORTEST,
  STEPS,
  VECTORS_SEED,
  GeneratedActions,
  draw_lengths,
  phases,
  place,
  scenes,
  show,
)
from jaxvision.data.temporal_examples import TemporalExamples

CODE = 8  # numbers of a class's code
APPROACH, RELEASE = PHASES, PHASES + 1  # parts of a class after its phases
PARTS = PHASES + 2
ACTION, SCENE = 0.7, 0.5  # an action's share; what of the scene's .6 is left beside it
RAMP, RAMP_STEPS = 0.3, (3, 12)  # length of a ramp: of its action's, and its bounds


class Task(NamedTuple):
  """Unit vectors of all classes, source classes first.

  Attributes:
    parts: begin, middle, end, approach and release of each class.
    scenes: of the background.
  """

  parts: Float32[np.ndarray, "c p d"]
  scenes: Float32[np.ndarray, "s d"]


def make_task(classes: int, width: int) -> Task:
  """Makes the vectors, the same for all seeds.

  Every part is the sum of a direction that all classes share and of the class's code
  times a matrix that they share.

  Args:
    classes: source and target classes.
    width: numbers d a step.
  """
  rng = np.random.default_rng(VECTORS_SEED)
  shared = _unit(rng.standard_normal((PARTS, width)))
  matrices = rng.standard_normal((PARTS, CODE, width))
  codes = rng.standard_normal((classes, CODE))
  own = _unit(np.einsum("ck,pkd->cpd", codes, matrices))
  return Task(_unit(shared + own), _unit(rng.standard_normal((SCENES, width))))


def _unit(x: np.ndarray) -> Float32[np.ndarray, "*s d"]:
  return (x / np.linalg.norm(x, axis=-1, keepdims=True)).astype(np.float32)


def generate_windows(
  task: Task,
  classes: range,
  count: int,
  *,
  seed: tuple[int, ...],
  prefix: str,
  length: int = STEPS,
  noise: float = 0.5,
) -> TemporalExamples:
  """Generates untrimmed windows; a pure function of its arguments.

  Args:
    task: vectors of the classes.
    classes: numbers of those that occur; labels count from the first of them.
    count: number of windows n.
    seed: of the random numbers.
    prefix: of the windows' names.
    length: steps t of a window, at least 32.
    noise: standard deviation of each number.
  """
  rng = np.random.default_rng(seed)
  lengths = draw_lengths(rng, count, length)
  starts = place(rng, lengths, length)
  label = rng.integers(len(classes), size=count)
  mixture = scenes(rng, count, length, PARTS)
  valid = lengths[:, :ACTIONS] > 0
  ends = np.stack((starts, starts + lengths), -1)
  _add_ramps(mixture, ends, lengths)
  for slot in range(lengths.shape[1]):
    part = (0.0, 1.0) if slot < ACTIONS else MIDDLE
    where = (starts[:, slot], lengths[:, slot], np.zeros(count, np.int64), part)
    show(mixture, *where, weight=ACTION, rest=SCENE)
  parts = task.parts[classes.start + label]
  features = np.einsum("ntp,npd->ntd", mixture[..., :PARTS], parts)
  features += mixture[..., PARTS:] @ task.scenes
  features += np.float32(noise) * rng.standard_normal(features.shape, np.float32)
  labels = np.broadcast_to(label[:, None], valid.shape)
  windows = GeneratedActions(
    features.astype(np.float32),
    np.where(valid[..., None], ends[:, :ACTIONS], 0),
    np.where(valid, labels, 0).astype(np.int32),
    valid,
    ends[:, ACTIONS:],
    np.broadcast_to(label[:, None], (count, 2)).astype(np.int32),
  )
  return window_examples(windows, prefix)


def _add_ramps(
  mixture: Float32[np.ndarray, "n t k"],
  ends: Int[np.ndarray, "n 5 2"],
  lengths: Int[np.ndarray, "n 5"],
) -> None:
  """Lets whole actions announce themselves and fade away where nothing else happens."""
  time = np.arange(mixture.shape[1])
  since = time - ends[..., :1]
  behind = time - ends[..., 1:]
  there = lengths[..., None] > 0
  free = ~((since >= 0) & (behind < 0) & there).any(1)
  reach = np.rint(RAMP * lengths[:, :ACTIONS, None]).clip(*RAMP_STEPS)
  for part, steps in ((APPROACH, -since), (RELEASE, behind + 1)):
    steps = steps[:, :ACTIONS]  # 1 next to the action
    near = (steps >= 1) & (steps <= reach) & there[:, :ACTIONS]
    height = np.where(near, 1 - (steps - 1) / reach, 0).max(1)
    mixture[..., part] = ACTION * height * free


def generate_moments(
  task: Task,
  classes: range,
  count: int,
  *,
  seed: tuple[int, ...],
  length: int = 64,
  noise: float = 0.3,
) -> Clips:
  """Generates trimmed clips of 5 to 90 steps, resized; pure in its arguments.

  Args:
    task: vectors of the classes.
    classes: numbers of those that occur; labels count from the first of them.
    count: number of clips n.
    seed: of the random numbers.
    length: steps to which all of them are resized.
    noise: standard deviation of each number before that.
  """
  rng = np.random.default_rng(seed)
  label = rng.integers(len(classes), size=count)
  lengths = np.rint(np.exp(rng.uniform(*np.log((SHORTEST, LONGEST)), count)))
  features = np.empty((count, length, task.parts.shape[-1]), np.float32)
  for i, steps in enumerate(lengths.astype(int)):
    done = (np.arange(steps) + 0.5) / steps
    clip = phases(done) @ task.parts[classes.start + label[i], :PHASES]
    clip += noise * rng.standard_normal(clip.shape)
    features[i] = resize_features(clip, length)
  return Clips(features, label.astype(np.int32))
