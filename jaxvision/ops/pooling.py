"""Max-pooling over tiles, with a gradient that is elementwise."""

import functools

import jax
import jax.numpy as jnp
from jax import lax

from jaxvision.typing import Array, Float, Int


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def max_pool(x: Float[Array, "b h w c"], size: int = 2) -> Float[Array, "b i j c"]:
  """Maxima of size x size tiles; rows and columns that fill no tile are dropped.

  Equal in value and gradient to `flax.linen.max_pool(x, (size, size), (size, size))`:
  of equal maxima the first takes the gradient. That one's gradient is XLA's
  select-and-scatter, which its CPU backend runs one element at a time; this one is a
  product with a mask, some 50 times faster there (28x28x32, batch 100).

  Args:
    x: images.
    size: side of a tile, and the stride.
  """
  return functools.reduce(jnp.maximum, _corners(x, size))


def _corners(x: Array, size: int) -> list[Array]:
  """The tiles' elements, each as an image: first, second, ... of every tile."""
  height, width = (n // size * size for n in x.shape[1:3])
  return [x[:, i:height:size, j:width:size] for i in range(size) for j in range(size)]


def _winner(x: Array, y: Array, size: int) -> Int[Array, "b i j c"]:
  """Number of the first element of each tile that equals its maximum."""
  number = jnp.full(y.shape, size * size - 1, jnp.int32)
  for k, corner in reversed(list(enumerate(_corners(x, size)))):
    number = jnp.where(corner == y, k, number)
  return number


@max_pool.defjvp
def _max_pool_jvp(size, primals, tangents):
  (x,), (dx,) = primals, tangents
  y = max_pool(x, size)
  b, i, j, c = y.shape
  tiles = (b, i, size, j, size, c)
  number = lax.broadcasted_iota(jnp.int32, tiles, 2) * size
  number += lax.broadcasted_iota(jnp.int32, tiles, 4)
  wins = number == _winner(x, y, size)[:, :, None, :, None]
  # Linear in dx; its transpose spreads the gradient over each tile and masks it.
  dtiles = dx[:, : i * size, : j * size].reshape(tiles)
  return y, jnp.where(wins, dtiles, 0).sum((2, 4))
