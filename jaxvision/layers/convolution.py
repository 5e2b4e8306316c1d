"""The convolution layer: `flax.linen.Conv` on `ops.convolution`."""

from collections.abc import Callable

import flax.linen as nn

from jaxvision.ops.convolution import convolution
from jaxvision.typing import Array


class Conv(nn.Conv):
  """`flax.linen.Conv` whose gradients stay fast inside loops on the CPU.

  Arguments, parameters, initial values, outputs and automatic names are those of
  `flax.linen.Conv`. A subclass and not a `functools.partial`, so that it remains a class
  that `isinstance` and interceptors recognise as a `flax.linen.Conv`.

  Attributes:
    conv_general_dilated: the function that convolves; `lax.conv_general_dilated` gives
      the plain layer.
  """

  conv_general_dilated: Callable[..., Array] | None = convolution
