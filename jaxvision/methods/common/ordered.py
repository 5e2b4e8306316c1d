"""Ordered updates: a training step of several optimizer steps.

For adversarial and alternating training. Every update has a loss, a subset of the
parameters and an optimizer state; an update sees what those before it changed.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import optax

from jaxvision.train import state
from jaxvision.train.stage import State
from jaxvision.typing import Array, PyTree

MAIN, ADVERSARIAL = "main", "adversarial"  # optimizers
Logs = dict[str, Array]
Loss = Callable[[PyTree, PyTree, PyTree], tuple[Array, Logs]]  # params, batch, drawn
Optimizers = Mapping[str, optax.GradientTransformation]


class Update(NamedTuple):
  """One optimizer step of a training step.

  Attributes:
    number: of the update in the step, a digit and perhaps more; updates of one number
      take their gradients at the same parameters and are then applied together.
    name: of its loss.
    subset: parameters that it changes, by the top of their tree.
    loss: (parameters, batch, what was drawn) -> (scalar, logs).
    optimizer: "main" or "adversarial".
  """

  number: str
  name: str
  subset: tuple[str, ...]
  loss: Loss
  optimizer: str = MAIN

  @property
  def slot(self) -> str:
    """Where the state keeps its optimizer's; a repeated update shares it."""
    return f"opt_{self.number[0]}_{self.name}"


def fuse(updates: Sequence[Update]) -> list[Update]:
  """Turns ordered updates into two at the same parameters, one an optimizer.

  All losses are added up; each sees the parameters out of its subset as constants, so
  that the sum has the gradients of its parts. XLA then computes what they have in
  common once. Not the authors' dynamics: an update no longer sees those before it, and
  Adam's moments are those of the sums. Repeated updates count once.
  """
  parts = list({update.slot: update for update in updates}.values())
  return [
    _sum([u for u in parts if u.optimizer == name], name)
    for name in dict.fromkeys(u.optimizer for u in parts)
  ]


def _sum(parts: Sequence[Update], name: str) -> Update:
  subset = tuple(dict.fromkeys(key for update in parts for key in update.subset))

  def loss(params: PyTree, batch: PyTree, drawn: PyTree) -> tuple[Array, Logs]:
    total, logs = 0.0, {}
    for update in parts:
      fixed = jax.lax.stop_gradient(params)
      seen = {**fixed, **{key: params[key] for key in update.subset}}
      value, more = update.loss(seen, batch, drawn)
      total, logs = total + value, {**logs, _log_name(update): value, **more}
    return total, logs

  return Update("0", name, subset, loss, name)


def create(
  variables: PyTree,
  updates: Sequence[Update],
  optimizers: Optimizers,
) -> State:
  """Makes the state, with the optimizer state of every update."""
  made: State = {}
  for update in updates:
    own = {"subset": update.subset, "slot": update.slot}
    made |= state.create(variables, optimizers[update.optimizer], **own)
  return made


def run(
  now: State,
  updates: Sequence[Update],
  optimizers: Optimizers,
  batch: PyTree,
  drawn: PyTree,
) -> tuple[State, Logs]:
  """Takes all updates in their order.

  Returns:
    The state, and as logs every loss by number and name, and "loss", the sum of those
    of the main optimizer; of repeated updates the last.
  """
  logs, losses, number, at = {}, {}, "", now["params"]
  for update in updates:
    if update.number != number:
      number, at = update.number, now["params"]

    def loss_fn(params: PyTree, update: Update = update):
      loss, more = update.loss(params, batch, drawn)
      return loss, ({}, more)

    optimizer = optimizers[update.optimizer]
    now, found = state.update(
      now, loss_fn, optimizer, subset=update.subset, slot=update.slot, at=at
    )
    losses[update.slot] = (update.optimizer, found.pop("loss"))
    logs |= {_log_name(update): losses[update.slot][1], **found}
  del logs["grad_norm"]  # of the last update only
  total = sum(loss for optimizer, loss in losses.values() if optimizer == MAIN)
  return now, {**logs, "loss": total}


def _log_name(update: Update) -> str:
  return f"{update.number[0]}_{update.name}"
