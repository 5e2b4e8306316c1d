"""APGD-T: APGD towards one class after another."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxvision.attacks import classifier, objectives
from jaxvision.attacks.apgd import apgd
from jaxvision.attacks.classifier import LogitsFn, over
from jaxvision.attacks.objectives import TARGETS
from jaxvision.typing import Array, Bool, Float, Int, PRNGKey, PyTree


def apgd_t(
  key: PRNGKey,
  logits_fn: LogitsFn,
  x: Float[Array, " b *s"],
  y: Int[Array, " b"],
  *,
  eps: ArrayLike,
  steps: int = 100,
  targets: int = TARGETS,
  variables: PyTree = None,
) -> tuple[Float[Array, " b *s"], Bool[Array, " b"]]:
  """APGD up the targeted DLR, one start for each target.

  Croce and Hein (2020), "Reliable evaluation of adversarial robustness", section 5: the
  second attack of AutoAttack. That one goes on with those images only that still hold;
  here every target sees all of them.

  Args:
    key: of the random starts.
    logits_fn: the classifier, see `attacks.classifier`.
    x: images in [0, 1], channels last.
    y: labels.
    eps: largest change of a value.
    steps: of each target.
    targets: the classes with the largest clean logits after the first, at most the
      number of classes minus 1.
    variables: if given, `logits_fn(variables, x)` is called.

  Returns:
    The first misclassified point found, in the ball and in [0, 1], else `x`; and
    whether an image withstood all targets.

  Raises:
    UserError: no step, no target, fewer than 4 classes, images or labels that cannot
      be.
  """
  classifier.check_steps("targets", targets)
  classifier.check_inputs(x, y, eps)
  logits = classifier.predict(logits_fn, x, variables=variables)
  ranks = objectives.target_ranks(logits.shape[-1], targets=targets)
  x_adv, robust = x, classifier.is_right(logits, y)
  for own, rank in zip(jax.random.split(key, len(ranks)), ranks, strict=True):
    target = objectives.target_of_rank(logits, rank)
    found, holds = apgd(
      own, logits_fn, x, y, eps=eps, steps=steps, target=target, variables=variables
    )
    x_adv = jnp.where(over(robust & ~holds, x), found, x_adv)
    robust &= holds
  return x_adv, robust
