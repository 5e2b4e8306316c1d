"""Integer codes of hard-quantized tensors, and their packing into words."""

import functools
from collections.abc import Sequence
from numbers import Real

import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxvision.ops.quantization import hard_quantize
from jaxvision.typing import Array, Float, UInt8, UInt32

WORD = 32


def hard_codes(
  x: Float[Array, "*s"], *, beta: ArrayLike, biases: ArrayLike, tie: str = "gt"
) -> UInt8[Array, "*s"]:
  """Numbers the level of each value from 0.

  Args:
    x: weights or activations.
    beta: scalar, scale of the input.
    biases: [n] increasing thresholds in units of beta * x, n below 256.
    tie: as in `quantization.hard_quantize`.

  Returns:
    Codes c, where `hard_quantize` returns alpha * levels[c].
  """
  numbers = range(jnp.shape(biases)[0] + 1)
  code = hard_quantize(
    x.astype(jnp.float32),
    alpha=1.0,
    beta=beta,
    biases=biases,
    levels=tuple(numbers),
    tie=tie,
  )
  return code.astype(jnp.uint8)


def decode(
  codes: UInt8[Array, "*s"], *, alpha: ArrayLike, levels: Sequence[Real]
) -> Float[Array, "*s"]:
  """Returns alpha * levels[code]: what `quantization.hard_quantize` returns."""
  return jnp.asarray(alpha) * jnp.asarray(levels, jnp.float32)[codes]


def code_bits(levels: int) -> int:
  """Bits of one code: the least b with 2^b at least the number of levels."""
  return max((levels - 1).bit_length(), 1)


def pack_codes(codes: UInt8[Array, "*s"], bits: int) -> UInt32[Array, " words"]:
  """Packs codes into 32-bit words, in order, the first in the lowest bits.

  A code does not cross words: a word holds 32 // bits of them, and the last word is
  filled up with zeros.

  Args:
    codes: below 2^bits.
    bits: of one code, from `code_bits`.
  """
  each = WORD // bits
  flat = codes.reshape(-1).astype(jnp.uint32)
  rows = jnp.pad(flat, (0, -flat.size % each)).reshape(-1, each)
  shifted = rows << (bits * jnp.arange(each, dtype=jnp.uint32))
  return functools.reduce(jnp.bitwise_or, [shifted[:, i] for i in range(each)])


def unpack_codes(
  words: UInt32[Array, " words"], shape: Sequence[int], bits: int
) -> UInt8[Array, "..."]:
  """Undoes `pack_codes`, given the shape of the codes."""
  each = WORD // bits
  shifts = bits * jnp.arange(each, dtype=jnp.uint32)
  codes = (words[:, None] >> shifts) & jnp.uint32(2**bits - 1)
  size = functools.reduce(lambda a, b: a * b, shape, 1)
  return codes.reshape(-1)[:size].reshape(tuple(shape)).astype(jnp.uint8)
