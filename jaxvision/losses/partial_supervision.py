"""Losses of AherNet beside those of its localizer, which are `losses.detection`.

Long, Yao, Qiu, Tian, Luo, Mei (2020), "Learning to Localize Actions from Moments",
ECCV. Normalizers count over the whole batch, as the authors' do; the mean over the
examples is the authors' loss.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxvision.losses.classification import cross_entropy
from jaxvision.losses.detection import DetectionLossSpec, gtan_targets, shares
from jaxvision.ops.detections import ClassifiedOutputs
from jaxvision.typing import Array, Bool, Float, Int

CELLS = ("foreground", "all")
MASKS = ("joint", "independent")


def moment_loss(
  logits: Float[Array, "j b k"], labels: Int[Array, " b"], *, legacy_scale: bool = False
) -> Float[Array, " b"]:
  """Cross-entropy of whole clips, the mean over the layers that classify them.

  Args:
    logits: of every layer's pooled features.
    labels: of the clips.
    legacy_scale: whether to divide by the size of the batch once more, as the code
      does.
  """
  labels = jnp.broadcast_to(labels, logits.shape[:-1])
  loss = cross_entropy(logits, labels).mean(axis=0)
  return loss / len(loss) if legacy_scale else loss


def cell_loss(
  logits: Float[Array, "b c k"],
  labels: Int[Array, "b c"],
  foreground: Bool[Array, "b c"],
  *,
  cells: str = "foreground",
) -> Float[Array, " b"]:
  """Cross-entropy of the action class of every cell.

  The paper's figure has foreground cells only. The released code sums over all cells,
  whatever they show, and divides by the batch.

  Args:
    logits: of the cells of all layers.
    labels: of the segment that the cell overlaps most, or of any one of its video; -1
      in videos without a segment, which teach no class.
    foreground: cells that show an action.
    cells: "foreground", their mean over the batch, or "all", as in the code.
  """
  if cells not in CELLS:
    raise ValueError(f"cells is {cells!r}; choose one of {', '.join(CELLS)}.")
  entropy = cross_entropy(logits, jnp.maximum(labels, 0))
  if cells == "all":
    return jnp.where(labels >= 0, entropy, 0).sum(axis=-1)
  return shares(entropy, foreground, foreground)


def cell_targets(
  outputs: ClassifiedOutputs,
  segments: Float[Array, "b g 2"],
  labels: Int[Array, "b g"],
  mask: Bool[Array, "b g"],
  *,
  spec: DetectionLossSpec,
) -> tuple[Int[Array, "b c"], Bool[Array, "b c"]]:
  """Finds out what the cells show, by the first of each cell's anchors.

  Args:
    outputs: of which the anchors are used; the first ratio is 1.
    segments: (start, end) of the true actions, in the anchors' unit, padded to g >= 1.
    labels: their classes, from 0.
    mask: False for padding; the first is no padding where there are actions at all.
    spec: thresholds, as for proposals.

  Returns:
    Classes, elsewhere that of the first action, -1 where there is none, and which cells
    are foreground.
  """
  proposals = outputs.proposals
  each = proposals.anchors.shape[1] // outputs.classes.shape[1]
  targets = gtan_targets(
    proposals.anchors[:, ::each],
    proposals.valid[:, ::each],
    segments,
    labels,
    mask,
    positive=spec.positive,
    negative=spec.negative,
    force_best=spec.force_best,
    bounds=spec.bounds,
  )
  first = jnp.where(mask[:, :1], labels[:, :1], -1)
  label = jnp.where(targets.positive, targets.label - 1, first)
  return label, targets.positive


class BackgroundLosses(NamedTuple):
  """Losses and accuracy of discriminators on background; zeros where there is none.

  Attributes:
    real: [b], of the discriminators on real videos.
    fake: [b], of the discriminators on synthetic ones.
    generator: [b], of those who made them.
    correct: [], part of both backgrounds that is told right, each counting half.
  """

  real: Float[Array, " b"]
  fake: Float[Array, " b"]
  generator: Float[Array, " b"]
  correct: Float[Array, ""]


def background_losses(
  real: Float[Array, "b n"],
  fake: Float[Array, "b n"],
  real_iou: Float[Array, "b n"],
  fake_iou: Float[Array, "b n"],
  *,
  below: float = 0.3,
  masks: str = "joint",
  targets: tuple[float, float] = (1.0, 0.0),
  weight: float = 0.1,
) -> BackgroundLosses:
  """Binary cross-entropies of AherNet's discriminators, on background cells only.

  Args:
    real: logits of the anchors of real untrimmed videos.
    fake: logits of synthetic ones.
    real_iou: with the best action.
    fake_iou: as well.
    below: IoU below which an anchor is background.
    masks: "joint" counts anchors that are background in both examples of the same
      number, as the code does; "independent" each example's own.
    targets: of the discriminators for (real, fake). The generators want the first.
    weight: factor of all losses; the code has .1.
  """
  if masks not in MASKS:
    raise ValueError(f"masks is {masks!r}; choose one of {', '.join(MASKS)}.")
  real_mask, fake_mask = real_iou < below, fake_iou < below
  if masks == "joint":
    real_mask = fake_mask = real_mask & fake_mask

  def loss(logits: Array, mask: Array, target: float) -> Float[Array, " b"]:
    # -log sigmoid(x) is softplus(-x), which does not overflow.
    entropy = target * jax.nn.softplus(-logits) + (1 - target) * jax.nn.softplus(logits)
    return weight * shares(entropy, mask, mask)

  right = shares(1.0 * (real > 0), real_mask, real_mask).mean()
  right += shares(1.0 * (fake <= 0), fake_mask, fake_mask).mean()
  return BackgroundLosses(
    real=loss(real, real_mask, targets[0]),
    fake=loss(fake, fake_mask, targets[1]),
    generator=loss(fake, fake_mask, targets[0]),
    correct=right / 2,
  )
