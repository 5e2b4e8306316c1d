"""Torch twins of our quantized training steps, in torch's fastest layout.

Soft weights are parametrizations, soft activations modules; autograd does the rest, as
in ours. Needs `pip install 'jaxvision[bench]'`.
"""

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from experiments.checks import torch_twins

Batch = tuple[torch.Tensor, torch.Tensor]


class Soft(nn.Module):
  """Quantization Networks' function at a temperature, alpha and beta trained."""

  def __init__(
    self, alpha: float, beta: float, biases: Sequence[float], levels: Sequence[float]
  ):
    super().__init__()
    self.alpha = nn.Parameter(torch.tensor(alpha))
    self.beta = nn.Parameter(torch.tensor(beta))
    self.biases, self.first = tuple(map(float, biases)), float(levels[0])
    self.gaps = tuple(float(b - a) for a, b in itertools.pairwise(levels))
    self.temperature = 5.0

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    """Quantizes softly."""
    u, total = self.beta * x, self.first
    for gap, bias in zip(self.gaps, self.biases, strict=True):
      total = total + gap * torch.sigmoid(self.temperature * (u - bias))
    return self.alpha * total


class Block(torch_twins.BasicBlock):
  """A basic block with quantizers behind both ReLUs."""

  def __init__(self, width_in: int, width: int, stride: int, shortcut: str):
    super().__init__(width_in, width, stride, shortcut)
    self.quantize1, self.quantize2 = nn.Identity(), nn.Identity()

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    """Applies the block."""
    y = self.quantize1(F.relu(self.bn1(self.conv1(x))))
    y = self.bn2(self.conv2(y))
    projection = getattr(self, self.projection, None)
    if projection is not None:
      x = projection(x)
    elif self.stride != 1:
      sides = (0, 0, 0, 0, self.pad, self.pad)
      x = F.pad(x[:, :, :: self.stride, :: self.stride], sides)
    return self.quantize2(F.relu(x + y))


def network(depth: int) -> nn.Module:
  """The CIFAR ResNet-20, or the ResNet-18 for CIFAR."""
  if depth == 20:
    return torch_twins.ResNet((3, 3, 3), 16, shortcut="A", block=Block)
  options = {"shortcut": "downsample", "head": "fc", "bias": False, "block": Block}
  return torch_twins.ResNet((2, 2, 2, 2), 64, **options)


def quantize_weights(net: nn.Module, levels: Sequence[float]) -> None:
  """Gives all convolutions but the first soft weights, with the paper's start."""
  for name, layer in list(net.named_modules()):
    if isinstance(layer, nn.Conv2d) and name != "conv1":
      beta = 1.25 * max(levels) / layer.weight.detach().abs().max().item()
      soft = Soft(1.0 / beta, beta, (-0.05, 0.05), levels)
      parametrize.register_parametrization(layer, "weight", soft)


def quantize_activations(
  net: nn.Module, fitted: Sequence[dict[str, np.ndarray]], levels: Sequence[float]
) -> None:
  """Puts quantizers with given parameters behind the ReLUs of the blocks, in order."""
  found = iter(fitted)
  for block in filter(lambda module: isinstance(module, Block), net.modules()):
    for name in ("quantize1", "quantize2"):
      own = next(found)
      soft = Soft(float(own["alpha"]), float(own["beta"]), own["biases"], levels)
      setattr(block, name, soft)


def trainer(
  net: nn.Module, batch: Batch, *, rate: float, clip: float
) -> Callable[[], float]:
  """Returns a function that takes a training step and returns its loss."""
  net = net.to(memory_format=torch.channels_last).train()
  image, label = batch
  optimizer = torch.optim.SGD(net.parameters(), lr=rate, momentum=0.9)

  def step() -> float:
    x = (image.float() / 255).contiguous(memory_format=torch.channels_last)
    loss = F.cross_entropy(net(x), label)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(net.parameters(), clip)
    optimizer.step()
    return loss.item()

  return step
