"""The scale-invariant convolution layer."""

import functools
from collections.abc import Sequence
from typing import Any

from jaxvision.layers.convolution import Conv
from jaxvision.ops.scale_invariance import scale_invariant_convolution


def scale_invariant_conv(
  features: int, kernel_size: Sequence[int], *, scales: Sequence[float], **fields: Any
) -> Conv:
  """A `Conv` whose output is the largest of its outputs over scales of the map.

  It is the plain layer with another function that convolves. So it has the plain
  layer's parameters, and weights of the two can be exchanged.

  Args:
    features: channels out.
    kernel_size: (height, width).
    scales: see `ops.scale_invariance.scale_invariant_convolution`.
    **fields: other fields of `Conv`; strides must be 1.
  """
  convolve = functools.partial(scale_invariant_convolution, scales=tuple(scales))
  return Conv(features, kernel_size, conv_general_dilated=convolve, **fields)
