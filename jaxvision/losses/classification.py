"""Losses of classifiers."""

import jax
import jax.numpy as jnp
import optax

from jaxvision.typing import Array, Float, Int


def cross_entropy(
  logits: Float[Array, "*b k"], labels: Int[Array, "*b"], *, smoothing: float = 0.0
) -> Float[Array, "*b"]:
  """Returns -log softmax(logits)[label] in nats, in float32 whatever the input.

  Args:
    logits: of k classes.
    labels: in [0, k).
    smoothing: share of the target that is spread over all classes, the right one too,
      as by Szegedy et al. (2016), section 7, and torch.
  """
  logits = logits.astype(jnp.float32)
  loss = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
  if not smoothing:
    return loss
  spread = -jax.nn.log_softmax(logits).mean(-1)
  return (1 - smoothing) * loss + smoothing * spread
