"""Descending order of a few keys: what ranking patches by energy needs.

XLA's sort of floats compares pairs through a slow total order: on the CPU it would take
longer than all the rest of a reordering. Two cheaper ways give the same result.
"""

import jax
import jax.numpy as jnp
from jax import lax

from jaxvision.typing import Array, Float, Int

_COUNTABLE = 25  # keys; beyond, the number of pairs costs more than a sort
_PACKABLE = 256  # keys; an index has 8 bits


def descending_order(keys: Float[Array, "*s k c"]) -> Int[Array, "*s k c"]:
  """Stable argsort, largest first, along the last axis but one.

  Equal to `jnp.argsort(keys, -2, stable=True, descending=True)`, except that NaN counts
  as infinity. With few keys it is some 30 times faster on the CPU, with up to 256 about
  4 times.

  Args:
    keys: float32; other dtypes are cast to it.

  Returns:
    int32: which key comes first, second, ... .
  """
  keys = keys.astype(jnp.float32)
  # NaN compares as neither before nor after; what comes of that is no permutation.
  keys = jnp.where(jnp.isnan(keys), jnp.inf, keys)
  count = keys.shape[-2]
  if count <= _COUNTABLE:
    return order_by_counting(keys)
  if count <= _PACKABLE:
    return order_by_packing(keys)
  order = jnp.argsort(keys, -2, stable=True, descending=True)
  return order.astype(jnp.int32)


def order_by_counting(keys: Float[Array, "*s k c"]) -> Int[Array, "*s k c"]:
  """The order by comparing all pairs of keys, which vectorises along the last axis.

  The rank of a key is the number of keys before it: those larger, and of the equal ones
  those in front. Ranks are the inverse of the order.
  """
  number = jnp.arange(keys.shape[-2], dtype=jnp.int32)
  one, other = keys[..., :, None, :], keys[..., None, :, :]
  in_front = (number[None, :] < number[:, None])[..., None]
  before = (other > one) | ((other == one) & in_front)
  rank = before.sum(-2, dtype=jnp.int32)
  holds = rank[..., None, :, :] == number[:, None, None]
  return jnp.where(holds, number[:, None], 0).sum(-2, dtype=jnp.int32)


def order_by_packing(keys: Float[Array, "*s k c"]) -> Int[Array, "*s k c"]:
  """The order by one sort of integers, each a key and its index; up to 256 keys.

  Bits of floats, read as integers, rise with positive floats and fall with negative
  ones. Key and index take 40 bits: 64-bit integers, in here only.
  """
  keys = jnp.where(keys == 0, 0.0, keys)  # -0 and 0 are equal, their bits are not
  bits = lax.bitcast_convert_type(keys, jnp.int32)
  rising = jnp.where(bits < 0, bits ^ jnp.int32(0x7FFFFFFF), bits)
  axis = keys.ndim - 2
  with jax.enable_x64(True):
    falling = ~lax.convert_element_type(rising, jnp.int64)
    index = lax.broadcasted_iota(jnp.int64, keys.shape, axis)
    # All distinct: the index decides between equal keys, so any sort is stable.
    packed = lax.sort(falling * _PACKABLE + index, dimension=axis, is_stable=False)
    return lax.convert_element_type(packed & (_PACKABLE - 1), jnp.int32)
