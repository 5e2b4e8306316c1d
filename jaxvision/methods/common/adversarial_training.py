"""Adversarial training of classifiers: what is attacked how, and what is minimised."""

from collections.abc import Callable
from typing import NamedTuple

from ml_collections import ConfigDict

from jaxvision.attacks import objectives
from jaxvision.attacks.objectives import Objective
from jaxvision.attacks.pgd import normal_start, uniform_start
from jaxvision.errors import UserError
from jaxvision.losses import adversarial
from jaxvision.typing import Array, PRNGKey


class Training(NamedTuple):
  """A way of adversarial training.

  Attributes:
    objective: that the inner attack maximises, a function of logits.
    start: (key, x) -> where the attack starts.
    loss: (clean logits, adversarial logits, labels) -> losses[b].
  """

  objective: Objective
  start: Callable[[PRNGKey, Array], Array]
  loss: Callable[[Array, Array, Array], Array]


def build(fields: ConfigDict) -> Training:
  """Reads `config.adversarial`: `kind`, `beta`, `eps`.

  Raises:
    UserError: no such kind.
  """
  beta, eps = fields.beta, fields.eps
  uniform = lambda key, x: uniform_start(key, x, eps=eps)
  kinds = {
    # Madry et al. (2018); beta weighs it against other terms, as CausalAdv-M does.
    "madry": Training(
      objectives.ce, uniform, lambda clean, adv, y: beta * adversarial.madry(adv, y)
    ),
    # Zhang et al. (2019).
    "trades": Training(
      objectives.trades,
      normal_start,
      lambda clean, adv, y: adversarial.trades(clean, adv, y, beta=beta),
    ),
    # Wang et al. (2020).
    "mart": Training(
      objectives.ce,
      normal_start,
      lambda clean, adv, y: adversarial.mart(clean, adv, y, beta=beta),
    ),
  }
  if fields.kind not in kinds:
    raise UserError(
      f"config.adversarial.kind is {fields.kind!r}; choose one of {', '.join(kinds)}."
    )
  return kinds[fields.kind]
