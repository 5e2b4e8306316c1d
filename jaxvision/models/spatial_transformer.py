"""The small network behind a Spatial Transformer."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jaxvision.errors import UserError
from jaxvision.layers.convolution import Conv
from jaxvision.layers.tap import Tap
from jaxvision.models import parts
from jaxvision.models.cnn import CNN
from jaxvision.ops.pooling import max_pool
from jaxvision.ops.spatial_transformer import (
  IDENTITY,
  spatial_transform,
  transformer_matrix,
)
from jaxvision.ops.warp_sampling import BORDERS
from jaxvision.typing import Array, Float


class Localization(nn.Module):
  """Looks at images and says how to warp them: at first, not at all.

  Submodules are "conv1", "relu1", "pool1", ..., "dense", "relu_dense", "parameters".

  Attributes:
    kind: of the transform, see `ops.spatial_transformer.transformer_matrix`.
    widths: channels of the stages of convolution, ReLU and 2x2 max-pooling; empty
      leaves dense layers only.
    kernel: side of the stages' kernels.
    dense_width: units of the dense layer.
    dtype: of the computation; the transform's parameters are float32.
  """

  kind: str
  widths: Sequence[int]
  kernel: int
  dense_width: int
  dtype: Any = None

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b n"]:
    """Returns the transforms' parameters."""
    for i, width in enumerate(self.widths, start=1):
      x = Conv(
        width,
        (self.kernel, self.kernel),
        kernel_init=parts.HE,
        dtype=self.dtype,
        name=f"conv{i}",
      )(x)
      x = Tap(name=f"relu{i}")(nn.relu(x))
      x = Tap(name=f"pool{i}")(max_pool(x, 2))
    x = x.reshape(x.shape[0], -1)
    dense = nn.Dense(
      self.dense_width, kernel_init=parts.HE, dtype=self.dtype, name="dense"
    )
    x = Tap(name="relu_dense")(nn.relu(dense(x)))
    identity = jnp.array(IDENTITY[self.kind])
    return nn.Dense(
      identity.size,
      kernel_init=nn.initializers.zeros_init(),
      bias_init=lambda key, shape, dtype: identity.astype(dtype),
      name="parameters",
    )(x.astype(jnp.float32))


class SpatialTransformer(CNN):
  """`CNN` on images that a small network, "localization", has warped.

  Jaderberg, Simonyan, Zisserman, Kavukcuoglu (2015), "Spatial Transformer Networks",
  with one transformer, at the input. It starts as the identity, so that outputs are at
  first the CNN's. The fields, parameters and places of the CNN remain; the warped image
  is the tap "transformed".

  Attributes:
    kind: of the transform: "affine", "similarity" or "translation".
    border: beyond the image: "zero", "clamp" or "reflect".
    localization_widths: see `Localization`.
    localization_kernel: the same.
    localization_dense_width: the same.
  """

  kind: str = "affine"
  border: str = "zero"
  localization_widths: Sequence[int] = (20, 20)
  localization_kernel: int = 5
  localization_dense_width: int = 20

  @nn.compact
  def __call__(
    self, x: Float[Array, "b h w c"], train: bool = False
  ) -> Float[Array, "b classes"]:
    """Returns logits."""
    x = self._input(x)
    parameters = Localization(
      self.kind,
      self.localization_widths,
      self.localization_kernel,
      self.localization_dense_width,
      dtype=self.dtype,
      name="localization",
    )(x)
    matrix = transformer_matrix(parameters, kind=self.kind)
    x = Tap(name="transformed")(spatial_transform(x, matrix, border=self.border))
    return self._logits(self._hidden(self._stages(x, train), train))

  def _check(self, x: Array) -> None:
    super()._check(x)
    parts.choose("kind", self.kind, tuple(IDENTITY))
    parts.choose("border", self.border, BORDERS)
    stages = len(self.localization_widths)
    if min(x.shape[1:3]) < 2**stages:
      raise UserError(
        f"config.model.localization_widths asks for {stages} stages, which need images "
        f"of {2**stages}x{2**stages} pixels or more; these have "
        f"{x.shape[1]}x{x.shape[2]}."
      )
