"""Tap: a name for a feature, and a place where transforms can be inserted."""

import flax.linen as nn

from jaxvision.typing import PyTree


class Tap(nn.Module):
  """The identity, as a named module.

  `nn.relu` is no module, so a model marks "after the activation" by
  `x = Tap(name="relu1")(x)`. `layers.insertion` puts transforms behind such a place and
  returns its value on request.
  """

  @nn.compact
  def __call__(self, x: PyTree) -> PyTree:
    """Returns `x`."""
    return x
