"""Clips of skeletons as a fixed number of frames: cropped and resized in time.

The recipe of CTR-GCN (Chen et al., 2021) and of later work, which sees 64 frames of a
clip instead of 300; with `skeletons.normalize_clip` and `random_rotation` it is the
alternative to STIGCN's own, `skeletons.normalize_frames` and all frames.
"""

import jax
import jax.numpy as jnp

from jaxvision.ops.skeletons import occupied
from jaxvision.typing import Array, Float, Int, PRNGKey

Clip = Float[Array, "m t v c"]
Scalar = Float[Array, ""] | Int[Array, ""]


def random_crop(
  key: PRNGKey, x: Clip, *, size: int, low: float = 0.5, high: float = 1.0
) -> Float[Array, "m s v c"]:
  """Resizes a random piece of a clip, for training.

  The piece is a share in [low, high] of the frames there are, but at least `size` of
  them, or all.

  Args:
    key: random key.
    x: one clip; the frames there are end with the last one in which anybody is.
    size: frames s of the result.
    low: least share.
    high: largest share.
  """
  share, place = jax.random.split(key)
  frames = count_frames(x)
  wanted = jnp.floor(frames * jax.random.uniform(share, (), x.dtype, low, high))
  length = jnp.minimum(jnp.maximum(wanted.astype(frames.dtype), size), frames)
  start = jax.random.randint(place, (), 0, frames - length + 1)
  return resize_frames(x, size=size, start=start, length=length)


def center_crop(x: Clip, *, size: int, share: float = 0.95) -> Float[Array, "m s v c"]:
  """Resizes the middle of a clip, for tests.

  Args:
    x: one clip.
    size: frames s of the result.
    share: of the frames there are.
  """
  frames = count_frames(x)
  bias = ((1 - share) * frames / 2).astype(frames.dtype)
  return resize_frames(x, size=size, start=bias, length=frames - 2 * bias)


def resize_frames(
  x: Clip, *, size: int, start: Scalar, length: Scalar
) -> Float[Array, "m s v c"]:
  """Linear interpolation of the frames start, ..., start + length - 1.

  Frame i of the result is at (i + 0.5) length / size - 0.5, as in torch's `interpolate`
  without aligned corners, which does not smooth where it leaves frames out.

  Args:
    x: one clip.
    size: frames s of the result.
    start: first frame.
    length: frames to resize; of none the result is frame `start` throughout.
  """
  last = jnp.maximum(length - 1, 0)
  place = (jnp.arange(size) + 0.5) * length / size - 0.5
  place = jnp.clip(place, 0, last).astype(x.dtype)
  lower = jnp.floor(place).astype(jnp.int32)
  upper = jnp.minimum(lower + 1, last)
  share = (place - lower)[:, None, None]
  return x[:, start + lower] * (1 - share) + x[:, start + upper] * share


def count_frames(x: Clip) -> Int[Array, ""]:
  """Frames up to the last one in which anybody is; 0 if nobody ever is."""
  there = occupied(x).any(0)
  return jnp.max(jnp.where(there, jnp.arange(1, len(there) + 1), 0))
