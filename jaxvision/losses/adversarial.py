"""Losses of adversarial training, from clean and adversarial logits.

The attack that makes the adversarial images is `jaxvision.attacks.pgd`; no gradient
flows through it. Madry: loss "ce" from a uniform start; TRADES: loss "trades" from
`normal_start`; MART: "ce" from `normal_start`.
"""

import jax
import jax.numpy as jnp

from jaxvision.losses.classification import cross_entropy
from jaxvision.typing import Array, Float, Int

# The MART authors' guards: 1.0001 - p in the logarithm, 1.0000001 - p in the weight.
LOG_GUARD, WEIGHT_GUARD = 1e-4, 1e-7


def logits_kl(
  reference: Float[Array, "*b k"], logits: Float[Array, "*b k"]
) -> Float[Array, "*b"]:
  """Returns KL(softmax reference || softmax logits) in nats; both get gradients."""
  reference = jax.nn.log_softmax(reference.astype(jnp.float32))
  logits = jax.nn.log_softmax(logits.astype(jnp.float32))
  return jnp.sum(jnp.exp(reference) * (reference - logits), axis=-1)


def madry(
  adversarial: Float[Array, "*b k"], labels: Int[Array, "*b"]
) -> Float[Array, "*b"]:
  """Cross-entropy of adversarial images alone; the clean ones are not seen.

  Madry et al. (2018), "Towards deep learning models resistant to adversarial attacks",
  equation 2.1.
  """
  return cross_entropy(adversarial, labels)


def trades(
  clean: Float[Array, "*b k"],
  adversarial: Float[Array, "*b k"],
  labels: Int[Array, "*b"],
  *,
  beta: float = 6.0,
) -> Float[Array, "*b"]:
  """Cross-entropy of clean images + beta KL(clean || adversarial).

  Zhang et al. (2019), "Theoretically principled trade-off between robustness and
  accuracy", equation 5; as in the authors' code the gradient flows into both logits.
  """
  return cross_entropy(clean, labels) + beta * logits_kl(clean, adversarial)


def mart(
  clean: Float[Array, "*b k"],
  adversarial: Float[Array, "*b k"],
  labels: Int[Array, "*b"],
  *,
  beta: float = 6.0,
) -> Float[Array, "*b"]:
  """Boosted cross-entropy + beta KL(clean || adversarial) (1 - p_label(clean)).

  Wang et al. (2020), "Improving adversarial robustness requires revisiting
  misclassified examples", equations 8 to 11. Boosted: the cross-entropy of the
  adversarial image minus log(1 - its largest probability of a wrong class).

  Args:
    clean: logits of clean images.
    adversarial: logits of adversarial images.
    labels: class numbers.
    beta: weight of the second term; 6 as for TRADES.
  """
  wrong = jnp.where(
    jax.nn.one_hot(labels, adversarial.shape[-1], dtype=bool),
    0.0,
    jax.nn.softmax(adversarial.astype(jnp.float32)),
  ).max(axis=-1)
  boosted = cross_entropy(adversarial, labels) - jnp.log(1.0 - wrong + LOG_GUARD)
  right = jnp.exp(-cross_entropy(clean, labels))
  weight = 1.0 + WEIGHT_GUARD - right
  return boosted + beta * weight * logits_kl(clean, adversarial)
