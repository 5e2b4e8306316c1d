"""Synthetic untrimmed sequences: a moment between contexts, with known ends.

Long, Yao, Qiu, Tian, Luo, Mei (2020), "Learning to Localize Actions from Moments"
(AherNet), ECCV. Lengths of the pieces depend on random numbers, so that the sequence is
not concatenated: every step of it is looked up, and shapes stay the same.

All functions are for one example; `jax.vmap` over the batch.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxvision.typing import Array, Bool, Float, Int, PRNGKey

PLACINGS = ("inside", "between")
MOMENT, START, END = 0, 1, 2  # pieces, as `context_index_map` numbers them
# Looked up, not computed: a fused multiplication would round the products of these
# differently, and the floors below would be off by one.
TWENTIETHS = np.arange(21, dtype=np.float32) * np.float32(0.05)


class Placement(NamedTuple):
  """Where the pieces of a sequence lie, in steps.

  Attributes:
    length: of the moment.
    at: first step of the moment.
    start: length of the start context.
    end: length of the end context.
  """

  length: Int[Array, ""]
  at: Int[Array, ""]
  start: Int[Array, ""]
  end: Int[Array, ""]


def draw_twentieths(
  key: PRNGKey, count: int, *, low: int, high: int
) -> Float[Array, " n"]:
  """Draws from {low, ..., high} / 20, as the code draws ratios and positions.

  Args:
    key: random.
    count: numbers to draw.
    low: smallest, in twentieths; the code has 14 for ratios and 1 for positions.
    high: largest; 19 in the code. Equal to `low` for a fixed number.
  """
  return jnp.asarray(TWENTIETHS)[jax.random.randint(key, (count,), low, high + 1)]


def place_moment(
  ratio: Float[Array, ""],
  position: Float[Array, ""],
  odd: Bool[Array, ""],
  *,
  steps: int = 512,
  placing: str = "inside",
) -> Placement:
  """Shares out the steps of a sequence among a moment and two contexts.

  The code (`Context_Train`) puts the moment inside one of the contexts, so that parts
  of the same context lie on both sides of it: inside the start context of examples at
  even places of a batch, inside the end context at odd ones.

  Args:
    ratio: length of the moment as a part of the sequence, in (0, 1); float32, as the
      floors depend on its rounding.
    position: of the moment, in (0, 1).
    odd: whether the end context is the one that is split.
    steps: of the sequence.
    placing: "inside", as above, or "between": whole contexts before and after, with
      the moment where `position` says; ours.
  """
  if placing not in PLACINGS:
    raise ValueError(f"placing is {placing!r}; choose one of {', '.join(PLACINGS)}.")
  length = jnp.floor(steps * ratio).astype(jnp.int32)
  rest = steps - length
  if placing == "between":
    start = jnp.floor(rest * position).astype(jnp.int32)
    return Placement(length, start, start, rest - start)
  start = rest // 2
  split = jnp.where(odd, rest - start, start)
  k = jnp.floor((1 - ratio) * split * position).astype(jnp.int32)
  return Placement(length, jnp.where(odd, start + k, k), start, rest - start)


def context_index_map(
  placement: Placement, *, steps: int = 512
) -> tuple[Int[Array, " t"], Int[Array, " t"]]:
  """Says of every step of a sequence which step of which piece it is.

  Args:
    placement: from `place_moment`.
    steps: of the sequence.

  Returns:
    Numbers of the pieces, `MOMENT`, `START` or `END`, and steps within the pieces.
  """
  length, at, start, _ = placement
  time = jnp.arange(steps)
  inside = (time >= at) & (time < at + length)
  rest = jnp.where(time < at, time, time - length)  # step of the joined contexts
  first = rest < start
  piece = jnp.where(inside, MOMENT, jnp.where(first, START, END))
  within = jnp.where(inside, time - at, jnp.where(first, rest, rest - start))
  return piece, within


def legacy_resize(x: Float[Array, "s d"], steps: int) -> Float[Array, "t d"]:
  """Resizes linearly along time as TensorFlow 1 does: no half-step shift, no filter.

  Step i is read at i * s / steps, clamped to the last step. `jax.image.resize` reads at
  (i + 1/2) * s / steps - 1/2.
  """
  size = x.shape[0]
  return _read(x, 0, size, jnp.arange(steps) * np.float32(size / steps))


def synthesize(
  moment: Float[Array, "m d"],
  start: Float[Array, "s d"],
  end: Float[Array, "e d"],
  placement: Placement,
  *,
  steps: int = 512,
) -> Float[Array, "t d"]:
  """Joins a moment and its contexts, each resized to its length, to a sequence.

  Args:
    moment: features of the trimmed clip.
    start: features that precede it.
    end: features that follow it.
    placement: from `place_moment`.
    steps: of the sequence.
  """
  piece, within = context_index_map(placement, steps=steps)
  sizes = np.array([len(moment), len(start), len(end)])
  lengths = jnp.stack([placement.length, placement.start, placement.end])
  scale = sizes.astype(np.float32) / jnp.maximum(lengths, 1)
  first = jnp.asarray(np.cumsum(sizes) - sizes)[piece]
  bank = jnp.concatenate([moment, start, end])
  return _read(bank, first, jnp.asarray(sizes)[piece], within * scale[piece])


def moment_segment(
  placement: Placement, odd: Bool[Array, ""], *, legacy_odd_end: bool = False
) -> Float[Array, "2"]:
  """Where the moment starts and ends, in steps of the sequence.

  Args:
    placement: from `place_moment`, "inside".
    odd: as there.
    legacy_odd_end: whether to repeat a mistake of the code, which leaves the start
      context out of the end of odd examples. For parity only.
  """
  length, at, start, _ = placement
  end = at + length
  if legacy_odd_end:
    end = jnp.where(odd, end - start, end)
  return jnp.stack([at, end]).astype(jnp.float32)


def background_contexts(
  x: Float[Array, "t d"],
  segments: Float[Array, "g 2"],
  valid: Bool[Array, " g"],
  *,
  steps: int,
) -> tuple[Float[Array, "s d"], Float[Array, "s d"]]:
  """Contexts copied from what a real video shows outside of its actions; an ablation.

  The first half of these steps is the start context, the second half the end context,
  each stretched to `steps` by repetition.

  Args:
    x: features of the video.
    segments: (start, end) of its actions, as fractions of it.
    valid: which of them there are.
    steps: of a context.

  Returns:
    The contexts; zeros of a video that shows nothing but actions.
  """
  middle = (jnp.arange(len(x)) + 0.5)[:, None] / len(x)
  covered = (middle > segments[:, 0]) & (middle < segments[:, 1]) & valid
  action = covered.any(axis=-1)
  order = jnp.argsort(action, stable=True)  # background first, in the order of time
  count = (~action).sum()
  rank = jnp.arange(2 * steps) * count // (2 * steps)
  found = jnp.where(count > 0, x[order[rank]], 0)
  return found[:steps], found[steps:]


def _read(x: Array, first: Array | int, size: Array | int, position: Array) -> Array:
  """Interpolates rows of `x` at positions of the pieces that begin at rows `first`."""
  low = jnp.clip(position.astype(jnp.int32), 0, size - 1)
  high = jnp.minimum(low + 1, size - 1)
  take = lambda rows: x.at[first + rows].get(mode="promise_in_bounds")
  below = take(low)
  return below + (take(high) - below) * (position - low)[:, None]
