"""What every anchor of a one-stage temporal detector shall predict."""

from typing import NamedTuple

import jax.numpy as jnp

from jaxvision.ops.matching import best_anchors, match
from jaxvision.ops.segments import to_center_width, to_start_end
from jaxvision.typing import Array, Bool, Float, Int


class Targets(NamedTuple):
  """The match of each anchor; constants of the gradient.

  Attributes:
    label: [*b, n], 0 for background, action class + 1 where positive.
    boxes: [*b, n, 2], (center, width) of the matched segment; where not positive (1/2,
      1), which can be encoded.
    iou: [*b, n], with the matched segment.
    positive: [*b, n], anchors that shall find an action.
    negative: [*b, n], anchors that may be chosen as background.
  """

  label: Int[Array, "*b n"]
  boxes: Float[Array, "*b n 2"]
  iou: Float[Array, "*b n"]
  positive: Bool[Array, "*b n"]
  negative: Bool[Array, "*b n"]


def gtan_targets(
  anchors: Float[Array, "*b n 2"],
  valid: Bool[Array, "*b n"],
  segments: Float[Array, "*b g 2"],
  labels: Int[Array, "*b g"],
  mask: Bool[Array, "*b g"],
  *,
  positive: float = 0.8,
  negative: float = 0.3,
  force_best: bool = False,
  bounds: tuple[float, float] | None = (0.0, 1.0),
) -> Targets:
  """Matches every anchor with the true segment that it overlaps most.

  Long et al. (2019), "Gaussian Temporal Awareness Networks for Action Localization",
  section 3.4; thresholds, and the clipping, from the authors' later AherNet.

  Args:
    anchors: (center, width).
    valid: False for slots without an anchor, which are neither positive nor negative.
    segments: (start, end) of the true actions, in the anchors' unit, padded to g.
    labels: their classes, from 0.
    mask: False for padding.
    positive: IoU above which an anchor is positive.
    negative: IoU below which it is negative.
    force_best: whether the best anchor of an action is positive whatever its IoU; not
      in the paper, see `ops.matching.best_anchors`.
    bounds: the window, to which anchors are clipped for the IoU only: no action can
      overlap the rest of an anchor. None does not clip. AherNet's code has (0, 511) in
      a window of 512.
  """
  spans = _overlapping(anchors, valid, bounds)
  iou, index = match(spans, segments, mask)
  is_positive = iou > positive
  if force_best:
    is_positive |= best_anchors(spans, segments, mask)
  label = jnp.take_along_axis(labels, index, axis=-1) + 1
  boxes = to_center_width(jnp.take_along_axis(segments, index[..., None], axis=-2))
  return Targets(
    label=jnp.where(is_positive, label, 0),
    boxes=jnp.where(is_positive[..., None], boxes, jnp.array([0.5, 1.0])),
    iou=iou,
    positive=is_positive,
    negative=valid & (iou < negative) & ~is_positive,
  )


def _overlapping(
  anchors: Array, valid: Array, bounds: tuple[float, float] | None
) -> Float[Array, "*b n 2"]:
  """The part (start, end) of every anchor that can overlap an action."""
  spans = to_start_end(anchors)
  if bounds is not None:
    spans = jnp.clip(spans, *bounds)
  return jnp.where(valid[..., None], spans, 0)  # an empty segment overlaps nothing
