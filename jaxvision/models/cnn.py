"""Small convolutional network for small images: 8x8x1 digits up to 32x32x3."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax.linen as nn
from flax.core import FrozenDict

from jaxvision.errors import UserError
from jaxvision.layers.convolution import Conv
from jaxvision.layers.dropout import hidden_dense
from jaxvision.layers.tap import Tap
from jaxvision.models import parts
from jaxvision.ops.pooling import max_pool
from jaxvision.typing import Array, Float


class CNN(nn.Module):
  """Stages of convolution, norm, ReLU, 2x2 max-pooling; a dense layer; logits.

  `widths=(8, 16), kernels=(5, 3), dense_width=64, norm="none"` is the network of the
  experiments with moved objects (patch reordering, random transforms).

  Submodules are "conv1", "norm1", "relu1", "pool1", ..., "dense", "logits"; the places
  "input", "relu<i>", "pool<i>" and "relu_dense" are taps.

  Attributes:
    widths: channels of the stages; each halves the image.
    kernels: sides of the stages' kernels; a single one is that of all.
    dense_width: units of the dense layer.
    classes: width of the layer "logits"; 0 returns the dense layer's activations.
    norm: "batch" or "none".
    dense: kind of the dense layer: "plain", "standout" or "dropconnect".
    dense_options: fields of that kind, as {"rate": .5}; see `layers.dropout`.
    bias: whether the logits have one.
    dtype: of the computation, as "bfloat16"; parameters and logits are float32.
  """

  widths: Sequence[int] = (32, 64)
  kernels: Sequence[int] = (3,)
  dense_width: int = 128
  classes: int = 10
  norm: str = "batch"
  dense: str = "plain"
  dense_options: Mapping[str, Any] = FrozenDict()
  bias: bool = True
  dtype: Any = None

  @nn.compact
  def __call__(
    self, x: Float[Array, "b h w c"], train: bool = False
  ) -> Float[Array, "b classes"]:
    """Returns logits."""
    x = self._hidden(self._stages(self._input(x), train), train)
    return self._logits(x)

  def _input(self, x: Array) -> Array:
    self._check(x)
    return Tap(name="input")(x)

  def _stages(self, x: Array, train: bool) -> Array:
    """The convolutional part: feature maps."""
    kernels = tuple(self.kernels)
    kernels *= len(self.widths) if len(kernels) == 1 else 1
    for i, (width, size) in enumerate(zip(self.widths, kernels, strict=True), start=1):
      x = self._stage(x, width, size, i, train)
    return x

  def _hidden(self, x: Array, train: bool) -> Array:
    """The dense layer, of feature maps flattened."""
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
    return Tap(name="relu_dense")(x)

  def _logits(self, x: Array) -> Array:
    init = nn.initializers.lecun_normal()
    fields = {"bias": self.bias, "init": init, "dtype": self.dtype}
    return parts.logits(x, self.classes, **fields)

  def _check(self, x: Array) -> None:
    if self.norm not in ("batch", "none"):
      raise UserError(f"config.model.norm is {self.norm!r}; choose batch or none.")
    if len(self.kernels) not in (1, len(self.widths)):
      raise UserError(
        f"config.model.kernels has {len(self.kernels)} numbers; give one, or one for "
        f"each of the {len(self.widths)} stages."
      )
    least = 2 ** len(self.widths)
    if min(x.shape[1:3]) < least:
      raise UserError(
        f"config.model.widths asks for {len(self.widths)} stages, which need images of "
        f"{least}x{least} pixels or more; these have {x.shape[1]}x{x.shape[2]}."
      )

  def _stage(self, x: Array, width: int, size: int, i: int, train: bool) -> Array:
    x = self._convolution()(
      width,
      (size, size),
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

  def _convolution(self) -> Callable[..., nn.Module]:
    """What makes the convolution of a stage; a variant of the network has another."""
    return Conv
