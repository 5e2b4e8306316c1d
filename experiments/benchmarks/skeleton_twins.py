"""Torch twin of STIGCN, written for speed.

Same sizes and function as `models.stigcn.STIGCN`. Features are (sequence, channels,
time, joints), torch's layout, in which an aggregation over joints is a product with the
last axis, without transposing anything. "project" has the 1x1 convolutions in front of
the graphs, as ours; "literal" behind them, as the authors' code. Needs
`pip install 'jaxvision[bench]'`.
"""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from jaxvision.models.stigcn import LAYERS, WIDTHS

BRANCHES, CLASSES = 4, 60


def conv_norm(c: int, d: int, frames: int = 1) -> nn.Sequential:
  """A convolution over time and its norm."""
  conv = nn.Conv2d(c, d, (frames, 1), padding=(frames // 2, 0), bias=False)
  return nn.Sequential(conv, nn.BatchNorm2d(d))


class Spatial(nn.Module):
  """Four graph convolutions, fused."""

  def __init__(self, c: int, d: int, graphs: torch.Tensor, form: str):
    super().__init__()
    self.form = form
    self.register_buffer("fixed", graphs)
    self.learned = nn.Parameter(torch.full_like(graphs, 1e-6))
    self.scale = nn.Parameter(torch.full((1,), 1e-6))
    self.theta, self.phi = nn.Conv2d(c, d // 4, 1), nn.Conv2d(c, d // 4, 1)
    groups = 1 if form == "project" else BRANCHES
    self.project = nn.Conv2d(c * groups, d, 1, groups=groups, bias=False)
    self.norm, self.fusion = nn.BatchNorm2d(d), conv_norm(d, d)

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    """Mixes joints and channels."""
    n, _, t, v = x.shape
    theta, phi = (f(x).flatten(1, 2) for f in (self.theta, self.phi))
    logits = theta.mT @ phi / theta.shape[1]
    graphs = self.fixed + self.learned + self.scale * logits.softmax(1)[:, None]
    if self.form == "project":
      y = self.project(x).view(n, BRANCHES, -1, v) @ graphs
      y = y.view(n, -1, t, v)
    else:
      y = (x.flatten(1, 2)[:, None] @ graphs).view(n, -1, t, v)
      y = self.project(y)
    return self.fusion(F.relu(self.norm(y), inplace=True))


class Temporal(nn.Module):
  """Convolutions of positions and motions, fused."""

  def __init__(self, c: int, d: int):
    super().__init__()
    self.position, self.motion = conv_norm(c, d // 2, 3), conv_norm(c, d // 2, 3)
    self.fusion = conv_norm(d, d)

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    """Mixes frames."""
    motion = F.pad(x[:, :, 1:] - x[:, :, :-1], (0, 0, 0, 1))
    y = torch.cat([self.position(x), self.motion(motion)], dim=1)
    return self.fusion(F.relu(y, inplace=True))


class Block(nn.Module):
  """Both paths beside a shortcut."""

  def __init__(self, c: int, d: int, graphs: torch.Tensor, form: str, residual: bool):
    super().__init__()
    self.spatial, self.temporal = Spatial(c, d, graphs, form), Temporal(c, d)
    self.residual = residual
    self.shortcut = conv_norm(c, d) if residual and c != d else nn.Identity()

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    """Sums them."""
    y = self.spatial(x) + self.temporal(x)
    return F.relu(y + self.shortcut(x) if self.residual else y, inplace=True)


class STIGCN(nn.Module):
  """The network on (batch, coordinates, time, joints, persons)."""

  def __init__(self, graphs: torch.Tensor, persons: int, form: str = "project"):
    super().__init__()
    self.norm = nn.BatchNorm1d(persons * graphs.shape[-1] * 3)
    blocks, c = [], 3
    for stage, (layers, d) in enumerate(zip((1, *LAYERS), WIDTHS, strict=True)):
      if stage > 0:
        blocks += [nn.MaxPool2d((2, 1))]
      for _ in range(layers):
        blocks += [Block(c, d, graphs, form, residual=stage > 0)]
        c = d
    self.blocks, self.logits = nn.Sequential(*blocks), nn.Linear(c, CLASSES)

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    """Returns logits."""
    b, c, t, v, m = x.shape
    x = self.norm(x.permute(0, 4, 3, 1, 2).reshape(b, -1, t))
    x = x.view(b * m, v, c, t).permute(0, 2, 3, 1).contiguous()
    x = self.blocks(x).mean((2, 3)).view(b, m, -1).mean(1)
    return self.logits(F.dropout(x, 0.5, self.training))


def train_step(
  net: nn.Module, x: torch.Tensor, labels: torch.Tensor
) -> Callable[[], float]:
  """A step of SGD with Nesterov momentum and weight decay, as a function."""
  optimizer = torch.optim.SGD(
    net.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4
  )

  def step() -> float:
    net.train()
    loss = F.cross_entropy(net(x), labels)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return loss.item()

  return step


def inference(net: nn.Module, x: torch.Tensor) -> Callable[[], torch.Tensor]:
  """Logits without gradients, as a function."""

  def run() -> torch.Tensor:
    net.eval()
    with torch.inference_mode():
      return net(x)

  return run
