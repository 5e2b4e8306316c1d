"""Convolution whose gradients stay fast inside loops on XLA's CPU backend.

That backend has a fast kernel for channels-last convolutions only ("NHWC", "HWIO"). The
gradients of `lax.conv_general_dilated` are convolutions with other dimension orders.
A pass reorders them, but only at the top level of a program: in the body of a `scan`,
`fori_loop`, `while_loop` or `cond` they run as scalar code, 5 to 100 times slower.

Here each tangent is a convolution in that dimension order of which the transpose, the
gradient, is a plain channels-last convolution. Values and tangents are those of `lax`;
so forward mode, reverse mode and any mixture of them work, which a `custom_vjp` would
not allow. Only first-order reverse mode is fast in loops: a gradient of a gradient is
again what `lax` makes of it.

Two more traps of the CPU backend are avoided on the way, in loops or not: kernels with
more taps than the map has pixels, and kernels of 1x1 and (k, 1).
"""

import functools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.custom_derivatives import SymbolicZero
from jax.sharding import AxisType
from jax.typing import DTypeLike

from jaxvision.ops import convolution_forms as forms
from jaxvision.typing import Array, Float


def convolution(
  lhs: Array,
  rhs: Array,
  window_strides: Sequence[int],
  padding: str | Sequence[Sequence[int]],
  lhs_dilation: Sequence[int] | None = None,
  rhs_dilation: Sequence[int] | None = None,
  dimension_numbers: lax.ConvGeneralDilatedDimensionNumbers = None,
  feature_group_count: int = 1,
  batch_group_count: int = 1,
  precision: lax.PrecisionLike = None,
  preferred_element_type: DTypeLike | None = None,
) -> Array:
  """Stands in for `lax.conv_general_dilated`: same arguments, values and derivatives.

  Fit for `flax.linen.Conv(conv_general_dilated=convolution)`. It is
  `loop_safe_convolution` where the default backend is the CPU and that function
  supports the case, and `lax.conv_general_dilated` itself otherwise: on accelerators,
  which have no such trap, and for integers, groups (depthwise convolution), input
  dilation (transposed convolution), other dimension orders and explicit sharding, of
  which the gradients stay slow in loops on the CPU. Pass lax's own function where plain
  lax is wanted.

  The backend is asked while tracing, not by `lax.platform_dependent`, which would put
  a branch into programs exported for several platforms. Either choice lowers to
  ordinary convolutions, so a program traced here runs everywhere.
  """
  output = dict(precision=precision, preferred_element_type=preferred_element_type)
  ungrouped = feature_group_count == batch_group_count == 1
  if ungrouped and _is_supported(lhs, rhs, lhs_dilation, dimension_numbers):
    return loop_safe_convolution(
      lhs,
      rhs,
      strides=window_strides,
      padding=padding,
      dilation=rhs_dilation,
      **output,
    )
  return lax.conv_general_dilated(
    lhs,
    rhs,
    window_strides,
    padding,
    lhs_dilation=lhs_dilation,
    rhs_dilation=rhs_dilation,
    dimension_numbers=dimension_numbers,
    feature_group_count=feature_group_count,
    batch_group_count=batch_group_count,
    **output,
  )


def loop_safe_convolution(
  x: Float[Array, "b *spatial c"],
  kernel: Float[Array, "*taps c d"],
  *,
  strides: Sequence[int],
  padding: str | Sequence[Sequence[int]],
  dilation: Sequence[int] | None = None,
  precision: lax.PrecisionLike = None,
  preferred_element_type: DTypeLike | None = None,
) -> Float[Array, "b *out d"]:
  """Convolves one to three spatial axes, channels last, on any backend.

  Not for arrays that are sharded explicitly; see `convolution`.

  Args:
    x: inputs.
    kernel: kernel, of the inputs' dtype.
    strides: step between windows, one a spatial axis.
    padding: "SAME", "SAME_LOWER", "VALID" or a pair (low, high) a spatial axis.
    dilation: step between the kernel's taps, one a spatial axis; None is 1.
    precision: as in `lax.conv_general_dilated`.
    preferred_element_type: dtype of the output; None is that of the inputs.
  """
  spatial = x.ndim - 2
  dilation = tuple(dilation or (1,) * spatial)
  if isinstance(padding, str):
    extent = [(k - 1) * d + 1 for k, d in zip(kernel.shape, dilation, strict=False)]
    padding = lax.padtype_to_pads(x.shape[1:-1], extent, strides, padding)
  pads = tuple((int(low), int(high)) for low, high in padding)
  window = forms.Window(
    tuple(strides), pads, dilation, precision, preferred_element_type
  )
  return _convolve(x, kernel, window)


def _is_supported(
  lhs: Array,
  rhs: Array,
  lhs_dilation: Sequence[int] | None,
  numbers: lax.ConvGeneralDilatedDimensionNumbers,
) -> bool:
  """Whether `loop_safe_convolution` gains anything here, and takes such arrays."""
  return (
    all(d == 1 for d in lhs_dilation or ())
    and jnp.issubdtype(lhs.dtype, jnp.floating)
    and _is_channels_last(lhs, rhs, numbers)
    # lax's rule for explicit shardings takes axes to keep their places.
    and AxisType.Explicit not in jax.typeof(lhs).sharding.mesh.axis_types
    and jax.default_backend() == "cpu"
  )


