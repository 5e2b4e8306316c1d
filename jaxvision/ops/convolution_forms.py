"""Forms of one channels-last convolution, for `ops.convolution` to choose from."""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike

from jaxvision.typing import Array, Float, Int8

# "*" stands for the spatial axes.
CHANNELS_LAST = ("N*C", "*IO", "N*C")
# A slice a tap: more would make the program large.
MOST_TAPS = 64
# Positions (examples times pixels) that a batch is cut from, and that a chunk may have.
UNCUT_POSITIONS, CHUNK_POSITIONS, MOST_CHUNKS = 2**14, 2**11, 16
LEAST_CHANNELS = 32  # of the inputs, for a batch to be cut, or for shifts
MOST_SHIFTS = 3


class Window(NamedTuple):
  """All of a convolution but its arrays; the first three hold one value an axis."""

  strides: tuple[int, ...]
  padding: tuple[tuple[int, int], ...]
  dilation: tuple[int, ...]
  precision: lax.PrecisionLike
  dtype: DTypeLike | None

  def of_axes(self, axes: Sequence[int]) -> "Window":
    """The window along some of the spatial axes."""
    strides, padding, dilation = (
      tuple(values[axis] for axis in axes) for values in self[:3]
    )
    return self._replace(strides=strides, padding=padding, dilation=dilation)

  def unpadded(self) -> "Window":
    """The window on inputs that are padded already."""
    return self._replace(padding=((0, 0),) * len(self.padding))

  def positions(self, sizes: Sequence[int], kernel: Sequence[int]) -> tuple[int, ...]:
    """Spatial sizes of the output, from those of the inputs and the kernel's shape."""
    return tuple(
      max((n + sum(pads) - (k - 1) * d - 1) // s + 1, 0)
      for n, k, s, pads, d in zip(sizes, kernel[:-2], *self[:3], strict=True)
    )


def layout(spatial: int, specs: Sequence[str] = CHANNELS_LAST) -> tuple[str, ...]:
  """Spells out "*": `layout(2)` is ("NHWC", "HWIO", "NHWC")."""
  return tuple(spec.replace("*", "DHW"[-spatial:]) for spec in specs)


def pad(x: Float[Array, "b *s c"], window: Window) -> Float[Array, "b *padded c"]:
  """Pads with zeros (or crops) the spatial axes as the window does."""
  edges = ((0, 0, 0), *((low, high, 0) for low, high in window.padding), (0, 0, 0))
  return lax.pad(x, jnp.zeros((), x.dtype), edges)


def direct(
  x: Array, kernel: Array, window: Window, specs: Sequence[str] = CHANNELS_LAST
) -> Array:
  """`lax.conv_general_dilated` of arrays whose axes are in the order of `specs`."""
  return lax.conv_general_dilated(
    x,
    kernel,
    window.strides,
    window.padding,
    rhs_dilation=window.dilation,
    dimension_numbers=layout(x.ndim - 2, specs),
    precision=window.precision,
    preferred_element_type=window.dtype,
  )


def fits_patches(
  kernel: Float[Array, "*taps c d"] | Int8[Array, "*taps c d"], pixels: Sequence[int]
) -> bool:
  """Whether a map of `pixels` is so small that `by_patches` is the better form.

  XLA swaps the operands of a convolution with more taps than its input has pixels, as
  3x3 on 2x2, into one that the CPU backend runs as scalar code, in loops or not.
  """
  return 0 < math.prod(pixels) < math.prod(kernel.shape[:-2]) <= MOST_TAPS


def chunks(examples: int, pixels: int) -> int:
  """Into how many equal chunks a batch is cut: as few as make them small enough."""
  if examples * pixels < UNCUT_POSITIONS:
    return 1
  divisors = [n for n in range(1, MOST_CHUNKS + 1) if examples % n == 0]
  small = (n for n in divisors if examples // n * pixels <= CHUNK_POSITIONS)
  return next(small, divisors[-1])


def by_patches(
  x: Float[Array, "b *s c"], kernel: Float[Array, "*taps c d"], window: Window
) -> Float[Array, "b *out d"]:
  """The convolution as a matrix product: a slice of the inputs a tap, side by side."""
  taps = kernel.shape[:-2]
  out = window.positions(x.shape[1:-1], kernel.shape)
  x = pad(x, window)
  slices = []
  for tap in itertools.product(*map(range, taps)):
    start = [t * d for t, d in zip(tap, window.dilation, strict=True)]
    stop = [
      a + (n - 1) * s + 1 for a, n, s in zip(start, out, window.strides, strict=True)
    ]
    strides = (1, *window.strides, 1)
    slices.append(
      lax.slice(x, (0, *start, 0), (x.shape[0], *stop, x.shape[-1]), strides)
    )
  return product(
    jnp.concatenate(slices, -1), kernel.reshape(-1, kernel.shape[-1]), window
  )


def fits_shifts(kernel: Float[Array, "*taps c d"], window: Window) -> bool:
  """Whether `by_shifts` takes the case, and its gradient by the kernel is fast."""
  taps, c = kernel.shape[:-2], kernel.shape[-2]
  few = len(taps) == 1 and taps[0] <= MOST_SHIFTS
  return few and window.strides == (1,) and c >= LEAST_CHANNELS


def by_shifts(
  x: Float[Array, "b t c"], kernel: Float[Array, "k c d"], window: Window
) -> Float[Array, "b s d"]:
  """The convolution as a matrix product with all taps, shifted and added.

  Its gradient by the kernel is one product of the inputs as they lie; that of `direct`
  transposes them first, and XLA lets this copy compute anew, in scalar code, all
  elementwise operations that made them.
  """
  (b, t, c), (k, _, d) = x.shape, kernel.shape
  taps = kernel.swapaxes(0, 1).reshape(c, k * d)
  parts = jnp.split(product(x.reshape(b * t, c), taps, window), k, axis=-1)
  (out,) = window.positions((t,), kernel.shape)
  shifts = [window.padding[0][0] - i * window.dilation[0] for i in range(k)]
  zero = jnp.zeros((), parts[0].dtype)
  return sum(
    lax.pad(
      part.reshape(b, t, d), zero, ((0, 0, 0), (shift, out - t - shift, 0), (0, 0, 0))
    )
    for part, shift in zip(parts, shifts, strict=True)
  )


def product(
  x: Float[Array, "*b c"], matrix: Float[Array, "c d"], window: Window
) -> Float[Array, "*b d"]:
  """Matrix product with the window's precision and output type."""
  return jnp.dot(
    x, matrix, precision=window.precision, preferred_element_type=window.dtype
  )
