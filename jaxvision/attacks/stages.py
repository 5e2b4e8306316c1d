"""The four stages of AutoAttack as attacks on a batch of survivors."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxvision.attacks import classifier, objectives
from jaxvision.attacks.apgd import ascend, random_start
from jaxvision.attacks.classifier import LogitsFn
from jaxvision.attacks.fab import seek_boundary
from jaxvision.attacks.objectives import Aim
from jaxvision.attacks.square import QUERIES, search_squares
from jaxvision.attacks.survivors import Attack
from jaxvision.typing import Array, PyTree

STEPS = 100  # of APGD and of FAB


class Setting(NamedTuple):
  """Who is attacked within which radius."""

  logits_fn: LogitsFn
  variables: PyTree
  classes: int
  eps: ArrayLike

  def logits(self, x: Array) -> Array:
    """Returns the logits, jitted."""
    return classifier.predict(self.logits_fn, x, variables=self.variables)


def _apgd_ce(setting: Setting) -> list[Attack]:
  def attack(keys: Array, x: Array, y: Array) -> tuple[Array, Array]:
    return _ascend(setting, objectives.ce, keys, x, Aim(y))

  return [attack]


def _apgd_t(setting: Setting) -> list[Attack]:
  def towards(rank: int) -> Attack:
    def attack(keys: Array, x: Array, y: Array) -> tuple[Array, Array]:
      aim = Aim(y, objectives.target_of_rank(setting.logits(x), rank))
      return _ascend(setting, objectives.dlr_targeted, keys, x, aim)

    return attack

  return [towards(rank) for rank in objectives.target_ranks(setting.classes)]


def _fab_t(setting: Setting) -> list[Attack]:
  def towards(rank: int) -> Attack:
    def attack(keys: Array, x: Array, y: Array) -> tuple[Array, Array]:
      del keys  # without restarts nothing is drawn
      target = objectives.target_of_rank(setting.logits(x), rank)
      found = seek_boundary(
        setting.logits_fn, x, y, target, steps=STEPS, variables=setting.variables
      )
      return found.x_adv, ~(found.distance <= setting.eps)

    return attack

  return [towards(rank) for rank in objectives.target_ranks(setting.classes)]


def _square(setting: Setting) -> list[Attack]:
  def attack(keys: Array, x: Array, y: Array) -> tuple[Array, Array]:
    found = search_squares(
      keys, setting.logits_fn, x, y, jnp.ones(len(x), bool), eps=setting.eps,
      queries=QUERIES, variables=setting.variables,
    )  # fmt: skip
    return found.x_adv, classifier.is_right(setting.logits(found.x_adv), y)

  return [attack]


# name -> the attacks of a stage: one, or one for each target
STAGES: Mapping[str, Callable[[Setting], list[Attack]]] = {
  "apgd-ce": _apgd_ce,
  "apgd-t": _apgd_t,
  "fab-t": _fab_t,
  "square": _square,
}


def _ascend(
  setting: Setting, objective: objectives.Objective, keys: Array, x: Array, aim: Aim
) -> tuple[Array, Array]:
  start = random_start(keys, x, eps=setting.eps)
  found = ascend(
    setting.logits_fn, objective, x, aim, start, eps=setting.eps, steps=STEPS,
    variables=setting.variables,
  )  # fmt: skip
  return found.x_adv, found.robust
