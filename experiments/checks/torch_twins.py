"""Torch twins of the networks that torchvision lacks, under their authors' names.

Plain modules for checks of `interop.torch`; needs `pip install 'jaxvision[bench]'`.
"""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F


def conv(width_in: int, width: int, size: int = 3, stride: int = 1) -> nn.Conv2d:
  """A convolution without bias, padded by size // 2."""
  return nn.Conv2d(width_in, width, size, stride, size // 2, bias=False)


class BasicBlock(nn.Module):
  """Two convolutions beside a shortcut: none, padded ("A") or projected."""

  def __init__(self, width_in: int, width: int, stride: int, shortcut: str):
    super().__init__()
    self.conv1, self.bn1 = conv(width_in, width, 3, stride), nn.BatchNorm2d(width)
    self.conv2, self.bn2 = conv(width, width), nn.BatchNorm2d(width)
    self.stride, self.pad = stride, (width - width_in) // 2
    if shortcut != "A" and (stride, width_in) != (1, width):
      layers = conv(width_in, width, 1, stride), nn.BatchNorm2d(width)
      self.add_module(shortcut, nn.Sequential(*layers))
    self.projection = shortcut

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    """Applies the block."""
    y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
    projection = getattr(self, self.projection, None)
    if projection is not None:
      x = projection(x)
    elif self.stride != 1:
      sides = (0, 0, 0, 0, self.pad, self.pad)
      x = F.pad(x[:, :, :: self.stride, :: self.stride], sides)
    return F.relu(x + y)


class ResNet(nn.Module):
  """CIFAR ResNet; `head` is the name of the last layer, `block` the kind of block."""

  def __init__(
    self,
    blocks: Sequence[int],
    width: int,
    *,
    shortcut: str,
    head: str = "linear",
    bias: bool = True,
    block: type[BasicBlock] = BasicBlock,
  ):
    super().__init__()
    self.conv1, self.bn1 = conv(3, width), nn.BatchNorm2d(width)
    now, stages = width, []
    for i, n in enumerate(blocks):
      strides = (min(i + 1, 2), *(1,) * (n - 1))
      stage = nn.Sequential()
      for stride in strides:
        stage.append(block(now, width * 2**i, stride, shortcut))
        now = width * 2**i
      self.add_module(f"layer{i + 1}", stage)
      stages.append(stage)
    self.stages = [stages]  # in a list in a list: named once
    last = nn.Linear(now, 10, bias=bias)
    self.add_module(head, last if head == "linear" else nn.Sequential(last))
    self.head = head

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    """Returns logits."""
    x = F.relu(self.bn1(self.conv1(x)))
    for stage in self.stages[0]:
      x = stage(x)
    return getattr(self, self.head)(x.mean((2, 3)))


class WideBlock(nn.Module):
  """Norm, ReLU, convolution, twice."""

  def __init__(self, width_in: int, width: int, stride: int):
    super().__init__()
    self.bn1, self.conv1 = nn.BatchNorm2d(width_in), conv(width_in, width, 3, stride)
    self.bn2, self.conv2 = nn.BatchNorm2d(width), conv(width, width)
    if width_in != width:
      self.convShortcut = conv(width_in, width, 1, stride)

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    """Applies the block."""
    y = F.relu(self.bn1(x))
    if hasattr(self, "convShortcut"):
      x = self.convShortcut(y)
    return x + self.conv2(F.relu(self.bn2(self.conv1(y))))


class WideStage(nn.Module):
  """Blocks in "layer"."""

  def __init__(self, blocks: int, width_in: int, width: int, stride: int):
    super().__init__()
    rest = [WideBlock(width, width, 1) for _ in range(blocks - 1)]
    self.layer = nn.Sequential(WideBlock(width_in, width, stride), *rest)

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    """Applies the blocks."""
    return self.layer(x)


class WideResNet(nn.Module):
  """WRN-depth-widen with ten classes."""

  def __init__(self, depth: int, widen: int):
    super().__init__()
    n, width = (depth - 4) // 6, 16 * widen
    self.conv1 = conv(3, 16)
    self.block1 = WideStage(n, 16, width, 1)
    self.block2 = WideStage(n, width, 2 * width, 2)
    self.block3 = WideStage(n, 2 * width, 4 * width, 2)
    self.bn1 = nn.BatchNorm2d(4 * width)
    self.fc = nn.Linear(4 * width, 10)

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    """Returns logits."""
    x = self.block3(self.block2(self.block1(self.conv1(x))))
    return self.fc(F.relu(self.bn1(x)).mean((2, 3)))


class SeparableBlock(nn.Module):
  """Depthwise and 1x1 convolution."""

  def __init__(self, width_in: int, width: int, stride: int):
    super().__init__()
    self.conv1 = nn.Conv2d(
      width_in, width_in, 3, stride, 1, groups=width_in, bias=False
    )
    self.bn1 = nn.BatchNorm2d(width_in)
    self.conv2, self.bn2 = conv(width_in, width, 1), nn.BatchNorm2d(width)

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    """Applies the block."""
    return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))


class MobileNet(nn.Module):
  """CIFAR MobileNet of 13 blocks, of which two have stride 2."""

  def __init__(self, blocks: Sequence[tuple[int, int]], classes: int = 100):
    super().__init__()
    self.conv1, self.bn1 = conv(3, 32), nn.BatchNorm2d(32)
    widths = (32, *(width for width, _ in blocks))
    self.layers = nn.Sequential(
      *(SeparableBlock(widths[i], *blocks[i]) for i in range(len(blocks)))
    )
    self.linear = nn.Linear(widths[-1], classes)

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    """Returns logits."""
    x = self.layers(F.relu(self.bn1(self.conv1(x))))
    return self.linear(x.mean((2, 3)))


class NormedLayer(nn.Module):
  """Layer "conv" or "linear", then "bn" and ReLU."""

  def __init__(self, name: str, layer: nn.Module, norm: nn.Module):
    super().__init__()
    self.add_module(name, layer)
    self.bn, self.name = norm, name

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    """Applies the layer."""
    return F.relu(self.bn(getattr(self, self.name)(x)))


def _convolved(*args: int) -> NormedLayer:
  return NormedLayer("conv", nn.Conv2d(*args), nn.BatchNorm2d(args[1], eps=1e-3))


def _dense(width_in: int, width: int) -> NormedLayer:
  layer = nn.Linear(width_in, width)
  return NormedLayer("linear", layer, nn.BatchNorm1d(width, eps=1e-3))


class AlexNet(nn.Module):
  """AlexNet with norms; `dense` units in the hidden dense layers."""

  def __init__(self, dense: int = 4096, classes: int = 1000):
    super().__init__()
    self.features_0 = nn.Sequential(_convolved(3, 96, 11, 4, 2), nn.MaxPool2d(3, 2))
    self.features_1 = nn.Sequential(_convolved(96, 256, 5, 1, 2), nn.MaxPool2d(3, 2))
    self.features_2 = nn.Sequential(
      _convolved(256, 384, 3, 1, 1),
      _convolved(384, 384, 3, 1, 1),
      _convolved(384, 256, 3, 1, 1),
      nn.MaxPool2d(3, 2),
    )
    self.classifier = nn.Sequential(
      nn.Dropout(0.1),
      _dense(9216, dense),
      nn.Dropout(0.1),
      _dense(dense, dense),
      nn.Linear(dense, classes),
    )

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    """Returns logits."""
    x = self.features_2(self.features_1(self.features_0(x)))
    return self.classifier(x.flatten(1))
