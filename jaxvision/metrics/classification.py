"""Accuracy of classifiers, as values an example that sum over shards."""

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
