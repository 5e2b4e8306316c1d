"""SI-CNN: the small network with scale-invariant convolutions."""

import functools
from collections.abc import Callable, Sequence

import flax.linen as nn

from jaxvision.errors import UserError
from jaxvision.layers.scale_invariant import scale_invariant_conv
from jaxvision.models.cnn import CNN
from jaxvision.typing import Array


class SICNN(CNN):
  """`CNN` whose convolutions answer to their best scale at each place.

  Kanazawa, Sharma, Jacobs (2014), "Locally Scale-Invariant Convolutional Neural
  Networks". Fields, parameters and places are the CNN's; those of one can be used in
  the other. With `scales=(1,)` it is the CNN.

  Attributes:
    scales: of the maps, above 0, see `ops.scale_invariance`. The default is ours: three
      scales, a factor of about 1.4 apart.
  """

  scales: Sequence[float] = (0.7, 1.0, 1.4)

  def _check(self, x: Array) -> None:
    super()._check(x)
    if not self.scales or not all(scale > 0 for scale in self.scales):
      raise UserError(
        f"config.model.scales is {tuple(self.scales)}; give one or more above 0."
      )

  def _convolution(self) -> Callable[..., nn.Module]:
    return functools.partial(scale_invariant_conv, scales=self.scales)
