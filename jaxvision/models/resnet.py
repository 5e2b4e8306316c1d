"""Residual networks (He et al., CVPR 2016) for CIFAR and for ImageNet."""

import functools
from collections.abc import Sequence
from typing import Any

import flax.linen as nn

from jaxvision.errors import UserError
from jaxvision.layers.tap import Tap
from jaxvision.models import parts
from jaxvision.models.parts import Stage
from jaxvision.models.residual import BasicBlock, Bottleneck
from jaxvision.typing import Array, Float

# Kind of block and blocks a stage, by depth.
DEPTHS = {
  18: (BasicBlock, (2, 2, 2, 2)),
  34: (BasicBlock, (3, 4, 6, 3)),
  50: (Bottleneck, (3, 4, 6, 3)),
  101: (Bottleneck, (3, 4, 23, 3)),
  152: (Bottleneck, (3, 8, 36, 3)),
}


class CifarResNet(nn.Module):
  """ResNet-20, 32, 56, 110, ...: three stages of basic blocks on 32x32 images.

  Places: "input", "relu1", "stage1/block0/relu1", "stage1/block0/relu2", ..., "stage3"
  (the feature that is distilled), "pool", "logits".

  Attributes:
    depth: 6 n + 2, of n blocks a stage.
    option: of the shortcuts that change shapes: "A" has no parameters, "B" a 1x1
      convolution and a norm.
    classes: width of the layer "logits"; 0 returns the pooled features.
    width: channels of the first stage; the others have twice and four times as many.
    mean: of the pixels, subtracted inside; see `parts.standardize`.
    std: of the pixels, divided by inside.
    remat: computes activations within blocks anew in the backward pass.
    dtype: of the computation, as "bfloat16"; parameters and logits are float32.
  """

  depth: int = 20
  option: str = "A"
  classes: int = 10
  width: int = 16
  mean: Sequence[float] = ()
  std: Sequence[float] = ()
  remat: bool = False
  dtype: Any = None

  @nn.compact
  def __call__(
    self, x: Float[Array, "b h w c"], train: bool = False
  ) -> Float[Array, "b classes"]:
    """Returns logits."""
    blocks, rest = divmod(self.depth - 2, 6)
    if rest or blocks < 1:
      raise UserError(
        f"config.model.depth is {self.depth}; a CIFAR ResNet has 6 n + 2 layers, as 20."
      )
    x = parts.standardize(Tap(name="input")(x), self.mean, self.std)
    x = parts.conv(self.width, 3, dtype=self.dtype, name="conv1")(x)
    x = parts.norm(train, dtype=self.dtype, name="norm1")(x)
    x = Tap(name="relu1")(nn.relu(x))
    for i in range(3):
      block = functools.partial(
        parts.rematerialized(BasicBlock, self.remat),
        width=self.width * 2**i,
        shortcut=parts.choose("option", self.option, ("A", "B")),
        dtype=self.dtype,
      )
      x = Stage(block, blocks, stride=min(i + 1, 2), name=f"stage{i + 1}")(x, train)
    x = parts.pooled(x, train)
    return parts.logits(x, self.classes, dtype=self.dtype)


class ResNet(nn.Module):
  """ResNet-18, 34, 50, 101, 152: four stages, laid out as in torchvision.

  Places: "input", "relu1", "pool1", "stage1/block0/relu1", ..., "stage4", "pool",
  "neck", "logits".

  Attributes:
    depth: one of `DEPTHS`.
    classes: width of the layer "logits"; 0 returns the features in front of it.
    stem: "imagenet", 7x7 with stride 2 and 3x3 max-pooling, or "cifar", 3x3 alone.
    width: channels of the first stage's convolutions.
    last_stride: of the last stage; 1 in re-identification.
    neck: batch-normalizes the pooled features; see `parts.pooled`.
    bias: whether the logits have one.
    mean: of the pixels, subtracted inside; see `parts.standardize`.
    std: of the pixels, divided by inside.
    remat: computes activations within blocks anew in the backward pass.
    dtype: of the computation, as "bfloat16"; parameters and logits are float32.
  """

  depth: int = 50
  classes: int = 1000
  stem: str = "imagenet"
  width: int = 64
  last_stride: int = 2
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
    kind, blocks = DEPTHS[parts.choose("depth", self.depth, tuple(DEPTHS))]
    x = self._stem(Tap(name="input")(x), train)
    for i, stride in enumerate((1, 2, 2, self.last_stride)):
      block = functools.partial(
        parts.rematerialized(kind, self.remat),
        width=self.width * 2**i,
        dtype=self.dtype,
      )
      x = Stage(block, blocks[i], stride=stride, name=f"stage{i + 1}")(x, train)
    x = parts.pooled(x, train, neck=self.neck, dtype=self.dtype)
    init = nn.initializers.normal(0.001)
    return parts.logits(x, self.classes, bias=self.bias, init=init, dtype=self.dtype)

  def _stem(self, x: Array, train: bool) -> Array:
    x = parts.standardize(x, self.mean, self.std)
    large = parts.choose("stem", self.stem, ("imagenet", "cifar")) == "imagenet"
    size, stride = (7, 2) if large else (3, 1)
    x = parts.conv(self.width, size, stride=stride, dtype=self.dtype, name="conv1")(x)
    x = parts.norm(train, dtype=self.dtype, name="norm1")(x)
    x = Tap(name="relu1")(nn.relu(x))
    if large:
      pads = ((1, 1), (1, 1))
      x = Tap(name="pool1")(nn.max_pool(x, (3, 3), strides=(2, 2), padding=pads))
    return x
