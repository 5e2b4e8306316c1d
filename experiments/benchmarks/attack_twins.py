"""Torch twins of our attacks, for the benchmark: own writing, same steps, same numbers.

Images are NCHW. Broken images go on in the gradient-based attacks, as in ours; Square
drops them from its batch, as the reference does.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

Net = Callable[[torch.Tensor], torch.Tensor]
Objective = Callable[[torch.Tensor], torch.Tensor]


def network(weights: dict[str, np.ndarray]) -> nn.Module:
  """The network of `attacks.network` with the same weights, without their gradients."""
  channels, hidden = weights["first"].shape[-1], weights["second"].shape[-1]
  first = nn.Conv2d(weights["first"].shape[2], channels, 3, padding=1, bias=False)
  second = nn.Conv2d(channels, hidden, 3, stride=2, padding=1, bias=False)
  dense = nn.Linear(*weights["dense"].shape, bias=False)
  with torch.no_grad():
    for layer, name in ((first, "first"), (second, "second")):
      layer.weight.copy_(torch.from_numpy(weights[name].transpose(3, 2, 0, 1).copy()))
    dense.weight.copy_(torch.from_numpy(weights["dense"].T.copy()))
  flat = _FlattenChannelsLast()
  net = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), flat, dense)
  return net.requires_grad_(False).eval()


class _FlattenChannelsLast(nn.Module):
  def forward(self, x: torch.Tensor) -> torch.Tensor:
    return x.permute(0, 2, 3, 1).flatten(1)


def gradient(net: Net, objective: Objective, x: torch.Tensor):
  """Input gradients, losses and logits."""
  x = x.detach().requires_grad_()
  logits = net(x)
  losses = objective(logits)
  (slope,) = torch.autograd.grad(losses.sum(), x)
  return slope, losses.detach(), logits.detach()


def cross_entropy(y: torch.Tensor) -> Objective:
  """Of the labels, an image."""
  return lambda logits: F.cross_entropy(logits, y, reduction="none")


def dlr_targeted(y: torch.Tensor, target: torch.Tensor) -> Objective:
  """The targeted difference of logits ratio."""

  def losses(logits: torch.Tensor) -> torch.Tensor:
    top = logits.topk(4, 1).values
    own, other = (logits.gather(1, c[:, None])[:, 0] for c in (y, target))
    return (other - own) / (top[:, 0] - 0.5 * (top[:, 2] + top[:, 3]) + 1e-12)

  return losses


def project(u: torch.Tensor, x: torch.Tensor, eps: float) -> torch.Tensor:
  """Into the ball, then into [0, 1]."""
  return torch.clamp(torch.clamp(u, x - eps, x + eps), 0, 1)


def pgd(net, objective, x, start, *, eps, step_size, steps):
  """Projected sign steps."""
  u = start
  for _ in range(steps):
    slope, _, _ = gradient(net, objective, u)
    u = project(u + step_size * slope.sign(), x, eps)
  return u


def apgd(net, objective, x, y, start, *, eps, windows):
  """Auto-PGD with the windows of `jaxvision.attacks.apgd`; returns (x_adv, robust)."""
  wide = lambda values: values.view(-1, 1, 1, 1)
  u = old = x_adv = start.clamp(0, 1)
  slope, loss, logits = gradient(net, objective, u)
  robust = logits.argmax(1) == y
  best, best_slope, best_loss, checked = u, slope, loss, loss
  last, rises = torch.zeros_like(loss), torch.zeros_like(loss)
  step, halved = torch.full_like(loss, 2 * eps), torch.ones_like(robust)
  for i, window in enumerate(windows.tolist()):
    a = 0.75 if i else 1.0
    uphill = project(u + wide(step) * slope.sign(), x, eps)
    old, u = u, project(u + a * (uphill - u) + (1 - a) * (u - old), x, eps)
    slope, loss, logits = gradient(net, objective, u)
    right = logits.argmax(1) == y
    robust = robust & right
    x_adv = torch.where(wide(right), x_adv, u)
    better = loss > best_loss
    best, best_slope = (
      torch.where(wide(better), new, kept)
      for new, kept in ((u, best), (slope, best_slope))
    )
    best_loss = torch.maximum(loss, best_loss)
    rises, last = rises + (loss > last), loss
    if window:
      halve = (rises <= 0.75 * window) | (~halved & (checked >= best_loss))
      step = torch.where(halve, step / 2, step)
      u, slope = (
        torch.where(wide(halve), kept, new)
        for new, kept in ((u, best), (slope, best_slope))
      )
      rises, checked, halved = torch.zeros_like(rises), best_loss, halve
  return x_adv, robust


def project_box(t: torch.Tensor, w: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
  """Moves rows of `t` onto w.u = b inside [0, 1], by sorting the rooms."""
  residual = (w * t).sum(1) - b
  w = torch.where(residual[:, None] < 0, -w, w)
  residual = residual.abs()
  room = torch.where(w > 0, t, 1 - t)
  rooms, order = room.sort(1)
  weights = w.abs().gather(1, order)
  spent = (weights * rooms).cumsum(1)
  free = weights.sum(1, keepdim=True) - weights.cumsum(1)
  reached = spent + rooms * free
  index = torch.searchsorted(reached, residual[:, None]).clamp(max=t.shape[1] - 1)
  before = (index - 1).clamp(min=0)
  first = index == 0
  total = weights.sum(1, keepdim=True)
  used = torch.where(first, torch.zeros_like(total), spent.gather(1, before))
  slope = torch.where(first, total, free.gather(1, before))
  length = ((residual[:, None] - used) / slope.clamp(min=1e-12)).clamp(min=0)
  return -w.sign() * torch.minimum(length, room)


def fab(net, x, y, target, *, steps):
  """FAB-T; returns (x_adv, distance)."""
  difference = lambda logits: (
    logits.gather(1, target[:, None]) - logits.gather(1, y[:, None])
  )[:, 0]
  u, x_adv = x, x
  distance = torch.full((len(x),), torch.inf)
  for _ in range(steps):
    slope, value, _ = gradient(net, difference, u)
    w = slope.flatten(1)
    b = (w * u.flatten(1)).sum(1) - value
    points = torch.cat([u.flatten(1), x.flatten(1)])
    moves = project_box(points, torch.cat([w, w]), torch.cat([b, b]))
    sizes = moves.abs().amax(1).clamp(min=1e-8)
    own, clean = moves.view(2, *x.shape)
    mix = (sizes[: len(x)] / (sizes[: len(x)] + sizes[len(x) :])).clamp(max=0.1)
    mix = mix.view(-1, 1, 1, 1)
    moved = ((u + 1.05 * own) * (1 - mix) + (x + 1.05 * clean) * mix).clamp(0, 1)
    wrong = net(moved).argmax(1) != y
    far = (moved - x).abs().flatten(1).amax(1)
    nearer = wrong & (far < distance)
    x_adv = torch.where(nearer.view(-1, 1, 1, 1), moved, x_adv)
    distance = torch.where(nearer, far, distance)
    u = torch.where(wrong.view(-1, 1, 1, 1), x + 0.9 * (moved - x), moved)
  return x_adv, distance


def margin(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
  """The label's logit minus the largest other one."""
  own = logits.gather(1, y[:, None])[:, 0]
  return own - logits.scatter(1, y[:, None], -torch.inf).amax(1)


@torch.no_grad()
def square(net, x, y, *, eps, sides):
  """Square with one window for the batch; returns (x_adv, margin)."""
  b, c, h, w = x.shape
  sign = lambda *shape: torch.randint(0, 2, shape) * 2.0 - 1
  best = (x + eps * sign(b, c, 1, w)).clamp(0, 1)
  least = margin(net(best), y)
  for side in sides.tolist():
    holds = (least > 0).nonzero().flatten()
    if not len(holds):
      break
    top, left = (int(torch.rand(()) * (size - side)) for size in (h, w))
    change = torch.zeros(c, h, w)
    change[:, top : top + side, left : left + side] = 2 * eps * sign(c, 1, 1)
    new = project(best[holds] + change, x[holds], eps)
    found = margin(net(new), y[holds])
    better = (found < least[holds]) | (found <= 0)
    best[holds[better]], least[holds[better]] = new[better], found[better]
  return best, least
