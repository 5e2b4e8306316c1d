"""What attacks maximise: one value an example, from logits.

An objective is a function (logits, aim) -> losses[b]; `pgd` and `apgd` take one in
place of a name. Labels and targets are class numbers; larger is more adversarial.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxvision.errors import UserError
from jaxvision.losses.adversarial import logits_kl
from jaxvision.losses.classification import cross_entropy
from jaxvision.typing import Array, Float, Int, PyTree

TINY = 1e-12  # the reference's, beside DLR's denominators
TARGETS = 9  # of AutoAttack's targeted attacks


class Aim(NamedTuple):
  """What an objective compares logits with.

  Attributes:
    label: [b] of the clean images.
    target: [b] the class to reach, for targeted objectives.
    clean: [b, k] logits of the clean images, for "trades"; what an objective of your
      own compares with may be any arrays.
  """

  label: Array
  target: Array | None = None
  clean: PyTree = None


Objective = Callable[[Any, Aim], Array]


def margin(logits: Float[Array, "b k"], y: Int[Array, " b"]) -> Float[Array, " b"]:
  """Returns the label's logit minus the largest other one: not above 0 is broken."""
  is_label = jax.nn.one_hot(y, logits.shape[-1], dtype=bool)
  others = jnp.where(is_label, -jnp.inf, logits)
  return _at(logits, y) - jnp.max(others, axis=-1)


def ce(logits: Float[Array, "b k"], aim: Aim) -> Float[Array, " b"]:
  """Cross-entropy of the label, in nats."""
  return cross_entropy(logits, aim.label)


def cw(
  logits: Float[Array, "b k"], aim: Aim, *, confidence: float = 50.0
) -> Float[Array, " b"]:
  """Carlini and Wagner (2017), as CausalAdv's code: -max(margin + confidence, 0).

  The gradient ends where the label lies `confidence` below another class.
  """
  return -jnp.maximum(margin(logits, aim.label) + confidence, 0.0)


def dlr(logits: Float[Array, "b k"], aim: Aim) -> Float[Array, " b"]:
  """Difference of logits ratio: -margin / (z_(1) - z_(3)).

  Croce and Hein (2020), "Reliable evaluation of adversarial robustness", equation 6. It
  does not change as logits are shifted or scaled. Near z_(1) = z_(3) it is huge, and
  so are its rounding errors: attack correctly classified examples only.

  Raises:
    UserError: fewer than 3 classes.
  """
  _require_classes(logits, 3, "DLR")
  top, _ = jax.lax.top_k(logits, 3)
  return -margin(logits, aim.label) / (top[:, 0] - top[:, 2] + TINY)


def dlr_targeted(logits: Float[Array, "b k"], aim: Aim) -> Float[Array, " b"]:
  """Targeted DLR: -(z_label - z_target) / (z_(1) - (z_(3) + z_(4)) / 2).

  Croce and Hein (2020), equation 7.

  Raises:
    UserError: fewer than 4 classes, or no target.
  """
  _require_classes(logits, 4, "the targeted DLR")
  top, _ = jax.lax.top_k(logits, 4)
  scale = top[:, 0] - (top[:, 2] + top[:, 3]) / 2 + TINY
  return towards_target(logits, aim) / scale


def towards_target(logits: Float[Array, "b k"], aim: Aim) -> Float[Array, " b"]:
  """Returns z_target - z_label: above 0 the target wins over the label."""
  if aim.target is None:
    raise UserError("this loss is targeted: give the attack target=..., one a row.")
  return _at(logits, aim.target) - _at(logits, aim.label)


def trades(logits: Float[Array, "b k"], aim: Aim) -> Float[Array, " b"]:
  """KL(clean || adversarial) in nats, the inner problem of TRADES.

  Zhang et al. (2019). Its gradient is 0 at the clean images: start beside them
  (`pgd.normal_start`).
  """
  if aim.clean is None:
    raise UserError('the loss "trades" compares with clean logits: set aim.clean.')
  return logits_kl(aim.clean, logits)


OBJECTIVES: dict[str, Objective] = {"ce": ce, "cw": cw, "dlr": dlr, "trades": trades}


def choose(loss: str | Objective, *, targeted: bool = False) -> Objective:
  """Returns the objective of a name; an objective is returned as it is.

  Args:
    loss: "ce", "cw", "dlr", "trades" or an objective.
    targeted: takes "ce" and "dlr" to the targeted DLR, the only targeted loss of
      Croce and Hein (2020).

  Raises:
    UserError: no such name, or one that has no targeted form.
  """
  if callable(loss):
    return loss
  if loss not in OBJECTIVES:
    raise UserError(f"loss is {loss!r}; choose one of {', '.join(OBJECTIVES)}.")
  if not targeted:
    return OBJECTIVES[loss]
  if loss not in ("ce", "dlr"):
    raise UserError(f'loss {loss!r} has no targeted form; with target use "dlr".')
  return dlr_targeted


def target_ranks(classes: int, *, targets: int = TARGETS) -> range:
  """Returns the ranks of the clean logits that targeted attacks aim at: 2, 3, ..."""
  return range(2, min(targets, classes - 1) + 2)


def target_of_rank(logits: Float[Array, "b k"], rank: int) -> Int[Array, " b"]:
  """Returns the class with the `rank`-th largest logit; rank 1 is the prediction."""
  return jax.lax.top_k(logits, rank)[1][:, rank - 1]


def _at(logits: Array, classes: Array) -> Array:
  return jnp.take_along_axis(logits, classes[:, None], axis=-1)[:, 0]


def _require_classes(logits: Array, count: int, what: str) -> None:
  if logits.shape[-1] < count:
    raise UserError(
      f"{what} needs at least {count} classes; the classifier has {logits.shape[-1]}."
    )
