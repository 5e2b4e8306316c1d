"""Temporal segments: overlap, boxes, offsets from anchors, suppression.

Segments are (start, end), boxes are (center, width); both are in one unit of the
caller's choice: seconds, steps, or fractions of a window.
"""

import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxvision.ops.overlap import pair_iou, segment_coverage, segment_iou
from jaxvision.ops.suppression import (
  Decay,
  gaussian_decay,
  linear_decay,
  nms,
  opentad_decay,
  soft_nms,
  suppress,
  take_kept,
  vote,
)
from jaxvision.typing import Array, Float

__all__ = [
  "Decay",
  "decode",
  "encode",
  "gaussian_decay",
  "linear_decay",
  "nms",
  "opentad_decay",
  "pair_iou",
  "segment_coverage",
  "segment_iou",
  "soft_nms",
  "suppress",
  "take_kept",
  "to_center_width",
  "to_start_end",
  "vote",
]


def to_center_width(segments: Float[Array, "*s 2"]) -> Float[Array, "*s 2"]:
  """Turns (start, end) into (center, width)."""
  start, end = segments[..., 0], segments[..., 1]
  return jnp.stack([(start + end) / 2, end - start], axis=-1)


def to_start_end(boxes: Float[Array, "*s 2"]) -> Float[Array, "*s 2"]:
  """Turns (center, width) into (start, end)."""
  center, width = boxes[..., 0], boxes[..., 1]
  return jnp.stack([center - width / 2, center + width / 2], axis=-1)


def encode(
  segments: Float[Array, "*#s 2"],
  anchors: Float[Array, "*#s 2"],
  *,
  center_scale: ArrayLike = 0.1,
  width_scale: ArrayLike = 0.1,
) -> Float[Array, "*s 2"]:
  """The offsets from which `decode` makes the boxes again.

  Long et al. (2019), "Gaussian Temporal Awareness Networks for Action Localization",
  the inverse of equation 5. The scales are those of the authors' later AherNet.

  Args:
    segments: boxes, (center, width). A width of 0 has the offset -inf, so give padding
      and unmatched anchors a box (their own anchor, say) *before* the loss masks them:
      masking an infinity afterwards makes the gradient NaN.
    anchors: boxes (center, width) in the same unit, widths above 0; broadcast.
    center_scale: what one unit of the first offset moves the center, in anchor widths.
    width_scale: what one unit of the second offset adds to the logarithm of the width.

  Returns:
    Offsets of (center, width), without a unit.
  """
  center = (segments[..., 0] - anchors[..., 0]) / (anchors[..., 1] * center_scale)
  width = jnp.log(segments[..., 1] / anchors[..., 1]) / width_scale
  return jnp.stack([center, width], axis=-1)


def decode(
  offsets: Float[Array, "*#s 2"],
  anchors: Float[Array, "*#s 2"],
  *,
  center_scale: ArrayLike = 0.1,
  width_scale: ArrayLike = 0.1,
) -> Float[Array, "*s 2"]:
  """Moves and scales anchors by predicted offsets.

  Long et al. (2019), "Gaussian Temporal Awareness Networks for Action Localization",
  equation 5. Nothing is clipped; see `to_start_end` for where to clip.

  Args:
    offsets: predicted offsets of (center, width).
    anchors: boxes (center, width), widths above 0; broadcast.
    center_scale: see `encode`.
    width_scale: see `encode`.

  Returns:
    Boxes (center, width) in the anchors' unit; widths are above 0.
  """
  center = anchors[..., 0] + center_scale * anchors[..., 1] * offsets[..., 0]
  width = anchors[..., 1] * jnp.exp(width_scale * offsets[..., 1])
  return jnp.stack([center, width], axis=-1)
