"""Matching of anchors with true segments, and the choice of negatives to train on."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxvision.ops.overlap import segment_iou
from jaxvision.typing import Array, Bool, Float, Int


def match(
  anchors: Float[Array, "*#s n 2"],
  truth: Float[Array, "*#s g 2"],
  valid: Bool[Array, "*#s g"],
) -> tuple[Float[Array, "*s n"], Int[Array, "*s n"]]:
  """Finds the true segment that overlaps each anchor most.

  Which anchors are foreground is the caller's threshold on the IoU: above .8, and
  background below .3, in GTAN and AherNet. Both results are constants of the gradient:
  predicted anchors shall not move to please the matching.

  Args:
    anchors: (start, end).
    truth: (start, end), padded to g.
    valid: which of the true segments are none of the padding.

  Returns:
    The largest IoU and the number (int32) of its segment, of equal ones the first;
    (0, 0) where nothing overlaps.
  """
  if truth.shape[-2] == 0:
    raise ValueError("there are 0 true segments; pad to at least one, valid=False.")
  iou = jax.lax.stop_gradient(_valid_iou(anchors, truth, valid))
  return iou.max(axis=-1), jnp.argmax(iou, axis=-1).astype(jnp.int32)


def best_anchors(
  anchors: Float[Array, "*#s n 2"],
  truth: Float[Array, "*#s g 2"],
  valid: Bool[Array, "*#s g"],
) -> Bool[Array, "*s n"]:
  """Marks the anchors of which the own match has no better anchor.

  Declaring them foreground whatever their IoU keeps training alive while few anchors
  pass a high threshold. Not in GTAN's paper. A true segment's best anchor that overlaps
  another one more is not marked, since `match` gives it to the other.
  """
  iou = jax.lax.stop_gradient(_valid_iou(anchors, truth, valid))
  first = jnp.argmax(iou, axis=-2, keepdims=True)
  is_best = jnp.arange(iou.shape[-2])[:, None] == first
  own = jnp.arange(iou.shape[-1]) == jnp.argmax(iou, axis=-1, keepdims=True)
  return (is_best & own & (iou > 0)).any(axis=-1)


def hard_negatives(
  hardness: Float[Array, "*s n"],
  positive: Bool[Array, "*s n"],
  negative: Bool[Array, "*s n"],
  *,
  ratio: ArrayLike = 1.0,
  extra: ArrayLike = 0,
) -> Bool[Array, "*s n"]:
  """Chooses the hardest negatives, as many as there are positives.

  Each row chooses for itself. AherNet chooses over the whole batch, so flatten it, and
  takes `extra = batch - 1`: one a video, less the last, which its strict comparison
  with the k-th value loses.

  Args:
    hardness: the larger the harder: minus the probability of background.
    positive: which anchors are foreground.
    negative: which anchors may be chosen.
    ratio: chosen negatives a positive; the number is rounded down.
    extra: how many more, whatever the number of positives.
  """
  count = jnp.floor(ratio * positive.sum(axis=-1, keepdims=True)) + extra
  order = jnp.argsort(jnp.where(negative, -hardness, jnp.inf), axis=-1)
  rank = jnp.argsort(order, axis=-1)
  return negative & (rank < count)


def _valid_iou(anchors: Array, truth: Array, valid: Array) -> Array:
  return jnp.where(valid[..., None, :], segment_iou(anchors, truth), 0)
