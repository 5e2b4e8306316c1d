"""What a one-stage temporal detector predicts, and how segments are read from it."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxvision.ops.segments import decode, to_start_end
from jaxvision.typing import Array, Bool, Float, Int


class DetectionOutputs(NamedTuple):
  """Predictions for the n anchors of all layers, the finest layer first.

  Attributes:
    logits: [b, n, classes + 1], of which 0 is background.
    offsets: [b, n, 2], of (center, width), see `ops.segments.decode`.
    overlap: [b, n], believed IoU of the anchor with an action, in (0, 1).
    anchors: [b, n, 2], (center, width) as fractions of the window, not clipped to it.
    valid: [b, n], False for slots that hold no anchor.
    layer: [n], number of the pyramid's layer, from 1.
  """

  logits: Float[Array, "b n k"]
  offsets: Float[Array, "b n 2"]
  overlap: Float[Array, "b n"]
  anchors: Float[Array, "b n 2"]
  valid: Bool[Array, "b n"]
  layer: Int[Array, " n"]


def decode_detections(
  outputs: DetectionOutputs, *, overlap_in_score: bool = True
) -> tuple[Float[Array, "b n 2"], Float[Array, "b n c"]]:
  """Turns predictions into segments and the scores of every class.

  Long et al. (2019), "Gaussian Temporal Awareness Networks for Action Localization",
  equations 5 and 10. The equation's own score and class are the maximum and argmax of
  these scores over the classes; all of them serve class-wise suppression.

  Args:
    outputs: predictions of the network.
    overlap_in_score: whether the predicted overlap multiplies the class's probability,
      as in equation 10.

  Returns:
    Segments (start, end), clipped to the window [0, 1], and scores of the classes
    without background; -inf, which suppression takes as padding, for slots without an
    anchor and for segments of which nothing is inside the window.
  """
  segments = to_start_end(decode(outputs.offsets, outputs.anchors))
  segments = jnp.clip(segments, 0, 1)
  scores = jax.nn.softmax(outputs.logits)[..., 1:]
  if overlap_in_score:
    scores = scores * outputs.overlap[..., None]
  real = outputs.valid & (segments[..., 1] > segments[..., 0])
  return segments, jnp.where(real[..., None], scores, -jnp.inf)
