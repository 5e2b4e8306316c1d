"""AlexNet (Krizhevsky et al., NeurIPS 2012) with batch normalization, or without."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn

from jaxvision.errors import UserError
from jaxvision.layers.tap import Tap
from jaxvision.models import parts
from jaxvision.typing import Array, Float

SIZES = (11, 5, 3, 3, 3)  # of the kernels
POOLED = (1, 2, 5)  # convolutions with 3x3 max-pooling of stride 2 behind them
LEAST = 63  # pixels a side; fewer leave nothing of the last map


class AlexNet(nn.Module):
  """Five convolutions and two dense layers, each with norm and ReLU; logits.

  By default the network of Yang et al. (CVPR 2019, quantization networks): 62,397,480
  parameters at 224 pixels, one column, biases in front of the norms. torchvision's has
  `norm="none"` and `widths=(64, 192, 384, 256, 256)`.

  Places: "input", "relu1", "pool1", "relu2", "pool2", "relu3", "relu4", "relu5",
  "pool5", "relu6", "relu7", "logits". Dropout is not part of it: insert it behind
  "pool5" and "relu6".

  Attributes:
    classes: width of the layer "logits"; 0 returns the last hidden layer.
    widths: channels of the convolutions "conv1" to "conv5".
    dense_width: units of the layers "dense6" and "dense7".
    norm: "batch" or "none".
    mean: of the pixels, subtracted inside; see `parts.standardize`.
    std: of the pixels, divided by inside.
    dtype: of the computation, as "bfloat16"; parameters and logits are float32.
  """

  classes: int = 1000
  widths: Sequence[int] = (96, 256, 384, 384, 256)
  dense_width: int = 4096
  norm: str = "batch"
  mean: Sequence[float] = ()
  std: Sequence[float] = ()
  dtype: Any = None

  @nn.compact
  def __call__(
    self, x: Float[Array, "b h w c"], train: bool = False
  ) -> Float[Array, "b classes"]:
    """Returns logits."""
    self._check(x)
    x = parts.standardize(Tap(name="input")(x), self.mean, self.std)
    for i, (width, size) in enumerate(zip(self.widths, SIZES, strict=True), start=1):
      stride, pad = (4, 2) if i == 1 else (1, None)
      name = f"conv{i}"
      layer = parts.conv(
        width, size, stride=stride, pad=pad, bias=True, dtype=self.dtype, name=name
      )
      x = self._activate(layer(x), i, train)
      if i in POOLED:
        x = Tap(name=f"pool{i}")(nn.max_pool(x, (3, 3), strides=(2, 2)))
    x = x.reshape(x.shape[0], -1)
    for i in (6, 7):
      layer = nn.Dense(
        self.dense_width, kernel_init=parts.HE, dtype=self.dtype, name=f"dense{i}"
      )
      x = self._activate(layer(x), i, train)
    return parts.logits(x, self.classes, dtype=self.dtype)

  def _activate(self, x: Array, i: int, train: bool) -> Array:
    if self.norm == "batch":
      # Yang et al.'s constant, not torch's default.
      x = parts.norm(train, epsilon=1e-3, dtype=self.dtype, name=f"norm{i}")(x)
    return Tap(name=f"relu{i}")(nn.relu(x))

  def _check(self, x: Array) -> None:
    parts.choose("norm", self.norm, ("batch", "none"))
    if len(self.widths) != len(SIZES):
      raise UserError(
        f"config.model.widths has {len(self.widths)} numbers; AlexNet has five "
        "convolutions."
      )
    if min(x.shape[1:3]) < LEAST:
      raise UserError(
        f"AlexNet needs images of {LEAST}x{LEAST} pixels or more; these have "
        f"{x.shape[1]}x{x.shape[2]}."
      )
