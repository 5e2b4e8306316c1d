"""The fast gradient sign method: one step."""

from jax.typing import ArrayLike

from jaxvision.attacks import classifier, objectives
from jaxvision.attacks.classifier import LogitsFn
from jaxvision.attacks.pgd import sign_step
from jaxvision.typing import Array, Float, Int, PyTree


def fgsm(
  logits_fn: LogitsFn,
  x: Float[Array, " b *s"],
  y: Int[Array, " b"],
  *,
  eps: ArrayLike,
  variables: PyTree = None,
) -> Float[Array, " b *s"]:
  """One step of size eps along the sign of the cross-entropy's gradient.

  Goodfellow et al. (2015), "Explaining and harnessing adversarial examples", section 4;
  from the clean image itself. Where the gradient is 0, nothing moves.

  Args:
    logits_fn: the classifier, see `attacks.classifier`.
    x: images in [0, 1], channels last.
    y: labels.
    eps: largest change of a value.
    variables: if given, `logits_fn(variables, x)` is called.

  Returns:
    Adversarial images in [0, 1].

  Raises:
    UserError: images or labels that cannot be, see `classifier.check_inputs`.
  """
  classifier.check_inputs(x, y, eps)
  aim = objectives.Aim(y)
  return sign_step(
    logits_fn, objectives.ce, x, x, aim, eps=eps, step_size=eps, variables=variables
  )
