"""Features at several scales of a map by one function: the locally invariant maximum.

Kanazawa, Sharma, Jacobs (2014), "Locally Scale-Invariant Convolutional Neural
Networks".
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jax import lax

from jaxvision.ops.affine import affine_coordinates, affine_matrix
from jaxvision.ops.convolution import convolution
from jaxvision.ops.warp_sampling import warp
from jaxvision.typing import Array, Float

CHANNELS_LAST = ("NHWC", "HWIO", "NHWC")


def scale_invariant_convolution(
  lhs: Float[Array, "b h w c"],
  rhs: Float[Array, "i j n d"],
  window_strides: Sequence[int],
  padding: str | Sequence[Sequence[int]],
  *,
  scales: Sequence[float],
  dimension_numbers: lax.ConvGeneralDilatedDimensionNumbers = CHANNELS_LAST,
  conv_general_dilated: Callable[..., Array] = convolution,
  **options: Any,
) -> Float[Array, "b k l d"]:
  """Convolves a map at several scales with one kernel and takes the largest response.

  A bias that is the same for all scales may be added afterwards. With scales (1,) it is
  the convolution itself. The cost is about the sum of scale^2.

  Args:
    lhs: maps.
    rhs: kernel.
    window_strides: must be 1.
    padding: as in `lax.conv_general_dilated`; it is padded at each scale.
    scales: above 0; 2 sees the map magnified, so the kernel answers to small things.
    dimension_numbers: channels last, in whichever form lax takes that.
    conv_general_dilated: convolves at one scale.
    **options: passed on to that.

  Raises:
    ValueError: strides, no scale, or one that is not positive.
  """
  if any(stride != 1 for stride in window_strides):
    raise ValueError(f"strides are {tuple(window_strides)}; scales need stride 1.")
  if not scales or not all(scale > 0 for scale in scales):
    raise ValueError(f"scales are {tuple(scales)}; give one or more above 0.")

  def convolve(x: Array) -> Array:
    return conv_general_dilated(
      x, rhs, window_strides, padding, dimension_numbers=dimension_numbers, **options
    )

  responses = (_at_scale(convolve, lhs, scale) for scale in scales)
  return functools.reduce(jnp.maximum, responses)


def _at_scale(
  function: Callable[[Array], Array], x: Float[Array, "b h w c"], scale: float
) -> Float[Array, "b k l d"]:
  """Resizes a map, applies a function, and undoes the resizing.

  The map's size changes with it, so that magnification cuts nothing off.
  """
  if scale == 1:
    return function(x)
  size = [max(1, round(n * scale)) for n in x.shape[1:3]]
  resized = _resized(x, scale, size)
  y = function(resized)
  # What the function cuts off (a convolution without padding) it does at any scale.
  lost = [before - after for before, after in zip(size, y.shape[1:3], strict=True)]
  target = [n - m for n, m in zip(x.shape[1:3], lost, strict=True)]
  return _resized(y, 1 / scale, target)


def _resized(
  x: Float[Array, "b h w c"], scale: float, size: Sequence[int]
) -> Float[Array, "b i j c"]:
  """Magnifies about the centre. The rim is repeated: sizes are rounded."""
  matrix = affine_matrix(scale=scale)[None]
  coordinates = affine_coordinates(matrix, tuple(size), source=x.shape[1:3])
  return warp(x, coordinates, border="clamp")
