"""Losses of one-stage temporal detectors: GTAN and AherNet's localizer.

Normalizers count over the whole batch, as the authors' do. Every loss is still a value
an example, scaled so that the mean over the examples is the authors' loss.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jax import lax

from jaxvision.losses.classification import cross_entropy
from jaxvision.losses.detection_targets import Targets, gtan_targets
from jaxvision.ops.detections import DetectionOutputs
from jaxvision.ops.matching import hard_negatives
from jaxvision.ops.segments import decode, encode
from jaxvision.typing import Array, Bool, Float, Int

__all__ = [
  "DetectionLossSpec",
  "Targets",
  "detection_loss",
  "gtan_loss",
  "gtan_targets",
  "shares",
  "smooth_l1",
]

CHOICES = {
  "mining": ("batch", "example"),
  "loc_target": ("encoded", "decoded"),
  "loc_mean": ("positives", "selected"),
  "overlap_on": ("all", "touching"),
}


@dataclasses.dataclass(frozen=True)
class DetectionLossSpec:
  """What `gtan_loss` weighs, matches and regresses.

  Little of it is known of GTAN for sure. AherNet's code has the weights 2, 1, 25,
  `extra_negatives` batch - 1, `loc_mean` "selected" and `overlap_on` "touching".

  Attributes:
    class_weight: of the cross-entropy (GTAN, equations 6 and 7).
    loc_weight: of the smooth L1 loss on boxes (equation 8); beta in equation 6.
    overlap_weight: of the squared error of the overlap (equation 9); gamma.
    positive: IoU above which an anchor is positive, see `gtan_targets`.
    negative: IoU below which it may be chosen as a negative.
    force_best: whether the best anchor of an action is always positive.
    bounds: the window to which anchors are clipped for the IoU, or None.
    negative_ratio: hardest negatives chosen, as a multiple of the positives.
    extra_negatives: how many more.
    mining: whether they are chosen over the "batch" or from each "example".
    loc_target: "encoded" compares offsets, "decoded" boxes, as equation 8 does.
    loc_beta: see `smooth_l1`; decoded boxes never leave the quadratic part at 1.
    loc_mean: the loss on boxes is divided by the number of "positives", or by that of
      positives and chosen negatives, "selected".
    sigma_from_loc: whether encoded targets pass gradients to the anchors, which could
      then change their width to make targets cheap. Decoded boxes always do.
    overlap_on: anchors that learn their overlap: "all", or those "touching" an action.
  """

  class_weight: float = 1.0
  loc_weight: float = 2.0
  overlap_weight: float = 75.0
  positive: float = 0.8
  negative: float = 0.3
  force_best: bool = False
  bounds: tuple[float, float] | None = (0.0, 1.0)
  negative_ratio: float = 1.0
  extra_negatives: int = 0
  mining: str = "batch"
  loc_target: str = "encoded"
  loc_beta: float = 1.0
  loc_mean: str = "positives"
  sigma_from_loc: bool = False
  overlap_on: str = "all"

  def __post_init__(self):
    """Refuses an unknown choice."""
    for field, choices in CHOICES.items():
      if getattr(self, field) not in choices:
        raise ValueError(
          f"{field} is {getattr(self, field)!r}; choose one of {', '.join(choices)}."
        )


def smooth_l1(x: Float[Array, "*s"], *, beta: float = 1.0) -> Float[Array, "*s"]:
  """x^2 / (2 beta) where |x| < beta, else |x| - beta / 2.

  Girshick (2015), "Fast R-CNN", equation 3, whose beta is 1. Smooth L1 of x / beta is
  1 / beta times this.
  """
  size = jnp.abs(x)
  return jnp.where(size < beta, 0.5 * x**2 / beta, size - 0.5 * beta)


def gtan_loss(
  outputs: DetectionOutputs,
  segments: Float[Array, "b g 2"],
  labels: Int[Array, "b g"],
  mask: Bool[Array, "b g"],
  *,
  spec: DetectionLossSpec = DetectionLossSpec(),
) -> tuple[Float[Array, " b"], dict[str, Float[Array, " b"]]]:
  """Classification, localization and overlap: GTAN, equation 6.

  Args:
    outputs: predictions of the network.
    segments: (start, end) of the true actions, in the anchors' unit, padded to g >= 1.
    labels: their classes, from 0.
    mask: False for padding.
    spec: weights and options.

  Returns:
    The losses, and as logs "class", "location", "overlap" (terms without weights),
    "positives" and "negatives" (numbers of anchors). An example without valid anchors,
    padding of the batch, adds nothing to the mean.
  """
  targets = gtan_targets(
    outputs.anchors,
    outputs.valid,
    segments,
    labels,
    mask,
    positive=spec.positive,
    negative=spec.negative,
    force_best=spec.force_best,
    bounds=spec.bounds,
  )
  return detection_loss(outputs, targets, spec=spec)


def detection_loss(
  outputs: DetectionOutputs, targets: Targets, *, spec: DetectionLossSpec
) -> tuple[Float[Array, " b"], dict[str, Float[Array, " b"]]]:
  """`gtan_loss` for anchors that are matched already."""
  negative = _chosen_negatives(outputs, targets, spec)
  selected = targets.positive | negative
  counted = targets.positive if spec.loc_mean == "positives" else selected
  learns = outputs.valid
  if spec.overlap_on == "touching":
    learns &= targets.iou > 0
  entropy = cross_entropy(outputs.logits, targets.label)
  distance = _location_errors(outputs, targets, spec)
  error = (outputs.overlap - targets.iou) ** 2
  terms = {
    "class": shares(entropy, selected, selected),
    "location": shares(distance, targets.positive, counted),
    "overlap": shares(error, learns, learns),
  }
  weights = (spec.class_weight, spec.loc_weight, spec.overlap_weight)
  loss = sum(w * term for w, term in zip(weights, terms.values(), strict=True))
  numbers = {"positives": targets.positive, "negatives": negative}
  counts = {k: v.sum(axis=-1).astype(jnp.float32) for k, v in numbers.items()}
  return loss, terms | counts


def _chosen_negatives(
  outputs: DetectionOutputs, targets: Targets, spec: DetectionLossSpec
) -> Bool[Array, "b n"]:
  """The hardest negatives: those that look least like background."""
  hardness = -lax.stop_gradient(jax.nn.log_softmax(outputs.logits)[..., 0])
  rows = (hardness, targets.positive, targets.negative)
  if spec.mining == "batch":
    rows = tuple(row.reshape(-1) for row in rows)
  ratio, extra = spec.negative_ratio, spec.extra_negatives
  return hard_negatives(*rows, ratio=ratio, extra=extra).reshape(hardness.shape)


def _location_errors(
  outputs: DetectionOutputs, targets: Targets, spec: DetectionLossSpec
) -> Float[Array, "b n"]:
  """Smooth L1 over center and width; of no meaning where not positive."""
  anchors, found = outputs.anchors, outputs.offsets
  # Elsewhere the anchor is the target box: a width of 0 would make NaN gradients even
  # where the loss is masked.
  anchors = jnp.where(targets.positive[..., None], anchors, targets.boxes)
  if spec.loc_target == "decoded":
    found, wanted = decode(found, anchors), targets.boxes
  else:
    fixed = anchors if spec.sigma_from_loc else lax.stop_gradient(anchors)
    wanted = encode(targets.boxes, fixed)
  return smooth_l1(found - wanted, beta=spec.loc_beta).sum(axis=-1)


def shares(
  values: Float[Array, "b n"], where: Bool[Array, "b n"], counted: Bool[Array, "b n"]
) -> Float[Array, " b"]:
  """Sums an example, of which the mean is the sum over `where` by that of `counted`.

  0 where nothing is counted.
  """
  total = jnp.where(where, values, 0).sum(axis=-1)
  return total * values.shape[0] / jnp.maximum(counted.sum(), 1)
