"""The attack that a config names, as a function on a batch."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from ml_collections import ConfigDict

from jaxvision.attacks import apgd, auto_attack, fab, fgsm, pgd, square
from jaxvision.attacks.classifier import LogitsFn, is_right, predict
from jaxvision.attacks.square import QUERIES
from jaxvision.errors import UserError
from jaxvision.typing import Array, PRNGKey, PyTree

# Fields of `config.attack`; 0 stands for the attack's own number.
DEFAULTS = {
  "name": "",  # fgsm, pgd, apgd, fab, square, autoattack; "" is no attack
  "eps": 8 / 255,  # largest change of a value in [0, 1]
  "loss": "ce",  # pgd: ce, cw, dlr, trades; apgd: ce, dlr, cw
  "steps": 0,  # pgd 20; apgd, fab 100
  "step_size": 0.0,  # pgd: eps / 10
  "restarts": 1,  # pgd
  "queries": 0,  # square 5000
}
PGD_STEPS, STEPS = 20, 100
Report = Callable[[str], None]
Counts = dict[str, int]  # {stage: images that are still right after it}


class NamedAttack(NamedTuple):
  """An attack and what its results are called.

  Attributes:
    label: as "pgd20". It tells what deviates from the attack's own numbers.
    run: (key, logits_fn, variables, x, y, report) -> counts, the last of the label.
  """

  label: str
  run: Callable[[PRNGKey, LogitsFn, PyTree, Array, Array, Report], Counts]


def choose(fields: ConfigDict) -> NamedAttack:
  """Returns the attack of `config.attack`.

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


def _pgd(fields: ConfigDict) -> NamedAttack:
  steps = fields["steps"] or PGD_STEPS
  label = f"pgd{steps}" + ("" if fields["loss"] == "ce" else f"-{fields['loss']}")
  if fields["restarts"] != 1:
    label += f"x{fields['restarts']}"

  def attack(key, logits_fn, x, y, variables):
    return pgd(
      key, logits_fn, x, y, eps=fields["eps"], steps=steps, loss=fields["loss"],
      step_size=fields["step_size"] or fields["eps"] / 10,
      restarts=fields["restarts"], variables=variables,
    )  # fmt: skip

  return NamedAttack(label, _single(label, attack))


def _apgd(fields: ConfigDict) -> NamedAttack:
  steps = fields["steps"] or STEPS
  label = _numbered(f"apgd-{fields['loss']}", steps, STEPS)

  def attack(key, logits_fn, x, y, variables):
    return apgd(
      key, logits_fn, x, y, eps=fields["eps"], steps=steps, loss=fields["loss"],
      variables=variables,
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
    _, _, shares = auto_attack(
      key, logits_fn, x, y, eps=fields["eps"], variables=variables,
      batch_size=len(x), report=report,
    )  # fmt: skip
    return {stage: round(share * len(x)) for stage, share in shares.items()}

  return NamedAttack("autoattack", run)


_ATTACKS = {
  "fgsm": _fgsm,
  "pgd": _pgd,
  "apgd": _apgd,
  "fab": _fab,
  "square": _square,
  "autoattack": _auto_attack,
}


def _single(label: str, attack: Callable[..., Array]) -> Callable[..., Counts]:
  """Counts who is right before an attack, and both before and after it."""

  def run(key, logits_fn, variables, x, y, report):
    rightness = lambda u: np.asarray(
      is_right(predict(logits_fn, u, variables=variables), y)
    )
    clean = rightness(x)
    robust = clean & rightness(attack(key, logits_fn, x, y, variables))
    report(f"{label}: {robust.sum()} of {len(x)} robust")
    return {"clean": int(clean.sum()), label: int(robust.sum())}

  return run


def _numbered(name: str, number: int, usual: int) -> str:
  return name if number == usual else f"{name}{number}"
