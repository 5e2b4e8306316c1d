"""Losses of CausalAdv's style head (Zhang et al., 2022).

The head predicts labels from style. Natural and adversarial style shall tell it the
same: that is the alignment of the two distributions.
"""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxvision.typing import Array, Float, Int


def covariance_shifts(
  kernel: Float[Array, "d k"], covariance: Float[Array, "k d d"], *, ratio: ArrayLike
) -> Float[Array, "k k"]:
  """What the features' spread within a class adds to logits, by label and class.

  Wang et al. (2019), "Implicit semantic data augmentation", equation 6: (ratio / 2)
  (v_c - v_y)^T covariance_y (v_c - v_y), which is 0 where c = y. One table serves all
  examples. Its gradient reaches the weights v, not the covariance.

  Args:
    kernel: weights v of the logits.
    covariance: of the features of each class.
    ratio: how much is added; may be traced.

  Returns:
    [label y, class c].
  """
  apart = kernel.T[None] - kernel.T[:, None]  # y c d
  covariance = jax.lax.stop_gradient(covariance)
  return ratio / 2 * jnp.einsum("yci,yij,ycj->yc", apart, covariance, apart)


def corrected(
  logits: Float[Array, "n k"], labels: Int[Array, " n"], shifts: Float[Array, "k k"]
) -> Float[Array, "n k"]:
  """Adds the row of each label to its logits; it takes the true label to know it."""
  return logits + shifts[labels]


def soft_cross_entropy(
  logits: Float[Array, "*b k"], target: Float[Array, "*b k"]
) -> Float[Array, "*b"]:
  """Returns -sum target log softmax(logits), in nats; gradients flow into both.

  Args:
    logits: in float32 whatever the input.
    target: probabilities.
  """
  log_p = jax.nn.log_softmax(logits.astype(jnp.float32))
  return -jnp.sum(target * log_p, axis=-1)


def alignment(
  natural: Float[Array, "*b k"],
  adversarial: Float[Array, "*b k"],
  *,
  detach: bool = False,
) -> Float[Array, "*b"]:
  """Cross-entropy of adversarial style's prediction against that of natural style.

  Args:
    natural: corrected logits of the natural style.
    adversarial: of the adversarial one.
    detach: whether the target is fixed; the authors let the gradient flow into it.
  """
  target = jax.nn.softmax(natural.astype(jnp.float32))
  target = jax.lax.stop_gradient(target) if detach else target
  return soft_cross_entropy(adversarial, target)