def _is_channels_last(
  lhs: Array, rhs: Array, numbers: lax.ConvGeneralDilatedDimensionNumbers
) -> bool:
  """Whether one to three spatial axes lie between the batch and the channels."""
  spatial = lhs.ndim - 2
  if not 1 <= spatial <= 3:
    return False
  parse = functools.partial(lax.conv_dimension_numbers, lhs.shape, rhs.shape)
  return parse(numbers) == parse(forms.layout(spatial))


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def _convolve(x: Array, kernel: Array, window: forms.Window) -> Array:
  sizes = x.shape[1:-1]
  if forms.fits_patches(kernel, sizes) and all(window.positions(sizes, kernel.shape)):
    return forms.by_patches(x, kernel, window)
  return forms.direct(x, kernel, window)


# Symbolic zeros: an attack needs no kernel gradient, a first layer no input gradient.
@functools.partial(_convolve.defjvp, symbolic_zeros=True)
def _convolve_jvp(window, primals, tangents):
  x, kernel = primals
  dx, dkernel = tangents
  out = _convolve(x, kernel, window)
  if isinstance(dkernel, SymbolicZero):
    return out, _along_input(dx, kernel, window)
  if isinstance(dx, SymbolicZero):
    return out, _along_kernel(x, dkernel, window)
  return out, _along_input(dx, kernel, window) + _along_kernel(x, dkernel, window)


def _along_input(dx: Array, kernel: Array, window: forms.Window) -> Array:
  """`dx` convolved with the kernel; transposing it swaps "O" and "I" into place."""
  sizes = dx.shape[1:-1]
  out = window.positions(sizes, kernel.shape)
  if forms.fits_patches(kernel, min(sizes, out, key=math.prod)):
    return forms.by_patches(dx, kernel, window)
  return forms.direct(dx, kernel.swapaxes(-2, -1), window, ("N*C", "*OI", "N*C"))


def _along_kernel(x: Array, dkernel: Array, window: forms.Window) -> Array:
  """`x` convolved with `dkernel`, after folding axes that the kernel does not cover.

  Along an axis with a single tap and no padding a convolution is a batch of smaller
  ones. Folded into the batch, the gradient of a 1x1 kernel is one matrix product (2
  times faster) and that of a (k, 1) kernel a 1-D convolution (3 times faster).
  """
  axes = range(x.ndim - 2)
  folded = [a for a in axes if dkernel.shape[a] == 1 and window.padding[a] == (0, 0)]
  covered = [a for a in axes if a not in folded]
  for axis in folded:
    x = lax.slice_in_dim(x, 0, None, window.strides[axis], axis + 1)
  # The batch leads the fold, so that it may stay sharded.
  order = (0, *(a + 1 for a in folded + covered), x.ndim - 1)
  x = x.transpose(order)
  batch, rest = x.shape[: len(folded) + 1], x.shape[len(folded) + 1 :]
  x = x.reshape(math.prod(batch), *rest)
  y = _in_chunks(x, lax.squeeze(dkernel, folded), window.of_axes(covered))
  return y.reshape(*batch, *y.shape[1:]).transpose(np.argsort(order))


def _in_chunks(x: Array, dkernel: Array, window: forms.Window) -> Array:
  """`_transposable` on parts of the batch, so that the kernel's gradient is a sum.

  That gradient contracts the batch and all positions at once, more than the caches
  hold: in parts of some thousand positions it is up to 2.5 times faster. Part i is
  every n-th example from i on, so that a sharded batch stays where it is. One axis
  alone gains nothing, and few channels lose: 16 take up to twice as long.
  """
  gains = len(window.strides) > 1 and x.shape[-1] >= forms.LEAST_CHANNELS
  n = forms.chunks(x.shape[0], math.prod(x.shape[1:-1])) if gains else 1
  if n == 1:
    return _transposable(x, dkernel, window)
  parts = jnp.moveaxis(x.reshape(-1, n, *x.shape[1:]), 1, 0)
  y = lax.map(lambda part: _transposable(part, dkernel, window), parts)
  return jnp.moveaxis(y, 0, 1).reshape(x.shape[0], *y.shape[2:])


def _transposable(x: Array, dkernel: Array, window: forms.Window) -> Array:
  """`x` convolved with `dkernel` in the order of which the transpose is channels-last.

  That transpose, the kernel's gradient, convolves `x`, its channels as the batch and
  its batch as the channels, with the output's gradient as the kernel. That of
  `forms.by_shifts` is a matrix product.
  """
  if not window.strides:
    return forms.product(x, dkernel, window)
  if forms.fits_shifts(dkernel, window):
    return forms.by_shifts(x, dkernel, window)
  sizes = x.shape[1:-1]
  out = window.positions(sizes, dkernel.shape)
  if math.prod(out) > math.prod(sizes):
    # XLA would swap the operands of the transpose (`forms.fits_patches`), whose kernel
    # is the output's gradient; not if the inputs bring their padding with them.
    x, window = forms.pad(x, window), window.unpadded()
  x, dkernel = x.swapaxes(0, -1), jnp.moveaxis(dkernel, -2, 0)
  y = forms.direct(x, dkernel, window, ("C*N", "I*O", "*NC"))
  return jnp.moveaxis(y, -2, 0)
