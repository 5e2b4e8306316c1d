"""MobileNet for CIFAR (Howard et al., 2017) and MobileNetV2 (Sandler et al., 2018)."""

import functools
from collections.abc import Sequence
from typing import Any

import flax.linen as nn

from jaxvision.layers.tap import Tap
from jaxvision.models import parts
from jaxvision.typing import Array, Float

# (channels, stride) of the blocks. Only two of the strides of MobileNet are left: the
# last map of a 32x32 image has 8x8 positions, as that of a CIFAR ResNet.
BLOCKS = (
  (64, 1), (128, 1), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5,
  (1024, 1), (1024, 1),
)  # fmt: skip
# Expansion, channels, blocks, stride of the first: table 2 of Sandler et al.
STAGES = (
  (1, 16, 1, 1),
  (6, 24, 2, 2),
  (6, 32, 3, 2),
  (6, 64, 4, 2),
  (6, 96, 3, 1),
  (6, 160, 3, 2),
  (6, 320, 1, 1),
)


class SeparableBlock(nn.Module):
  """Depthwise 3x3 and 1x1 convolution, each with norm and ReLU.

  Attributes:
    width: channels out.
    stride: of the depthwise convolution.
    dtype: of the computation.
  """

  width: int
  stride: int = 1
  dtype: Any = None

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"], train: bool) -> Array:
    """Returns feature maps, no element of them negative."""
    c, kind = x.shape[-1], self.dtype
    x = parts.conv(c, 3, stride=self.stride, groups=c, dtype=kind, name="conv1")(x)
    x = parts.norm(train, dtype=kind, name="norm1")(x)
    x = Tap(name="relu1")(nn.relu(x))
    x = parts.conv(self.width, 1, dtype=kind, name="conv2")(x)
    x = parts.norm(train, dtype=kind, name="norm2")(x)
    return Tap(name="relu2")(nn.relu(x))


class InvertedBlock(nn.Module):
  """1x1 expansion, depthwise 3x3, linear 1x1 convolution; a sum if shapes agree.

  Attributes:
    width: channels out.
    expansion: channels within, as a multiple of those that come in; at 1 there is no
      first convolution.
    stride: of the depthwise convolution.
    dtype: of the computation.
  """

  width: int
  expansion: int = 6
  stride: int = 1
  dtype: Any = None

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"], train: bool) -> Array:
    """Returns feature maps of any sign."""
    c, kind = x.shape[-1] * self.expansion, self.dtype
    y = x
    if self.expansion != 1:
      y = parts.conv(c, 1, dtype=kind, name="conv1")(y)
      y = parts.norm(train, dtype=kind, name="norm1")(y)
      y = Tap(name="relu1")(nn.relu6(y))
    y = parts.conv(c, 3, stride=self.stride, groups=c, dtype=kind, name="conv2")(y)
    y = parts.norm(train, dtype=kind, name="norm2")(y)
    y = Tap(name="relu2")(nn.relu6(y))
    y = parts.conv(self.width, 1, dtype=kind, name="conv3")(y)
    y = parts.norm(train, dtype=kind, name="norm3")(y)
    return x + y if x.shape == y.shape else y


class MobileNet(nn.Module):
  """MobileNet on 32x32 images, the form of Huang et al. (CVPR 2021, IE-KD).

  3,309,476 parameters with 100 classes. Places: "input", "relu1", "block0/relu1",
  "block0/relu2", ..., "block12" (the feature that is distilled), "pool", "logits".

  Attributes:
    classes: width of the layer "logits"; 0 returns the pooled features.
    multiplier: of all widths but the first.
    mean: of the pixels, subtracted inside; see `parts.standardize`.
    std: of the pixels, divided by inside.
    remat: computes activations within blocks anew in the backward pass.
    dtype: of the computation, as "bfloat16"; parameters and logits are float32.
  """

  classes: int = 10
  multiplier: float = 1.0
  mean: Sequence[float] = ()
  std: Sequence[float] = ()
  remat: bool = False
  dtype: Any = None

  @nn.compact
  def __call__(
    self, x: Float[Array, "b h w c"], train: bool = False
  ) -> Float[Array, "b classes"]:
    """Returns logits."""
    x = parts.standardize(Tap(name="input")(x), self.mean, self.std)
    x = parts.conv(32, 3, dtype=self.dtype, name="conv1")(x)
    x = parts.norm(train, dtype=self.dtype, name="norm1")(x)
    x = Tap(name="relu1")(nn.relu(x))
    block = parts.rematerialized(SeparableBlock, self.remat)
    for i, (width, stride) in enumerate(BLOCKS):
      width = int(width * self.multiplier)
      x = block(width, stride, dtype=self.dtype, name=f"block{i}")(x, train)
    x = parts.pooled(x, train)
    init = nn.initializers.normal(0.01)
    return parts.logits(x, self.classes, init=init, dtype=self.dtype)


class MobileNetV2(nn.Module):
  """MobileNetV2, laid out as in torchvision: 3,504,872 parameters.

  Places: "input", "relu1", "stage1/block0/relu2", ..., "stage7", "relu2", "pool",
  "neck", "logits". Dropout is not part of it: insert it behind "pool".

  Attributes:
    classes: width of the layer "logits"; 0 returns the features in front of it.
    multiplier: of all widths, rounded to multiples of 8; the last layer, of 1280
      channels, only grows.
    neck: batch-normalizes the pooled features; see `parts.pooled`.
    bias: whether the logits have one.
    mean: of the pixels, subtracted inside; see `parts.standardize`.
    std: of the pixels, divided by inside.
    remat: computes activations within blocks anew in the backward pass.
    dtype: of the computation, as "bfloat16"; parameters and logits are float32.
  """

  classes: int = 1000
  multiplier: float = 1.0
  neck: bool = False
  bias: bool = True
  mean: Sequence[float] = ()
  std: Sequence[float] = ()
  remat: bool = False
  dtype: Any = None

  @nn.compact
  def __call__(
    self, x: Float[Array, "b h w c"], train: bool = False
  ) -> Float[Array, "b classes"]:
    """Returns logits."""
    x = parts.standardize(Tap(name="input")(x), self.mean, self.std)
    x = self._convolve(x, scaled(32, self.multiplier), 3, 2, "1", train)
    for i, (expansion, width, blocks, stride) in enumerate(STAGES, start=1):
      block = functools.partial(
        parts.rematerialized(InvertedBlock, self.remat),
        width=scaled(width, self.multiplier),
        expansion=expansion,
        dtype=self.dtype,
      )
      x = parts.Stage(block, blocks, stride=stride, name=f"stage{i}")(x, train)
    last = scaled(1280, max(1.0, self.multiplier))
    x = self._convolve(x, last, 1, 1, "2", train)
    x = parts.pooled(x, train, neck=self.neck, dtype=self.dtype)
    init = nn.initializers.normal(0.01)
    return parts.logits(x, self.classes, bias=self.bias, init=init, dtype=self.dtype)

  def _convolve(
    self, x: Array, width: int, size: int, stride: int, place: str, train: bool
  ) -> Array:
    name = f"conv{place}"
    x = parts.conv(width, size, stride=stride, dtype=self.dtype, name=name)(x)
    x = parts.norm(train, dtype=self.dtype, name=f"norm{place}")(x)
    return Tap(name=f"relu{place}")(nn.relu6(x))


def scaled(width: int, multiplier: float) -> int:
  """`width * multiplier`, rounded to a multiple of 8 that is at least .9 of it."""
  exact = width * multiplier
  rounded = max(8, int(exact + 4) // 8 * 8)
  return rounded if rounded >= 0.9 * exact else rounded + 8
