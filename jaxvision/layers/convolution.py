"""The convolution layer: `flax.linen.Conv` on `ops.convolution`."""

from collections.abc import Callable
from typing import no_type_check

import flax.linen as nn

from jaxvision.ops.convolution import convolution
from jaxvision.typing import Array


@no_type_check  # Flax annotates an inherited field with a type that defies the checker.
class Conv(nn.Conv):
  """`flax.linen.Conv` whose gradients stay fast inside loops on the CPU.

  Arguments, parameters, initial values, outputs and automatic names are those of
  `flax.linen.Conv`. A subclass, not a `functools.partial`: interceptors and
  `isinstance` see a `flax.linen.Conv`.

  Attributes:
    conv_general_dilated: the function that convolves; `lax.conv_general_dilated` gives
      the plain layer.
  """

  conv_general_dilated: Callable[..., Array] | None = convolution
