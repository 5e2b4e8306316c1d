"""Losses of classifiers."""

import jax.numpy as jnp
import optax

from jaxvision.typing import Array, Float, Int


def cross_entropy(
  logits: Float[Array, "*b k"], labels: Int[Array, "*b"]
) -> Float[Array, "*b"]:
  """Returns -log softmax(logits)[label] in nats, in float32 whatever the input."""
  logits = logits.astype(jnp.float32)
  return optax.softmax_cross_entropy_with_integer_labels(logits, labels)
