"""Moves of whole blocks of feature maps: permutations of patches and their gradient."""

import jax
import jax.numpy as jnp
from jax import lax

from jaxvision.typing import Array, Float, Int

Corner = tuple[int, int]
REMAINDERS = ("topleft", "center")
_SELECTABLE = 16  # blocks; beyond, a gather is faster than so many selections


def core_corner(
  shape: tuple[int, ...], blocks: int, *, remainder: str = "topleft"
) -> Corner:
  """Top row and left column of what blocks x blocks equal blocks cover.

  Args:
    shape: of the maps, "b h w c".
    blocks: per side; a block has (h // blocks, w // blocks) pixels.
    remainder: "topleft": at the corner, rows and columns are left over at the bottom
      and the right, as in the authors' code; "center": in the middle, an odd one left
      over is at the bottom or the right.

  Raises:
    ValueError: maps with fewer pixels than blocks a side, or an unknown remainder.
  """
  sides = shape[1:3]
  if min(sides) < blocks:
    raise ValueError(
      f"x is {sides[0]}x{sides[1]}; {blocks}x{blocks} blocks need as many pixels."
    )
  if remainder not in REMAINDERS:
    raise ValueError(f"remainder is {remainder!r}; choose {' or '.join(REMAINDERS)}.")
  top, left = (side % blocks // 2 for side in sides)
  return (top, left) if remainder == "center" else (0, 0)


def core(x: Float[Array, "b h w c"], blocks: int, corner: Corner) -> Array:
  """The part of the maps that the blocks cover."""
  height, width = (side // blocks * blocks for side in x.shape[1:3])
  top, left = corner
  return x[:, top : top + height, left : left + width]


def apply_permutation(
  x: Float[Array, "b h w c"],
  source: Int[Array, "b k k d"],
  *,
  remainder: str = "topleft",
) -> Float[Array, "b h w c"]:
  """Fills each block of the result with the block of `x` that `source` names.

  The gradient moves blocks back: it is the inverse permutation, not the general
  transpose of a gather, which adds one element at a time. Forward-mode differentiation
  of this is not defined, though of its gradient it is.

  Args:
    x: maps; only the part that k x k equal blocks cover changes.
    source: number of a block (row * k + column), each once a map; one permutation a
      channel (d = c) or for all channels (d = 1).
    remainder: where the pixels left over lie, see `core_corner`.

  Raises:
    ValueError: too small maps or an unknown remainder.
  """
  corner = core_corner(x.shape, source.shape[1], remainder=remainder)
  return _permute(x, source, corner)


def _permuted(x: Array, source: Array, corner: Corner) -> Array:
  blocks = source.shape[1]
  moved = move_blocks(core(x, blocks, corner), source, blocks)
  return lax.dynamic_update_slice(x, moved, (0, *corner, 0))


# The rules below call the plain function, so that they can be differentiated again in
# any mode.
_permute = jax.custom_vjp(_permuted, nondiff_argnums=(2,))


def _permute_forward(x: Array, source: Array, corner: Corner) -> tuple[Array, Array]:
  return _permuted(x, source, corner), source


def _permute_backward(corner: Corner, source: Array, g: Array) -> tuple[Array, None]:
  return _permuted(g, invert_permutation(source), corner), None


_permute.defvjp(_permute_forward, _permute_backward)


def invert_permutation(source: Int[Array, "b k k d"]) -> Int[Array, "b k k d"]:
  """Where each block goes, from where each comes from; and the other way round."""
  b, k, _, d = source.shape
  number = jnp.arange(k * k, dtype=jnp.int32)[:, None]
  image, channel = jnp.arange(b)[:, None, None], jnp.arange(d)
  inverse = jnp.zeros((b, k * k, d), jnp.int32)
  inverse = inverse.at[image, source.reshape(inverse.shape), channel].set(
    jnp.broadcast_to(number, inverse.shape), unique_indices=True
  )
  return inverse.reshape(source.shape)


def move_blocks(x: Array, order: Int[Array, "b g g d"], n: int) -> Array:
  """Moves blocks within parents of n x n blocks each.

  Args:
    x: numbers of any type, [b, h, w, c], h and w multiples of g.
    order: for each block, which one of its parent's it becomes (row * n + column); n
      divides g, d is c or 1.
    n: blocks per side of a parent.
  """
  per_channel = order.shape[-1] == x.shape[-1]
  # Selection reads all blocks, yet in vectors along the channels; a gather of single
  # elements has no vectors. With an order for all channels it copies whole pixels.
  by_selection = per_channel and n * n <= _SELECTABLE
  return (_select if by_selection else gather_blocks)(x, order, n)


def _select(x: Array, order: Array, n: int) -> Array:
  b, h, w, c = x.shape
  g = order.shape[1]
  parents = g // n
  x = x.reshape(b, parents, n, h // g, parents, n, w // g, c)
  order = order.reshape(b, parents, n, 1, parents, n, 1, c)
  child = lambda i, j: x[:, :, i : i + 1, :, :, j : j + 1]
  moved = jnp.broadcast_to(child(0, 0), x.shape)
  for number in range(1, n * n):
    moved = jnp.where(order == number, child(*divmod(number, n)), moved)
  return moved.reshape(b, h, w, c)


def gather_blocks(x: Array, order: Int[Array, "b g g d"], n: int) -> Array:
  """As `move_blocks`, always by a gather."""
  b, h, w, c = x.shape
  g = order.shape[1]
  first = jnp.arange(g, dtype=jnp.int32) // n * n  # block of a parent
  rows = (first[:, None, None] + order // n) * (h // g)
  columns = (first[:, None] + order % n) * (w // g)
  inside = jnp.arange(h // g, dtype=jnp.int32)[:, None] * w + jnp.arange(w // g)
  start = (rows * w + columns)[:, :, None, :, None]
  pixels = (start + inside[:, None, :, None]).reshape(b, h * w, -1)
  return jnp.take_along_axis(
    x.reshape(b, h * w, c), pixels, axis=1, mode="promise_in_bounds"
  ).reshape(x.shape)
