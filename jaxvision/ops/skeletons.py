"""Skeletons on the device: normalization, streams of bones and motion, importance.

A clip is [m, t, v, c]: person, time, joint, coordinate. A frame of a person in which
every number is 0 is empty, and a person whose frames are all empty is absent.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from jaxvision.typing import Array, Bool, Float

SPINE_BASE, SPINE_MID = 0, 1  # joints of NTU, 0-based
LEFT_SHOULDER, RIGHT_SHOULDER = 4, 8
TINY = 1e-6  # the authors' bound below which nothing is turned

STREAMS = ("joint", "bone", "joint_motion", "bone_motion")
NORMALIZATIONS = ("none", "frame", "clip")

Clip = Float[Array, "m t v 3"]


def normalize(
  x: Float[Array, "*b m t v c"], *, kind: str
) -> Float[Array, "*b m t v c"]:
  """Normalizes clips by the name of the way.

  Args:
    x: clips, unpadded: empty frames are 0.
    kind: "none"; "frame" is `normalize_frames`; "clip" is `normalize_clip`.
  """
  if kind not in NORMALIZATIONS:
    raise ValueError(f"kind is {kind!r}, none of {', '.join(NORMALIZATIONS)}.")
  if kind == "none":
    return x
  one = normalize_frames if kind == "frame" else normalize_clip
  flat = jax.vmap(one)(x.reshape(-1, *x.shape[-4:]))
  return flat.reshape(x.shape)


def normalize_frames(x: Clip) -> Clip:
  """Normalization of Huang et al. (2020) and of 2s-AGCN (Shi et al., 2019).

  Three steps: empty frames are filled (`repeat_frames`); the middle of the first
  person's spine is subtracted frame by frame, which removes all global motion; and the
  first person's spine and then shoulders in the first frame are turned onto +z and +x.
  The second turn is not about z, so in the end only the shoulders lie exactly.

  Like the authors' code on NTU's 25 joints, but "empty" means that all numbers are 0,
  not that their sum is, and it is found out before anything is subtracted.

  Args:
    x: one clip in metres, with joints in NTU's order.

  Returns:
    The clip; joints that were 0 stay 0. Where the first person is absent in a frame,
    the others are not centred there.
  """
  x = repeat_frames(x)
  there = jnp.any(x != 0, -1, keepdims=True)
  x = jnp.where(there, x - x[:1, :, SPINE_MID : SPINE_MID + 1], 0)
  for start, end, target in (
    (SPINE_BASE, SPINE_MID, (0.0, 0.0, 1.0)),
    (LEFT_SHOULDER, RIGHT_SHOULDER, (1.0, 0.0, 0.0)),
  ):
    first = x[0, 0]
    turn = rotation_onto(first[end] - first[start], jnp.array(target, x.dtype))
    x = jnp.einsum("mtvi,ji->mtvj", x, turn, precision="highest")
  return x


def normalize_clip(x: Clip) -> Clip:
  """Subtracts the middle of the first person's spine in its first frame.

  Motion and orientation of the body stay, as in CTR-GCN (Chen et al., 2021) and pyskl.

  Args:
    x: one clip in metres, with joints in NTU's order.

  Returns:
    The clip; what was 0 stays 0.
  """
  frame = jnp.argmax(occupied(x)[0])  # 0 if there is none
  there = jnp.any(x != 0, -1, keepdims=True)
  return jnp.where(there, x - x[0, frame, SPINE_MID], 0)


def occupied(x: Float[Array, "m t v c"]) -> Bool[Array, "m t"]:
  """Whether a person has any number that is not 0, in each frame."""
  return jnp.any(x != 0, (-2, -1))


def repeat_frames(x: Float[Array, "m t v c"]) -> Float[Array, "m t v c"]:
  """Fills the empty frames at the end of each person by repeating those before.

  If a person's first frame is empty, all its empty frames are removed before; else
  those between others stay. This is done for each person alone, so two persons may
  slide against each other in time, as in the authors' code.

  Args:
    x: one clip.

  Returns:
    The clip; absent persons stay absent.
  """
  return jax.vmap(_repeat_person)(x, occupied(x))


def _repeat_person(
  x: Float[Array, "t v c"], there: Bool[Array, " t"]
) -> Float[Array, "t v c"]:
  time = jnp.arange(len(x))
  compact = ~there[0]
  order = jnp.where(compact, jnp.argsort(~there, stable=True), time)
  last = jnp.max(jnp.where(there, time + 1, 0))
  count = jnp.where(compact, there.sum(), last)
  return x[order[time % jnp.maximum(count, 1)]]


def rotation_onto(
  vector: Float[Array, "3"], target: Float[Array, "3"]
) -> Float[Array, "3 3"]:
  """The matrix of the smallest rotation that turns a vector onto another direction.

  As in the authors' code it is the identity if a vector is 0, if the vectors are
  parallel, and also if they are opposite, where no axis is the smallest.

  Args:
    vector: to be turned; of any length.
    target: unit vector.

  Returns:
    R, such that R @ vector points along target.
  """
  length = jnp.linalg.norm(jnp.where(jnp.any(vector != 0), vector, 1.0))
  unit = vector / length
  axis, cosine = jnp.cross(unit, target), jnp.dot(unit, target)
  square = jnp.dot(axis, axis)
  turned = (jnp.abs(axis).sum() * length >= TINY) & (length >= TINY)
  # Rodrigues' formula with an axis that is as long as the sine of the angle
  x, y, z = axis
  zero = jnp.zeros_like(x)
  cross = jnp.stack([zero, -z, y, z, zero, -x, -y, x, zero]).reshape(3, 3)
  rate = (1 - cosine) / jnp.where(turned, square, 1)
  eye = jnp.eye(3, dtype=vector.dtype)
  matrix = eye + cross + rate * jnp.matmul(cross, cross, precision="highest")
  return jnp.where(turned, matrix, eye)


def stream(
  x: Float[Array, "*b t v c"], name: str, parents: Sequence[int]
) -> Float[Array, "*b t v c"]:
  """One of the four streams of clips.

  Args:
    x: normalized clips, the joint stream.
    name: "joint", "bone", "joint_motion" or "bone_motion".
    parents: joint at the inner end of each joint's bone, -1 for the root; see
      `ops.graphs`.
  """
  if name not in STREAMS:
    raise ValueError(f"name is {name!r}, none of {', '.join(STREAMS)}.")
  if name.startswith("bone"):
    x = bone_stream(x, parents)
  return motion_stream(x) if name.endswith("motion") else x


def bone_stream(
  x: Float[Array, "*b t v c"], parents: Sequence[int]
) -> Float[Array, "*b t v c"]:
  """Each joint minus its parent; 0 at the root (Shi et al., 2019, section 3.3).

  A third coordinate that is a score is subtracted as well, as in the peers' code.

  Args:
    x: clips.
    parents: see `stream`.
  """
  inner = [joint if parent < 0 else parent for joint, parent in enumerate(parents)]
  return x - x[..., jnp.asarray(inner), :]


def motion_stream(x: Float[Array, "*b t v c"]) -> Float[Array, "*b t v c"]:
  """The next frame minus this one; 0 in the last frame (Shi et al., 2020)."""
  return jnp.diff(x, axis=-3, append=x[..., -1:, :, :])


def joint_importance(
  score: Callable[[Float[Array, "*b m t v c"]], Float[Array, "*b"]],
  x: Float[Array, "*b m t v c"],
) -> Float[Array, "*b m t v"]:
  """How much each joint adds to a score: gradient x input, summed over coordinates.

  Args:
    score: clips -> one number each, such as the logit of the class predicted.
    x: clips.

  Returns:
    Positive where the joint speaks for the score. If the score is homogeneous of
    degree 1 in x, the sum over all joints is the score.
  """
  gradient = jax.grad(lambda value: score(value).sum())(x)
  return (gradient * x).sum(-1)
