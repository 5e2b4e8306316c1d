"""Generated skeletons: clips of moving people whose class is three independent bits.

Forward kinematics on NTU's tree of 25 joints, specified for this package (no paper). A
clip shows a person whose joints swing:

- "near": left shoulder and left elbow swing in phase, or against each other;
- "tempo": how fast they do;
- "far": right shoulder and left hip swing in phase or against each other, with a tempo
  and a phase of their own. No joint alone reveals this bit, and the nearest joints that
  tell it, right elbow and left knee, are six bones apart.

The right elbow, right hip, knees, spine and neck swing at random: distractors. In an
undirected fixed graph, a network whose nodes see two bones far before it pools is at
chance on "far".
"""

from typing import NamedTuple

import ml_collections
import numpy as np
from jaxtyping import Float32, Float64, Int32

from jaxvision.data.field_checks import check_least
from jaxvision.data.skeleton_defaults import NAME
from jaxvision.data.skeleton_examples import (
  Shape,
  SkeletonDataset,
  SkeletonExamples,
  abstract_examples,
)
from jaxvision.data.skeleton_kinematics import NTU, forward_kinematics

FRAMES = 32
BITS = ("near", "tempo", "far")
CLASSES = tuple(
  " ".join(f"{name}{label >> i & 1}" for i, name in enumerate(BITS))
  for label in range(8)
)
STREAMS = {"train": 0, "val": 1, "test": 2}  # independent random numbers of one seed
TEST_SEED = 0  # not the run's seed, or runs with different seeds were not comparable
SPINE_MID = 1


class GeneratedSkeletons(NamedTuple):
  """n clips; class = near + 2 tempo + 4 far."""

  skeleton: Float32[np.ndarray, "n 1 t 25 3"]
  label: Int32[np.ndarray, " n"]


def generate_skeletons(
  count: int, *, seed: int | tuple[int, ...], noise: float = 0.01
) -> GeneratedSkeletons:
  """Generates clips of 32 frames.

  Args:
    count: number of clips n.
    seed: random seed.
    noise: standard deviation in metres of the noise in each coordinate.

  Returns:
    Positions in metres; the middle of the spine in the first frame is about 0.
  """
  rng = np.random.default_rng(seed)
  label = rng.integers(8, size=count).astype(np.int32)
  about_x, about_z = _angles(rng, label)
  yaw = rng.uniform(-0.6, 0.6, count)
  scale = rng.uniform(0.85, 1.15, count)
  positions = forward_kinematics(about_x, about_z, yaw, scale)
  positions -= positions[:, :1, SPINE_MID : SPINE_MID + 1]
  positions += noise * rng.standard_normal(positions.shape)
  return GeneratedSkeletons(positions[:, None].astype(np.float32), label)


def _angles(
  rng: np.random.Generator, label: Int32[np.ndarray, " n"]
) -> tuple[
  dict[int, Float64[np.ndarray, "n t"]], dict[int, Float64[np.ndarray, "n t"]]
]:
  """{joint: radians in each frame} about its x axis, and about its z axis."""
  n = len(label)
  near, tempo, far = (label >> i & 1 for i in range(3))

  def phase(frequency: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, "n t"]:
    turns = frequency[:, None] * np.arange(FRAMES)
    return 2 * np.pi * (turns + rng.uniform(size=(n, 1)))

  def swing(
    rest: float, low: float, high: float, angle: Float64[np.ndarray, "n t"]
  ) -> Float64[np.ndarray, "n t"]:
    return rest + rng.uniform(low, high, (n, 1)) * np.sin(angle)

  def distract(rest: float, low: float, high: float) -> Float64[np.ndarray, "n t"]:
    return swing(rest, low, high, phase(rng.uniform(1 / 18, 1 / 9, n)))

  frequency = np.where(tempo == 1, 1 / 10, 1 / 14) * rng.uniform(0.96, 1.04, n)
  w = phase(frequency)
  u = phase(rng.uniform(1 / 14, 1 / 10, n))
  about_x = {
    4: swing(-0.3, 0.35, 0.8, w),
    5: swing(-0.7, 0.35, 0.8, w + np.pi * near[:, None]),
    8: swing(0.0, 0.5, 0.9, u),
    12: swing(0.0, 0.5, 0.9, u + np.pi * far[:, None]),
    9: distract(-0.7, 0.2, 0.8),
    16: distract(0.0, 0.1, 0.3),
    13: distract(0.3, 0.1, 0.3),
    17: distract(0.3, 0.1, 0.3),
  }
  return about_x, {1: distract(0.0, 0.0, 0.15), 2: distract(0.0, 0.0, 0.2)}


def generated_dataset(config: ml_collections.ConfigDict) -> SkeletonDataset:
  """Generates the three splits of the data set "generated".

  Training and validation clips follow from `config.seed`; the test clips are the same
  for all seeds, so that runs with different seeds can be compared.

  Args:
    config: the fields of `jaxvision.data.skeleton_defaults.DEFAULTS`; `length`,
      `persons`, `validation` and the fields on files have no meaning here.

  Raises:
    UserError: if a size is not positive or the noise negative.
  """
  _check(config)
  splits = {}
  for split, stream in STREAMS.items():
    seed = TEST_SEED if split == "test" else config.seed
    clips = generate_skeletons(
      config.generated[split], seed=(seed, stream), noise=config.generated.noise
    )
    # all are drawn first: a smaller set is a part of the larger one
    kept = _kept(config, split)
    names = tuple(f"{split}_{i:05d}" for i in range(kept))
    splits[split] = SkeletonExamples(clips.skeleton[:kept], clips.label[:kept], names)
  return SkeletonDataset(NAME, "", CLASSES, splits, "ntu")


def abstract_dataset(config: ml_collections.ConfigDict) -> SkeletonDataset:
  """Shapes and classes of `generated_dataset`, without its numbers."""
  _check(config)
  shape: Shape = (1, FRAMES, NTU.joints, 3)
  splits = {name: abstract_examples(_kept(config, name), shape) for name in STREAMS}
  return SkeletonDataset(NAME, "", CLASSES, splits, "ntu")


def _kept(config: ml_collections.ConfigDict, split: str) -> int:
  count = config.generated[split]
  return min(config.limit or count, count) if split == "train" else count


def _check(config: ml_collections.ConfigDict) -> None:
  check_least(config.generated, STREAMS, 1, at="data.generated")
  check_least(config.generated, ["noise"], 0, at="data.generated")
