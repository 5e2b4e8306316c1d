"""The attack that a config names, as a function on a batch."""

import warnings
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from ml_collections import ConfigDict

from jaxvision.attacks import (
  AttackWarning,
  apgd,
  apgd_t,
  auto_attack,
  fab,
  fgsm,
  pgd,
  square,
)
from jaxvision.attacks.classifier import LogitsFn, is_right, predict
from jaxvision.attacks.square import QUERIES
from jaxvision.errors import UserError
from jaxvision.typing import Array, PRNGKey, PyTree

# The fields of `config.attack` (`jaxvision.config.ATTACK`) that make the attack.
FIELDS = ("name", "eps", "loss", "steps", "step_size", "restarts", "queries")
PGD_STEPS, STEPS = 20, 100
LOSSES = ("ce", "cw", "dlr")
Report = Callable[[str], None]
Counts = dict[str, int]  # {stage: images that are still right after it}


class Attacked(NamedTuple):
  """What an attack found on a batch: counts, the last one of its label, and images."""

  counts: Counts
  x_adv: Array


class NamedAttack(NamedTuple):
  """An attack and what its results are called.

  Attributes:
    label: as "pgd20". It tells what deviates from the attack's own numbers.
    run: (key, logits_fn, variables, x, y, report) -> `Attacked`.
  """

  label: str
  run: Callable[[PRNGKey, LogitsFn, PyTree, Array, Array, Report], Attacked]


def names(fields: ConfigDict) -> list[str]:
  """The attacks of `config.attack.name`, separated by commas.

  Raises:
    UserError: no such attack, or a radius that is negative or above 1.
  """
  found = [name.strip() for name in fields["name"].split(",") if name.strip()]
  for name in found:
    choose(ConfigDict({**fields.to_dict(), "name": name}))
  return found


def choose(fields: ConfigDict) -> NamedAttack:
  """Returns the one attack of `config.attack`.

  Raises:
    UserError: no such attack, or a radius that is negative or above 1.
  """
  name, eps = fields["name"], fields["eps"]
  if name not in _ATTACKS:
    raise UserError(
      f"config.attack.name={name!r}; choose one of {', '.join(_ATTACKS)}."
    )
  if not 0 <= eps <= 1:
    raise UserError(f"config.attack.eps={eps}; it counts in images' units of [0, 1].")
  return _ATTACKS[name](fields)


def _fgsm(fields: ConfigDict) -> NamedAttack:
  def attack(key, logits_fn, x, y, variables):
    del key
    return fgsm(logits_fn, x, y, eps=fields["eps"], variables=variables)

  return NamedAttack("fgsm", _single("fgsm", attack))


def _pgd(fields: ConfigDict, *, loss: str = "") -> NamedAttack:
  steps, loss = fields["steps"] or PGD_STEPS, loss or fields["loss"]
  label = f"pgd{steps}" + ("" if loss == "ce" else f"-{loss}")
  if fields["restarts"] != 1:
    label += f"x{fields['restarts']}"

  def attack(key, logits_fn, x, y, variables):
    return pgd(
      key, logits_fn, x, y, eps=fields["eps"], steps=steps, loss=loss,
      step_size=fields["step_size"] or fields["eps"] / 10,
      restarts=fields["restarts"], variables=variables,
    )  # fmt: skip

  return NamedAttack(label, _single(label, attack))


def _apgd(fields: ConfigDict, *, loss: str = "") -> NamedAttack:
  steps, loss = fields["steps"] or STEPS, loss or fields["loss"]
  label = _numbered(f"apgd-{loss}", steps, STEPS)

  def attack(key, logits_fn, x, y, variables):
    return apgd(
      key, logits_fn, x, y, eps=fields["eps"], steps=steps, loss=loss,
      variables=variables,
    )[0]  # fmt: skip

  return NamedAttack(label, _single(label, attack))


def _apgd_t(fields: ConfigDict) -> NamedAttack:
  steps = fields["steps"] or STEPS
  label = _numbered("apgd-t", steps, STEPS)

  def attack(key, logits_fn, x, y, variables):
    return apgd_t(
      key, logits_fn, x, y, eps=fields["eps"], steps=steps, variables=variables
    )[0]  # fmt: skip

  return NamedAttack(label, _single(label, attack))


def _fab(fields: ConfigDict) -> NamedAttack:
  steps = fields["steps"] or STEPS
  label = _numbered("fab-t", steps, STEPS)

  def attack(key, logits_fn, x, y, variables):
    del key
    return fab(
      logits_fn, x, y, eps=fields["eps"], steps=steps, variables=variables
    )[0]  # fmt: skip

  return NamedAttack(label, _single(label, attack))


def _square(fields: ConfigDict) -> NamedAttack:
  queries = fields["queries"] or QUERIES
  label = _numbered("square", queries, QUERIES)

  def attack(key, logits_fn, x, y, variables):
    return square(
      key, logits_fn, x, y, eps=fields["eps"], queries=queries, variables=variables
    )[0]  # fmt: skip

  return NamedAttack(label, _single(label, attack))


def _auto_attack(fields: ConfigDict) -> NamedAttack:
  """AutoAttack takes no numbers: cut, it must not bear its name."""

  def run(key, logits_fn, variables, x, y, report):
    with warnings.catch_warnings():
      # Lines say the same; what Square gains counts over all batches, not over one.
      warnings.simplefilter("ignore", AttackWarning)
      x_adv, _, shares = auto_attack(
        key, logits_fn, x, y, eps=fields["eps"], variables=variables,
        batch_size=len(x), report=report,
      )  # fmt: skip
    counts = {stage: round(share * len(x)) for stage, share in shares.items()}
    return Attacked(counts, x_adv)

  return NamedAttack("autoattack", run)


_ATTACKS = {
  "fgsm": _fgsm,
  "pgd": _pgd,
  "apgd": _apgd,
  "apgd-t": _apgd_t,
  "fab": _fab,
  "square": _square,
  "autoattack": _auto_attack,
  # With a loss of their own, so that one run may take several.
  **{f"pgd-{loss}": partial(_pgd, loss=loss) for loss in LOSSES},
  **{f"apgd-{loss}": partial(_apgd, loss=loss) for loss in LOSSES},
}


def _single(label: str, attack: Callable[..., Array]) -> Callable[..., Attacked]:
  """Counts who is right before an attack, and both before and after it."""

  def run(key, logits_fn, variables, x, y, report):
    rightness = lambda u: np.asarray(
      is_right(predict(logits_fn, u, variables=variables), y)
    )
    clean = rightness(x)
    x_adv = attack(key, logits_fn, x, y, variables)
    robust = clean & rightness(x_adv)
    report(f"{label}: {robust.sum()} of {len(x)} robust")
    return Attacked({"clean": int(clean.sum()), label: int(robust.sum())}, x_adv)

  return run


def _numbered(name: str, number: int, usual: int) -> str:
  return name if number == usual else f"{name}{number}"
