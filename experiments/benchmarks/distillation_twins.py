"""Torch twin of the student's step of IE-KD, written for speed.

Same sizes, losses and optimizer as `configs/iekd.py`, in the layout channels_last.
Needs `pip install 'jaxvision[bench]'`.
"""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

BATCH, CLASSES, SIDE, FACTOR = 64, 10, 28, 16
SLOPE, WEIGHT = 0.1, 50.0
LAYOUT = torch.channels_last


class CNN(nn.Module):
  """Two stages of convolution, norm, ReLU and pooling; a dense layer; logits."""

  def __init__(self, first: int, second: int, dense: int):
    super().__init__()
    layers, c = [], 1
    for d in (first, second):
      conv = nn.Conv2d(c, d, 3, padding=1, bias=False)
      layers += [conv, nn.BatchNorm2d(d), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
      c = d
    self.features = nn.Sequential(*layers)
    self.dense = nn.Linear(c * (SIDE // 4) ** 2, dense)
    self.logits = nn.Linear(dense, CLASSES)

  def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns logits and the distilled feature."""
    feature = self.features(x)
    return self.logits(F.relu(self.dense(feature.flatten(1)), inplace=True)), feature


def coder(c: int, d: int) -> nn.Sequential:
  """Leaky ReLUs, convolutions and norms of an encoder."""
  layers = [nn.LeakyReLU(SLOPE)]
  for a, b in ((c, c), (c, d), (d, d)):
    conv = nn.Conv2d(a, b, 3, padding=1, bias=False)
    layers += [conv, nn.BatchNorm2d(b), nn.LeakyReLU(SLOPE, inplace=True)]
  return nn.Sequential(*layers)


def trainer(images: int) -> Callable[[int], float]:
  """Returns a function that takes some steps on resident random data."""
  student, teacher = CNN(8, 32, 32), CNN(16, 48, 64).eval()
  encoder, halves = coder(48, FACTOR).eval(), [coder(16, FACTOR) for _ in range(2)]
  modules = nn.ModuleList([student, teacher, encoder, *halves])
  modules.to(memory_format=LAYOUT)
  own = [p for net in (student, *halves) for p in net.parameters()]
  optimizer = torch.optim.SGD(
    own, lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4, fused=True
  )
  image = torch.randint(0, 256, (images, 1, SIDE, SIDE), dtype=torch.uint8)
  label = torch.randint(0, CLASSES, (images,))

  def loss(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
      target = F.normalize(encoder(teacher(x)[1]).flatten(1))
    logits, feature = student(x)
    inherit, explore = (
      (F.normalize(net(part).flatten(1)) - target).abs().mean()
      for net, part in zip(halves, feature.chunk(2, 1), strict=True)
    )
    return F.cross_entropy(logits, y) + WEIGHT * (inherit - explore)

  def run(steps: int) -> float:
    for rows in torch.randperm(images)[: steps * BATCH].split(BATCH):
      x = (image[rows].float() / 255).contiguous(memory_format=LAYOUT)
      value = loss(x, label[rows])
      optimizer.zero_grad(set_to_none=True)
      value.backward()
      nn.utils.clip_grad_norm_(own, 5.0)
      optimizer.step()
    return value.item()

  return run
