"""Small convolutional network for small images: 8x8x1 digits up to 32x32x3."""

from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from flax.core import FrozenDict

from jaxvision.errors import UserError
from jaxvision.layers.convolution import Conv
from jaxvision.layers.dropout import hidden_dense
from jaxvision.layers.tap import Tap
from jaxvision.ops.pooling import max_pool
from jaxvision.typing import Array, Float


class CNN(nn.Module):
  """Stages of 3x3 convolution, norm, ReLU, 2x2 max-pooling; a dense layer; logits.

  Submodules are "conv1", "norm1", "relu1", "pool1", ..., "dense", "logits"; the places
  "input", "relu<i>", "pool<i>" and "relu_dense" are taps.

  Attributes:
    widths: channels of the stages; each halves the image.
    dense_width: units of the dense layer.
    classes: width of the layer "logits".
    norm: "batch" or "none".
    dense: kind of the dense layer: "plain", "standout" or "dropconnect".
    dense_options: fields of that kind, as {"rate": .5}; see `layers.dropout`.
    dtype: of the computation, as "bfloat16"; parameters and logits are float32.
  """

  widths: Sequence[int] = (32, 64)
  dense_width: int = 128
  classes: int = 10
  norm: str = "batch"
  dense: str = "plain"
  dense_options: Mapping[str, Any] = FrozenDict()
  dtype: Any = None

  @nn.compact
  def __call__(
    self, x: Float[Array, "b h w c"], train: bool = False
  ) -> Float[Array, "b classes"]:
    """Returns logits."""
    self._check(x)
    x = Tap(name="input")(x)
    for i, width in enumerate(self.widths, start=1):
      x = self._stage(x, width, i, train)
    x = hidden_dense(
      self.dense,
      self.dense_width,
      act=nn.relu,
      train=train,
      options=self.dense_options,
      kernel_init=nn.initializers.he_normal(),
      dtype=self.dtype,
      name="dense",
    )(x.reshape(x.shape[0], -1))
    x = Tap(name="relu_dense")(x)
    x = nn.Dense(self.classes, dtype=self.dtype, name="logits")(x)
    return x.astype(jnp.float32)

  def _check(self, x: Array) -> None:
    if self.norm not in ("batch", "none"):
      raise UserError(f"config.model.norm is {self.norm!r}; choose batch or none.")
    least = 2 ** len(self.widths)
    if min(x.shape[1:3]) < least:
      raise UserError(
        f"config.model.widths asks for {len(self.widths)} stages, which need images of "
        f"{least}x{least} pixels or more; these have {x.shape[1]}x{x.shape[2]}."
      )

  def _stage(self, x: Array, width: int, i: int, train: bool) -> Array:
    x = Conv(
      width,
      (3, 3),
      use_bias=self.norm == "none",  # batch norm has its own
      kernel_init=nn.initializers.he_normal(),
      dtype=self.dtype,
      name=f"conv{i}",
    )(x)
    if self.norm == "batch":
      x = nn.BatchNorm(
        use_running_average=not train,
        momentum=0.9,
        dtype=self.dtype,
        name=f"norm{i}",
      )(x)
    x = Tap(name=f"relu{i}")(nn.relu(x))
    return Tap(name=f"pool{i}")(max_pool(x, 2))
