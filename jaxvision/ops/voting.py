"""Voting: kept segments are refined by the candidates that overlap them."""

import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxvision.ops.overlap import segment_iou
from jaxvision.typing import Array, Float


def vote(
  kept: Float[Array, "k 2"],
  segments: Float[Array, "n 2"],
  scores: Float[Array, " n"],
  *,
  threshold: ArrayLike,
  overlap_weighted: bool = False,
) -> Float[Array, "k 2"]:
  """Replaces kept segments by weighted means of all that overlap them enough.

  Args:
    kept: segments (start, end) that suppression has left.
    segments: all candidates from before the suppression.
    scores: their undecayed scores; negative ones mark padding.
    threshold: IoU from which a candidate votes: .7 on THUMOS14, .9 on ActivityNet.
    overlap_weighted: whether votes weigh score times IoU (ActionFormer) rather than
      the score alone (OpenTAD).

  Returns:
    Voted segments. One for which nothing votes is returned as it is; the authors divide
    by 0 there.
  """
  iou = segment_iou(kept, segments)
  weights = jnp.maximum(scores, 0) * (iou if overlap_weighted else 1)
  weights = jnp.where(iou >= threshold, weights, 0)
  total = weights.sum(axis=-1, keepdims=True)
  voted = weights @ segments / jnp.where(total > 0, total, 1)
  return jnp.where(total > 0, voted, kept)
