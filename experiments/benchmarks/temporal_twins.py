"""Torch twins of GTAN's training step, detections and trunk, written for speed.

Same sizes, matching, losses and optimizer as `configs/gtan.py`, one anchor a cell;
features are (batch, channels, time), torch's layout. Needs
`pip install 'jaxvision[bench]'`.
"""

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

CLASSES = 5
CANDIDATES, KEEP, DECAY = 200, 100, 0.3


class Trunk(nn.Module):
  """Two convolutions, max-pooling, and one convolution of stride 2 a layer."""

  def __init__(self, width: int, base: Sequence[int], layers: Sequence[int]):
    super().__init__()
    widths = (width, *base, *layers)
    pairs = list(itertools.pairwise(widths))
    self.base = nn.ModuleList(nn.Conv1d(*pair, 3, padding=1) for pair in pairs[:2])
    self.layers = nn.ModuleList(nn.Conv1d(*pair, 3, stride=2) for pair in pairs[2:])

  def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
    """Returns the features of every layer."""
    for conv in self.base:
      x = F.relu(conv(x))
    x, found = F.max_pool1d(x, 3, 2), []
    for conv in self.layers:  # TensorFlow's "SAME" padding
      x = F.relu(conv(F.pad(x, (x.shape[-1] % 2, 1))))
      found.append(x)
    return found


class GTAN(nn.Module):
  """Trunk, standard deviations in windows, Gaussian pooling, one fused head a layer."""

  def __init__(self, width: int = 24, channels: int = 64, layers: int = 5):
    super().__init__()
    self.trunk = Trunk(width, (channels,) * 2, (channels,) * layers)
    self.sigmas = nn.ModuleList(
      nn.Conv1d(channels, 1, 3, padding=1) for _ in range(layers)
    )
    self.heads = nn.ModuleList(
      nn.Conv1d(channels, CLASSES + 4, 3, padding=1) for _ in range(layers)
    )
    for j, conv in enumerate(self.sigmas):  # half a cell, as ours starts
      nn.init.normal_(conv.weight, std=1e-3)
      nn.init.constant_(conv.bias, float(torch.logit(torch.tensor(0.5 / (32 >> j)))))

  def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Returns logits [b, n, k], offsets [b, n, 2], overlaps [b, n], boxes [b, n, 2]."""
    predictions, boxes = [], []
    layers = zip(self.trunk(x), self.sigmas, self.heads, strict=True)
    for features, sigma_head, head in layers:
      sigma = torch.sigmoid(sigma_head(features)[:, 0])
      center = (torch.arange(sigma.shape[1]) + 0.5) / sigma.shape[1]
      distance = (center - center[:, None]) / sigma.clamp(min=1e-3)[..., None]
      weights = torch.softmax(-0.5 * distance**2, dim=-1)
      predictions.append(head(features @ weights.mT))
      boxes.append(torch.stack([center.expand_as(sigma), 2 * sigma], dim=-1))
    found = torch.cat(predictions, dim=-1).mT
    logits, offsets, overlap = found.split((CLASSES + 1, 2, 1), dim=-1)
    return logits, offsets, torch.sigmoid(overlap[..., 0]), torch.cat(boxes, dim=1)


def decode(offsets: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
  """Moves and scales boxes (center, width)."""
  center, width = anchors.unbind(-1)
  moved = center + 0.1 * width * offsets[..., 0]
  return torch.stack([moved, width * torch.exp(0.1 * offsets[..., 1])], dim=-1)


def spans(boxes: torch.Tensor) -> torch.Tensor:
  """Turns (center, width) into (start, end) within the window."""
  center, half = boxes[..., 0], boxes[..., 1] / 2
  return torch.stack([center - half, center + half], dim=-1).clamp(0, 1)


@torch.no_grad()
def match(anchors: torch.Tensor, segments: torch.Tensor, valid: torch.Tensor):
  """IoU and number of every anchor's segment; which are positive: > .5, or the best."""
  start, end = (spans(anchors)[:, :, None, i] for i in (0, 1))
  first, last = (segments[:, None, :, i] for i in (0, 1))
  shared = (torch.minimum(end, last) - torch.maximum(start, first)).clamp(min=0)
  union = (end - start) + (last - first) - shared
  iou = torch.where(valid[:, None] & (shared > 0), shared / union, 0.0)
  highest, index = iou.max(dim=-1)
  best = torch.zeros_like(iou).scatter_(1, iou.argmax(dim=1, keepdim=True), 1.0)
  forced = best.gather(2, index[..., None])[..., 0].bool() & (highest > 0)
  return highest, index, forced | (highest > 0.5)


def loss(outputs, segments, labels, valid) -> torch.Tensor:
  """Cross-entropy on 1:1 mined anchors, smooth L1 of boxes, squared overlap error."""
  logits, offsets, overlap, anchors = outputs
  iou, index, positive = match(anchors, segments, valid)
  hardness = -logits.detach().log_softmax(-1)[..., 0]
  hardness = hardness.masked_fill((iou >= 0.3) | positive, -torch.inf).flatten()
  count = min(int(positive.sum()), int((hardness > -torch.inf).sum()))
  chosen = torch.cat([positive.flatten().nonzero()[:, 0], hardness.topk(count)[1]])
  label = torch.where(positive, labels.gather(1, index) + 1, 0).flatten()
  entropy = F.cross_entropy(logits.flatten(0, 1)[chosen], label[chosen])
  start, end = segments.gather(1, index[..., None].expand(-1, -1, 2))[positive].mT
  wanted = torch.stack([(start + end) / 2, end - start], dim=-1)
  boxes = decode(offsets[positive], anchors[positive])
  distance = F.smooth_l1_loss(boxes, wanted, beta=0.05, reduction="sum")
  location = distance / max(int(positive.sum()), 1)
  return entropy + 20 * location + 10 * F.mse_loss(overlap, iou)


@torch.no_grad()
def detect(net: nn.Module, features: torch.Tensor) -> list[tuple[np.ndarray, ...]]:
  """Segments, labels, scores of every window: soft-NMS on the host, class by class."""
  logits, offsets, overlap, anchors = net(features)
  scores = logits.softmax(-1)[..., 1:] * overlap[..., None]
  scores, number = scores.flatten(1).topk(CANDIDATES, dim=1)
  segments = spans(decode(offsets, anchors)).numpy()
  number = number.numpy()
  rows = zip(segments, number // CLASSES, number % CLASSES, scores.numpy(), strict=True)
  return [soft_nms(found[anchor], label, score) for found, anchor, label, score in rows]


def soft_nms(segments: np.ndarray, label: np.ndarray, score: np.ndarray):
  """The loop as it is usually written, vectorised over the candidates that are left."""
  # Apart by class, so that one loop serves all classes.
  start, end = (segments + 2 * label[:, None]).T
  score, kept, kept_score = score.copy(), [], []
  for _ in range(KEEP):
    best = score.argmax()
    kept.append(best)
    kept_score.append(score[best])
    shared = np.minimum(end, end[best]) - np.maximum(start, start[best])
    shared = shared.clip(0)
    iou = shared / (end - start + end[best] - start[best] - shared)
    score *= np.exp(-(iou**2) / DECAY)
    score[best] = -1
  return segments[kept], label[kept], np.array(kept_score)
