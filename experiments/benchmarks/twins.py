"""Torch twins of our training steps, written for speed in torch's fastest layout.

Same sizes, masks, loss and optimizer as `configs/continuous_dropout.py`; needs
`pip install 'jaxvision[bench]'`.
"""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

BATCH, CLASSES, N = 100, 10, 55_000


class GaussianMask(nn.Module):
  """Clipped N(.5, .5^2) mask, divided by its mean."""

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    """Masks `x`."""
    return x * torch.randn_like(x).mul_(0.5).add_(0.5).clamp_(0, 1).mul_(2)


def mlp(*, masks: bool) -> nn.Module:
  """784-800-800-10 with masks on the input and both hidden layers."""
  mask = GaussianMask if masks else nn.Identity
  return nn.Sequential(
    nn.Flatten(),
    nn.Dropout(0.2 if masks else 0.0),
    nn.Linear(784, 800),
    nn.ReLU(),
    mask(),
    nn.Linear(800, 800),
    nn.ReLU(),
    mask(),
    nn.Linear(800, CLASSES),
  )


def cnn() -> nn.Module:
  """Two 3x3 stages of 32 and 64 channels, a masked dense layer of 128."""
  return nn.Sequential(
    nn.Conv2d(1, 32, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(32, 64, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(7 * 7 * 64, 128),
    nn.ReLU(),
    GaussianMask(),
    nn.Linear(128, CLASSES),
  )


def trainer(net: nn.Module, *, channels_last: bool = False) -> Callable[[int], float]:
  """Returns a function that takes some steps on resident random data."""
  layout = torch.channels_last if channels_last else torch.contiguous_format
  net = net.to(memory_format=layout)
  image = torch.randint(0, 256, (N, 1, 28, 28), dtype=torch.uint8)
  label = torch.randint(0, CLASSES, (N,))
  optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)

  def run(steps: int) -> float:
    for rows in torch.randperm(N)[: steps * BATCH].split(BATCH):
      x = (image[rows].float() / 255).contiguous(memory_format=layout)
      loss = F.cross_entropy(net(x), label[rows])
      optimizer.zero_grad(set_to_none=True)
      loss.backward()
      optimizer.step()
    return loss.item()

  return run
