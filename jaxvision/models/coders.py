"""Coders of features: what distillation trains beside a student and throws away.

They take features of any network: [b, d], [b, t, d] or [b, h, w, d].
"""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn

from jaxvision.layers.convolution import Conv
from jaxvision.layers.normalization import BatchNorm
from jaxvision.models.parts import choose
from jaxvision.typing import Array, Float

SLOPE = 0.1  # of the leaky ReLUs
# N(0, 2 / (9 c_out)), as the authors draw.
INIT = nn.initializers.variance_scaling(2.0, "fan_out", "normal")


def convolve(
  x: Float[Array, "b ... c"],
  width: int,
  *,
  size: int,
  name: str,
  bias: bool = False,
  dtype: Any = None,
) -> Float[Array, "b ... d"]:
  """Convolves over the positions, whatever their number of axes; with none, a Dense."""
  axes = x.ndim - 2
  options = {"use_bias": bias, "kernel_init": INIT, "dtype": dtype, "name": name}
  if not axes:
    return nn.Dense(width, **options)(x)
  pad = (size // 2, size // 2)
  return Conv(width, (size,) * axes, padding=(pad,) * axes, **options)(x)


class Coder(nn.Module):
  """Three 3-wide convolutions that turn a feature into a factor, or back.

  Huang et al. (2021), the authors' `Coder`: [leaky ReLU, norm] around convolutions
  c_in -> c_in -> width -> width without bias. Without norm there is no leading ReLU.

  Submodules are "conv<i>" and "norm<i>".

  Attributes:
    width: channels of the factor.
    norm: batch-normalizes after each convolution.
    dtype: of the computation.
  """

  width: int
  norm: bool = True
  dtype: Any = None

  @nn.compact
  def __call__(
    self, x: Float[Array, "b ... c"], train: bool = False
  ) -> Float[Array, "b ... d"]:
    """Returns a factor at the positions of `x`."""
    if self.norm:
      x = nn.leaky_relu(x, SLOPE)
    for i, width in enumerate((x.shape[-1], self.width, self.width), start=1):
      x = convolve(x, width, size=3, name=f"conv{i}", dtype=self.dtype)
      if self.norm:
        x = BatchNorm(not train, dtype=self.dtype, name=f"norm{i}")(x)
      x = nn.leaky_relu(x, SLOPE)
    return x


class AutoEncoder(nn.Module):
  """The teacher's auto-encoder: "encoder" and "decoder" are `Coder`s.

  Huang et al. (2021): its factor is the compact knowledge of the teacher. Also the
  paraphraser of factor transfer, whose authors have transposed convolutions instead.

  Attributes:
    width: channels of the factor.
    norm: of the coders.
    dtype: of the computation.
  """

  width: int
  norm: bool = True
  dtype: Any = None

  @nn.compact
  def __call__(
    self, x: Float[Array, "b ... c"], train: bool = False
  ) -> tuple[Float[Array, "b ... d"], Float[Array, "b ... c"]]:
    """Returns the factor and the reconstruction of `x`."""
    options = {"norm": self.norm, "dtype": self.dtype}
    factor = Coder(self.width, name="encoder", **options)(x, train)
    return factor, Coder(x.shape[-1], name="decoder", **options)(factor, train)


class Connector(nn.Module):
  """A 1-wide convolution "conv" and a norm: a student's feature at another width.

  The regressor of FitNets, AB and OFD. No activation: AB and OFD compare what comes
  before it.

  Attributes:
    width: channels out, those of the teacher.
    norm: batch-normalizes; otherwise the convolution has a bias.
    dtype: of the computation.
  """

  width: int
  norm: bool = True
  dtype: Any = None

  @nn.compact
  def __call__(
    self, x: Float[Array, "b ... c"], train: bool = False
  ) -> Float[Array, "b ... d"]:
    """Returns features of `width` channels."""
    x = convolve(
      x, self.width, size=1, bias=not self.norm, name="conv", dtype=self.dtype
    )
    return BatchNorm(not train, dtype=self.dtype, name="norm")(x) if self.norm else x


KINDS = {"coder": Coder, "connector": Connector}


class Adapters(nn.Module):
  """One coder or connector for each of several features, under their names.

  Attributes:
    widths: channels out, by name.
    kind: "coder" or "connector".
    norm: of all of them.
    dtype: of the computation.
  """

  widths: Mapping[str, int]
  kind: str = "coder"
  norm: bool = True
  dtype: Any = None

  @nn.compact
  def __call__(
    self, features: Mapping[str, Array], train: bool = False
  ) -> dict[str, Array]:
    """Adapts the features that have a width here; returns the others as they are."""
    module = KINDS[choose("kind", self.kind, tuple(KINDS))]
    options = {"norm": self.norm, "dtype": self.dtype}
    return {
      name: module(self.widths[name], name=name, **options)(x, train)
      if name in self.widths
      else x
      for name, x in features.items()
    }
