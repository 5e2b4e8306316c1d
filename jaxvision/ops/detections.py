"""What a one-stage temporal detector predicts, and how segments are read from it."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxvision.ops.segments import decode, to_start_end
from jaxvision.typing import Array, Bool, Float, Int

CLASS_OF = ("video", "cell")
RATINGS = ("overlap", "action")


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


class ClassifiedOutputs(NamedTuple):
  """Proposals of actions of any class, and classes of their cells.

  Attributes:
    proposals: of n anchors; logits of (background, action).
    classes: [b, c, k], logits of the action classes of all cells, those of a layer
      adjacent as its anchors are, n / c of which a cell has.
  """

  proposals: DetectionOutputs
  classes: Float[Array, "b c k"]


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
  segments, real = _decode_segments(outputs)
  scores = jax.nn.softmax(outputs.logits)[..., 1:]
  if overlap_in_score:
    scores = scores * outputs.overlap[..., None]
  return segments, jnp.where(real[..., None], scores, -jnp.inf)


def decode_classified(
  outputs: ClassifiedOutputs, *, class_of: str = "video", rating: str = "overlap"
) -> tuple[Float[Array, "b n 2"], Float[Array, "b n k"]]:
  """Turns proposals and classes of cells into segments and scores of every class.

  Long et al. (2020), "Learning to Localize Actions from Moments" (AherNet), as its code
  does it: a video has one class, that of the highest mean probability over the cells of
  all layers, and a segment's score is its rating times that mean.

  Args:
    outputs: predictions of the network.
    class_of: "video", as above, or "cell": each anchor has the most probable class of
      its cell, and that probability in its score, for videos of several classes.
    rating: of a proposal: its "overlap", or the probability of an "action".

  Returns:
    As `decode_detections`; -inf for all classes but the one chosen, too.
  """
  if class_of not in CLASS_OF or rating not in RATINGS:
    raise ValueError(
      f"class_of is {class_of!r} and rating is {rating!r}; choose one of "
      f"{', '.join(CLASS_OF)}, and of {', '.join(RATINGS)}."
    )
  proposals = outputs.proposals
  segments, real = _decode_segments(proposals)
  rated = proposals.overlap
  if rating == "action":
    rated = jax.nn.softmax(proposals.logits)[..., 1]
  chance = jax.nn.softmax(outputs.classes)
  if class_of == "video":
    chance = chance.mean(axis=1, keepdims=True)
  best = jnp.argmax(chance, axis=-1, keepdims=True)
  chosen = jnp.arange(chance.shape[-1]) == best
  each = rated.shape[1] // chance.shape[1]
  chance, chosen = (jnp.repeat(a, each, axis=1) for a in (chance, chosen))
  scores = rated[..., None] * chance
  return segments, jnp.where(chosen & real[..., None], scores, -jnp.inf)


def _decode_segments(
  outputs: DetectionOutputs,
) -> tuple[Float[Array, "b n 2"], Bool[Array, "b n"]]:
  """Segments within the window, and which of them there are."""
  segments = jnp.clip(to_start_end(decode(outputs.offsets, outputs.anchors)), 0, 1)
  return segments, outputs.valid & (segments[..., 1] > segments[..., 0])
