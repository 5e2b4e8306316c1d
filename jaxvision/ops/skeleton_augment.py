"""Augmentation of skeletons: pure functions of a key and one clip [m, t, v, c].

Choose, shift and move are those of ST-GCN (Yan et al., 2018), which STIGCN's code has
too but does not use; rotation is CTR-GCN's (Chen et al., 2021). Empty joints, all of
whose numbers are 0, stay empty: the authors' `move` shifts them off 0.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxvision.ops.skeletons import occupied
from jaxvision.typing import Array, Bool, Float, PRNGKey

ANGLES = (-10.0, -5.0, 0.0, 5.0, 10.0)  # degrees
SCALES = (0.9, 1.0, 1.1)
SHIFTS = (-0.2, -0.1, 0.0, 0.1, 0.2)  # in units of the coordinates

Clip = Float[Array, "m t v c"]


class Augmentation(NamedTuple):
  """What `augment` does to a clip, in this order.

  Attributes:
    window: frames of a random window; 0 takes all.
    shift: whether to put the clip at a random place in time.
    move: whether to turn, scale and shift slowly in the plane x, y.
    rotate: largest angle about each axis in radians; 0 is off.
    flip: probability to mirror the clip.
  """

  window: int = 0
  shift: bool = False
  move: bool = False
  rotate: float = 0.0
  flip: float = 0.0


def augment(
  key: PRNGKey,
  x: Float[Array, "b m t v c"],
  *,
  spec: Augmentation,
  mirror: Sequence[int] = (),
) -> Float[Array, "b m s v c"]:
  """Augments clips, each at random on its own.

  Args:
    key: random key.
    x: clips.
    spec: what to do.
    mirror: see `mirror_joints`; needed if there is a probability to flip.

  Returns:
    As many frames as there were, or `spec.window`.
  """
  keys = jax.random.split(key, len(x))
  return jax.vmap(lambda key, x: _augment(key, x, spec, mirror))(keys, x)


def _augment(
  key: PRNGKey, x: Clip, spec: Augmentation, mirror: Sequence[int]
) -> Float[Array, "m s v c"]:
  choose, shift, move, rotate, flip = jax.random.split(key, 5)
  if spec.window:
    x = random_choose(choose, x, size=spec.window)
  if spec.shift:
    x = random_shift(shift, x)
  if spec.move:
    x = random_move(move, x)
  if spec.rotate:
    x = random_rotation(rotate, x, angle=spec.rotate)
  return random_flip(flip, x, mirror, probability=spec.flip) if spec.flip else x


def random_choose(key: PRNGKey, x: Clip, *, size: int) -> Float[Array, "m s v c"]:
  """A window of consecutive frames at a random place.

  Args:
    key: random key.
    x: one clip.
    size: frames of the window; a shorter clip is followed by zeros.
  """
  t = x.shape[1]
  if size >= t:
    return jnp.pad(x, ((0, 0), (0, size - t), (0, 0), (0, 0)))
  start = jax.random.randint(key, (), 0, t - size + 1)
  return jax.lax.dynamic_slice_in_dim(x, start, size, axis=1)


def random_shift(key: PRNGKey, x: Clip) -> Clip:
  """Puts the frames from the first to the last that is not empty at a random place.

  Args:
    key: random key.
    x: one clip; all persons are shifted together.
  """
  t = x.shape[1]
  there = occupied(x).any(0)
  first = jnp.argmax(there)
  length = jnp.max(jnp.where(there, jnp.arange(t) + 1, 0)) - first
  start = jax.random.randint(key, (), 0, t - jnp.maximum(length, 0) + 1)
  # what rolls over the end is empty
  return jnp.roll(x, start - first, axis=1)


def random_move(key: PRNGKey, x: Clip) -> Clip:
  """Turns, scales and shifts the plane x, y, at rates that change evenly in time.

  An angle, a scale and a shift are drawn from `ANGLES`, `SCALES` and `SHIFTS` for the
  first frame and for the end, and interpolated.

  Args:
    key: random key.
    x: one clip with coordinates x, y, ...; others than these two stay.
  """
  t = x.shape[1]
  keys = jax.random.split(key, 4)
  share = jnp.arange(t, dtype=x.dtype) / max(t - 1, 1)

  def course(key: PRNGKey, values: Sequence[float]) -> Float[Array, " t"]:
    start, end = jax.random.choice(key, jnp.array(values, x.dtype), (2,))
    return start + (end - start) * share

  angle = jnp.deg2rad(course(keys[0], ANGLES))
  scale = course(keys[1], SCALES)
  shift = jnp.stack([course(k, SHIFTS) for k in keys[2:]], -1)
  cosine, sine = scale * jnp.cos(angle), scale * jnp.sin(angle)
  turn = jnp.stack([cosine, -sine, sine, cosine], -1).reshape(t, 2, 2)
  plane = jnp.einsum("tij,mtvj->mtvi", turn, x[..., :2]) + shift[:, None]
  moved = jnp.concatenate([plane, x[..., 2:]], -1)
  return jnp.where(_joints(x), moved, x)


def random_rotation(
  key: PRNGKey, x: Float[Array, "m t v 3"], *, angle: float = 0.3
) -> Float[Array, "m t v 3"]:
  """Turns a clip about x, then y, then z, by angles in [-angle, angle] radians."""
  turns = jax.random.uniform(key, (3,), x.dtype, -angle, angle)
  return jnp.einsum("mtvj,ij->mtvi", x, rotation_matrix(turns), precision="highest")


def rotation_matrix(angles: Float[Array, "3"]) -> Float[Array, "3 3"]:
  """Right-handed rotation about x, then about y, then about z, in radians."""
  (cx, cy, cz), (sx, sy, sz) = jnp.cos(angles), jnp.sin(angles)
  return jnp.stack(
    [
      jnp.stack([cy * cz, sx * sy * cz - cx * sz, cx * sy * cz + sx * sz]),
      jnp.stack([cy * sz, sx * sy * sz + cx * cz, cx * sy * sz - sx * cz]),
      jnp.stack([-sy, sx * cy, cx * cy]),
    ]
  )


def random_flip(
  key: PRNGKey, x: Clip, mirror: Sequence[int], *, probability: float = 0.5
) -> Clip:
  """Mirrors a clip with a probability, see `mirror_joints`."""
  flipped = jax.random.bernoulli(key, probability)
  return jnp.where(flipped, mirror_joints(x, mirror), x)


def mirror_joints(
  x: Float[Array, "*b t v c"], mirror: Sequence[int]
) -> Float[Array, "*b t v c"]:
  """The mirror image of clips: x changes its sign, left joints become right ones.

  STIGCN's code leaves the joints where they are, which gives a person whose left arm
  is where its right one belongs.

  Args:
    x: clips whose origin lies in the plane of the mirror.
    mirror: joint that takes each joint's place, see `mirror_order`.
  """
  if sorted(mirror) != list(range(x.shape[-2])):
    raise ValueError(f"mirror is no permutation of the {x.shape[-2]} joints.")
  swapped = x[..., jnp.asarray(mirror), :]
  return swapped.at[..., 0].multiply(-1)


def mirror_order(names: Sequence[str]) -> tuple[int, ...]:
  """The joint that takes each joint's place when left and right are exchanged.

  Args:
    names: of the joints, with "left" or "right" where there are two, such as those of
      an `ops.graphs.SkeletonGraph`.

  Raises:
    ValueError: if a joint has no partner.
  """
  other = {"left": "right", "right": "left"}
  partners = [re.sub("left|right", lambda side: other[side[0]], n) for n in names]
  if set(partners) != set(names):
    raise ValueError(f"left and right of {', '.join(names)} are no pairs.")
  return tuple(names.index(partner) for partner in partners)


def _joints(x: Clip) -> Bool[Array, "m t v 1"]:
  """Which joints are not empty."""
  return jnp.any(x != 0, -1, keepdims=True)
