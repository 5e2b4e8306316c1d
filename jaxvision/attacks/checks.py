"""Signs that an evaluation by attacks would flatter a classifier.

AutoAttack trusts gradients and a deterministic classifier. These checks find where that
trust is misplaced, as the reference does; `auto_attack` warns of what they return.
"""

import functools

import jax
import numpy as np

from jaxvision.attacks import classifier, objectives
from jaxvision.attacks.classifier import LogitsFn
from jaxvision.typing import Array, Float, Int, PyTree

SAME = 1e-4  # outputs of two calls may differ by this: rounding is no randomness
SQUARE_GAIN = 0.002  # of the points; more by Square hints at masked gradients


class AttackWarning(UserWarning):
  """The robust accuracy found may be far too high."""


def doubts_of_classifier(
  logits_fn: LogitsFn,
  x: Float[Array, " b *s"],
  y: Int[Array, " b"],
  *,
  variables: PyTree = None,
) -> list[str]:
  """Looks for random outputs, probabilities as outputs, and zero gradients.

  Args:
    logits_fn: the classifier, called twice as it is and once compiled.
    x: a few images in [0, 1].
    y: labels.
    variables: if given, `logits_fn(variables, x)` is called.

  Returns:
    A sentence for each that was found.
  """
  doubts = []
  first, second = (
    np.asarray(classifier.logits_of(logits_fn, variables, x)) for _ in range(2)
  )
  if np.abs(first - second).max() > SAME:
    doubts.append(
      "the classifier answers differently when asked twice; compiled, its noise is "
      "frozen. Attack its expectation: average the logits over fixed draws."
    )
  if _are_probabilities(first):
    doubts.append(
      "the outputs look like probabilities; attacks need logits, since a softmax "
      "saturates and its gradients vanish."
    )
  return doubts + doubts_of_gradients(logits_fn, x, y, variables=variables)


def doubts_of_gradients(
  logits_fn: LogitsFn,
  x: Float[Array, " b *s"],
  y: Int[Array, " b"],
  *,
  variables: PyTree = None,
) -> list[str]:
  """Counts the images at which the cross-entropy has no gradient at all.

  Activations that are rounded by hard steps do so, and saturated layers.
  """
  slope = _slope(logits_fn, variables, x, y)
  flat = ~np.any(np.asarray(slope).reshape(len(x), -1), axis=1)
  if not flat.any():
    return []
  return [
    f"the gradient is 0 at {flat.sum()} of {len(x)} points, where attacks by gradients "
    "cannot move, but Square can; look for saturated or non-differentiable layers."
  ]


@functools.partial(jax.jit, static_argnames="logits_fn")
def _slope(logits_fn: LogitsFn, variables: PyTree, x: Array, y: Array) -> Array:
  aim = objectives.Aim(y)
  return classifier.gradient(logits_fn, objectives.ce, variables, x, aim)[0]


def doubts_of_square(before: float, after: float) -> list[str]:
  """Tells if Square broke more than 0.2 points that the white-box attacks had not.

  Args:
    before: robust accuracy in [0, 1] before Square.
    after: with it.
  """
  if before - after <= SQUARE_GAIN:
    return []
  return [
    f"Square took the robust accuracy from {before:.2%} to {after:.2%} after the "
    "gradient-based attacks: the gradients are probably masked."
  ]


def _are_probabilities(outputs: np.ndarray) -> bool:
  within = outputs.min() >= 0 and outputs.max() <= 1
  return bool(within and np.allclose(outputs.sum(axis=-1), 1, atol=SAME))
