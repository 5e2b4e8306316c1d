"""A torch twin of AherNet's six updates, one after the other, written for speed.

Same sizes, losses, matching and optimizers as `configs/ahernet.py`; features are
(batch, channels, time), torch's layout. Needs `pip install 'jaxvision[bench]'`.
"""

import itertools
from collections.abc import Iterable

import torch
from torch import nn
from torch.nn import functional as F

from experiments.benchmarks import temporal_twins

RATIOS = (1.0, 1.26, 1.587)
LAYERS, CHANNELS, WIDTH, STEPS = 5, 64, 24, 128
Batch = dict[str, dict[str, torch.Tensor]]


def anchors() -> torch.Tensor:
  """Boxes [n, 2] (center, width) in the order of the heads' outputs."""
  boxes = []
  for j in range(LAYERS):
    cells = (STEPS // 4) >> j
    center = (torch.arange(cells) + 0.5)[:, None].expand(-1, len(RATIOS)) / cells
    width = torch.tensor(RATIOS).expand(cells, -1) / cells
    boxes.append(torch.stack([center, width], dim=-1).flatten(0, 1))
  return torch.cat(boxes)


class Generator(nn.Module):
  """Two convolutions, the second of stride 2."""

  def __init__(self):
    super().__init__()
    self.first = nn.Conv1d(WIDTH, CHANNELS, 3, padding=1)
    self.second = nn.Conv1d(CHANNELS, WIDTH, 3, stride=2)

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    """Returns half as many steps."""
    return self.second(F.pad(F.relu(self.first(x)), (0, 1)))


class AherNet(nn.Module):
  """All parts; a layer's head is one convolution."""

  def __init__(self, classes: dict[str, int]):
    super().__init__()
    base, layers = (CHANNELS,) * 2, (CHANNELS,) * LAYERS
    each = lambda make: nn.ModuleList(make() for _ in range(LAYERS))
    conv = lambda out: nn.Conv1d(CHANNELS, out * len(RATIOS), 3, padding=1)
    self.trunk = temporal_twins.Trunk(WIDTH, base, layers)
    self.heads, self.disc = each(lambda: conv(5)), each(lambda: conv(1))
    self.regv = nn.ModuleDict(
      {name: each(lambda k=k: nn.Linear(CHANNELS, k)) for name, k in classes.items()}
    )
    square = lambda n: nn.ModuleList(nn.Linear(n, n) for _ in range(2))
    self.transfer = each(lambda: nn.ModuleList([square(CHANNELS), square(1)]))
    self.generators = nn.ModuleList([Generator(), Generator()])
    for linear in itertools.chain.from_iterable(
      part for layer in self.transfer for part in layer
    ):
      nn.init.eye_(linear.weight)
      nn.init.zeros_(linear.bias)

  def clips(self, x: torch.Tensor, domain: str) -> torch.Tensor:
    """Logits [layers, b, k] of the means of the layers."""
    pairs = zip(self.regv[domain], self.trunk(x), strict=True)
    return torch.stack([w(f.mean(dim=-1)) for w, f in pairs])

  def proposals(self, features: list[torch.Tensor]) -> torch.Tensor:
    """Predictions [b, n, 5] of the anchors."""
    each = zip(self.heads, features, strict=True)
    return torch.cat([h(f).mT.reshape(len(f), -1, 5) for h, f in each], dim=1)

  def cells(self, features: list[torch.Tensor], domain: str) -> torch.Tensor:
    """Logits [b, c, k] of the cells, by transferred classifiers."""
    logits = []
    layers = zip(features, self.regv[domain], self.transfer, strict=True)
    for f, w, (of_weight, of_bias) in layers:
      weight, bias = w.weight, w.bias[:, None]
      for a, b in zip(of_weight, of_bias, strict=True):
        weight, bias = F.elu(a(weight)), F.elu(b(bias))
      logits.append(F.linear(f.mT, weight, bias[:, 0]))
    return torch.cat(logits, dim=1)

  def discriminate(self, x: torch.Tensor) -> torch.Tensor:
    """Logits [b, n] of the anchors."""
    each = zip(self.disc, self.trunk(x), strict=True)
    return torch.cat([d(f).mT.reshape(len(x), -1) for d, f in each], dim=1)


def synthesize(
  net: AherNet, moments: torch.Tensor, ratio: torch.Tensor, position: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
  """Moments within generated contexts, and their segments [b, 1, 2]."""
  odd = torch.arange(len(moments)) % 2 == 1
  length = (STEPS * ratio).long()
  start = (STEPS - length) // 2
  split = torch.where(odd, STEPS - length - start, start)
  shift = ((1 - ratio) * split * position).long()
  at = torch.where(odd, start + shift, shift)
  pieces = [moments, *(g(moments) for g in net.generators)]
  sizes = torch.tensor([p.shape[-1] for p in pieces])
  time, rows = torch.arange(STEPS), lambda x: x[:, None]
  inside = (time >= rows(at)) & (time < rows(at + length))
  rest = torch.where(time < rows(at), time, time - rows(length))
  first = rest < rows(start)
  piece = torch.where(inside, 0, torch.where(first, 1, 2))
  within = torch.where(
    inside, time - rows(at), torch.where(first, rest, rest - rows(start))
  )
  lengths = torch.stack([length, start, STEPS - length - start], dim=1)
  scale = (sizes / lengths).gather(1, piece)
  read = within * scale
  low = read.long().clamp(max=sizes[piece] - 1)
  high = torch.minimum(low + 1, sizes[piece] - 1)
  begin = (sizes.cumsum(0) - sizes)[piece]
  bank = torch.cat(pieces, dim=-1)
  take = lambda i: bank.gather(2, (begin + i)[:, None].expand(-1, WIDTH, -1))
  below = take(low)
  x = below + (take(high) - below) * (read - low)[:, None]
  return x, torch.stack([at, at + length], dim=-1)[:, None] / STEPS


class Twin:
  """The network, ten optimizers, and the step."""

  def __init__(self, classes: dict[str, int], rate: float = 1e-3):
    self.net, self.boxes = AherNet(classes), anchors()
    net = self.net
    trunk, generators = [*net.trunk.parameters()], [*net.generators.parameters()]
    heads, transfer = [*net.heads.parameters()], [*net.transfer.parameters()]
    regv = {name: [*part.parameters()] for name, part in net.regv.items()}
    make = lambda params, b1=0.9: torch.optim.Adam(
      params, lr=rate, betas=(b1, 0.999), fused=True
    )
    self.optimizers = {
      "1": make(trunk + regv["target"]),
      "2": make(regv["source"]),
      "3p": make(trunk + heads),
      "3c": make(trunk + transfer),
      "4p": make(generators),
      "4c": make(generators),
      "5d": make(net.disc.parameters(), 0.5),
      "5g": make(generators, 0.5),
      "6p": make(trunk + heads),
      "6c": make(trunk),
    }

  def apply(self, losses: dict[str, torch.Tensor]) -> None:
    """Steps of optimizers with gradients at the same parameters."""
    gradients = {}
    for number, (name, loss) in enumerate(losses.items(), start=1):
      params = self.optimizers[name].param_groups[0]["params"]
      keep = number < len(losses)
      gradients[name] = torch.autograd.grad(loss, params, retain_graph=keep)
    for name, found in gradients.items():
      params = self.optimizers[name].param_groups[0]["params"]
      for p, g in zip(params, found, strict=True):
        p.grad = g
      self.optimizers[name].step()

  def localize(self, x, segments, label, valid, domain: str):
    """Losses on proposals and on cells."""
    features = self.net.trunk(x)
    found = self.net.proposals(features)
    boxes = self.boxes.expand(len(x), -1, -1)
    iou, index, positive = temporal_twins.match(boxes, segments, valid)
    loss = proposal_loss(found, boxes, segments, iou, index, positive)
    each = len(RATIOS)
    cells = temporal_twins.match(boxes[:, ::each], segments, valid)
    wanted = label.gather(1, cells[1])[cells[2]]
    logits = self.net.cells(features, domain)[cells[2]]
    total = F.cross_entropy(logits, wanted, reduction="sum")
    return loss, 2 * total / max(len(wanted), 1)

  def train(self, batch: Batch, ratio: torch.Tensor, position: torch.Tensor) -> None:
    """Takes one step of all updates."""
    net, moments, source = self.net, batch["moments"], batch["source"]
    valid = torch.ones(len(ratio), 1, dtype=torch.bool)
    real = (source["features"], source["segments"], source["label"], source["valid"])

    def classify(clips: dict[str, torch.Tensor], domain: str) -> torch.Tensor:
      logits = net.clips(clips["features"], domain)
      label = clips["label"].expand(LAYERS, -1)
      return 2 * F.cross_entropy(logits.flatten(0, 1), label.flatten())

    def fake():
      return synthesize(net, moments["features"], ratio, position)

    def localize_fake() -> tuple[torch.Tensor, torch.Tensor]:
      return self.localize(*fake(), moments["label"][:, None], valid, "target")

    self.apply({"1": classify(moments, "target")})
    self.apply({"2": classify(batch["foreground"], "source")})
    self.apply(dict(zip(("3p", "3c"), self.localize(*real, "source"), strict=True)))
    self.apply(dict(zip(("4p", "4c"), localize_fake(), strict=True)))
    for name in ("5d", "5g", "5g"):
      x, segments = fake()
      both = (self.mask(*real[1::2]), self.mask(segments, valid))
      mask = both[0] & both[1]
      self.apply({name: self.compete(name, real[0], x, mask)})
    self.apply(dict(zip(("6p", "6c"), localize_fake(), strict=True)))

  def mask(self, segments: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """Which anchors are background."""
    boxes = self.boxes.expand(len(segments), -1, -1)
    return temporal_twins.match(boxes, segments, valid)[0] < 0.3

  def compete(self, name: str, real, fake, mask: torch.Tensor) -> torch.Tensor:
    """The loss of the discriminators, or of the generators."""
    target = 0.0 if name == "5d" else 1.0
    logits = self.net.discriminate(fake)[mask]
    entropy = F.binary_cross_entropy_with_logits
    loss = entropy(logits, torch.full_like(logits, target))
    if name == "5d":
      told = self.net.discriminate(real)[mask]
      loss = loss + entropy(told, torch.ones_like(told))
    return 0.1 * loss


def proposal_loss(found, boxes, segments, iou, index, positive) -> torch.Tensor:
  """Cross-entropy of mined anchors, smooth L1 of offsets, squared overlap error."""
  logits, offsets, overlap = found.split((2, 2, 1), dim=-1)
  hardness = -logits.detach().log_softmax(-1)[..., 0]
  hardness = hardness.masked_fill((iou >= 0.3) | positive, -torch.inf).flatten()
  count = min(int(positive.sum()), int((hardness > -torch.inf).sum()))
  chosen = torch.cat([positive.flatten().nonzero()[:, 0], hardness.topk(count)[1]])
  label = positive.long().flatten()[chosen]
  entropy = F.cross_entropy(logits.flatten(0, 1)[chosen], label)
  start, end = segments.gather(1, index[..., None].expand(-1, -1, 2))[positive].mT
  center, width = boxes[positive].mT
  wanted = torch.stack(
    [((start + end) / 2 - center) / width, ((end - start) / width).log()], dim=-1
  )
  distance = F.smooth_l1_loss(offsets[positive], 10 * wanted, reduction="sum")
  location = distance / max(int(positive.sum()), 1)
  return 2 * entropy + location + 25 * F.mse_loss(overlap[..., 0].sigmoid(), iou)


def channels_first(arrays: dict[str, Iterable]) -> dict[str, torch.Tensor]:
  """Arrays of ours in torch's layout and types."""
  found = {name: torch.tensor(x) for name, x in arrays.items()}
  found["features"] = found["features"].mT.contiguous()
  found["label"] = found["label"].long()
  return found
