"""Accuracy of classifiers, as values an example that sum over shards; fused scores."""

from collections.abc import Sequence

import jax.numpy as jnp

from jaxvision.typing import Array, Bool, Float, Int


def in_top_k(
  logits: Float[Array, "*b c"], labels: Int[Array, "*b"], *, k: int = 1
) -> Bool[Array, "*b"]:
  """Tells whether the label is among the k largest logits.

  All but k logits must be strictly smaller than the label's: ties count against the
  label, and so does NaN, so that a constant or a diverged classifier is right in no
  example.
  """
  own = jnp.take_along_axis(logits, labels[..., None], axis=-1)
  return jnp.sum(~(logits < own), axis=-1) <= k


def fuse_scores(
  scores: Sequence[Float[Array, "*b c"]], weights: Sequence[float] | None = None
) -> Float[Array, "*b c"]:
  """Weighted sum of the scores that several networks give the same examples.

  Shi et al. (2019), "Two-Stream Adaptive Graph Convolutional Networks", CVPR,
  add those of joints and bones; later work adds those of joints, bones and both motions
  2 : 2 : 1 : 1. The class is the largest sum.

  Args:
    scores: probabilities or logits of each network, all of one kind.
    weights: one a network; None is 1 each.

  Raises:
    ValueError: no scores, shapes that differ, or other than one weight a network.
  """
  weights = [1.0] * len(scores) if weights is None else list(weights)
  if not scores or len(weights) != len(scores):
    raise ValueError(
      f"{len(weights)} weights for the scores of {len(scores)} networks."
    )
  if len({x.shape for x in scores}) > 1:  # broadcasting would hide other examples
    raise ValueError(f"scores of different shapes: {[x.shape for x in scores]}.")
  return sum(weight * x for weight, x in zip(weights, scores, strict=True))
