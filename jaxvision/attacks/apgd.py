"""Auto-PGD: projected gradient ascent with momentum that halves its own steps."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxvision import interruption
from jaxvision.attacks import classifier, objectives
from jaxvision.attacks.classifier import LogitsFn, over, project
from jaxvision.attacks.objectives import Aim, Objective
from jaxvision.typing import Array, Bool, Float, Int, Key, PRNGKey, PyTree

MOMENTUM, RISING = 0.75, 0.75  # the paper's alpha and rho


class Best(NamedTuple):
  """The point of the largest loss so far, with its gradient; a row an image."""

  x: Array
  gradient: Array
  loss: Array


class State(NamedTuple):
  """Where a search is; a row an image.

  Attributes:
    x: the iterate, and `gradient` there, `loss` there.
    previous: the iterate before, for the momentum.
    step: size of the next step.
    rises: how often the loss rose in this window.
    best: the point of the largest loss.
    checked: the largest loss at the last checkpoint.
    halved: whether the step was halved there.
    x_adv: the latest misclassified iterate, or the start.
    robust: whether no iterate was misclassified.
  """

  x: Array
  previous: Array
  gradient: Array
  loss: Array
  step: Array
  rises: Array
  best: Best
  checked: Array
  halved: Array
  x_adv: Array
  robust: Array


def apgd(
  key: PRNGKey,
  logits_fn: LogitsFn,
  x: Float[Array, " b *s"],
  y: Int[Array, " b"],
  *,
  eps: ArrayLike,
  steps: int = 100,
  loss: str | Objective = "ce",
  target: Int[Array, " b"] | None = None,
  start: Float[Array, " b *s"] | None = None,
  variables: PyTree = None,
) -> tuple[Float[Array, " b *s"], Bool[Array, " b"]]:
  """APGD in the L-infinity ball, one start.

  Croce and Hein (2020), "Reliable evaluation of adversarial robustness", algorithm 1.

  Args:
    key: of the random start.
    logits_fn: the classifier, see `attacks.classifier`.
    x: images in [0, 1], channels last.
    y: labels.
    eps: largest change of a value.
    steps: number of steps; the windows between checkpoints grow with it.
    loss: "ce" (APGD-CE), "dlr" (APGD-DLR), "cw" or an objective.
    target: if given, the loss is the targeted DLR of APGD-T towards these classes.
    start: where to start, clipped to [0, 1]; by default `random_start`.
    variables: if given, `logits_fn(variables, x)` is called.

  Returns:
    Images in the ball and in [0, 1]: the latest misclassified iterate or, of a robust
    one, the start; and whether the image was right at all iterates. What is wrong
    without an attack is returned as it is, not robust.

  Raises:
    UserError: no step, an unknown loss, too few classes for it, images or labels that
      cannot be.
  """
  classifier.check_inputs(x, y, eps)
  if start is None:
    start = random_start(jax.random.split(key, len(x)), x, eps=eps)
  objective = objectives.choose(loss, targeted=target is not None)
  logits = classifier.predict(logits_fn, x, variables=variables)
  found = ascend(
    logits_fn, objective, x, Aim(y, target, logits), start, eps=eps, steps=steps,
    variables=variables,
  )  # fmt: skip
  right = classifier.is_right(logits, y)
  return jnp.where(over(right, x), found.x_adv, x), found.robust & right


def random_start(
  keys: Key[Array, " b"], x: Float[Array, " b *s"], *, eps: ArrayLike
) -> Float[Array, " b *s"]:
  """Returns a point on each ball's surface: noise scaled to the largest norm, clipped.

  Each image has its own key, so that its start does not depend on its batch.
  """
  draw = lambda key: jax.random.uniform(key, x.shape[1:], x.dtype, -1.0, 1.0)
  noise = jax.vmap(draw)(keys)
  largest = jnp.max(jnp.abs(noise), axis=range(1, x.ndim), keepdims=True)
  return jnp.clip(x + eps * noise / largest, 0.0, 1.0)


def ascend(
  logits_fn: LogitsFn,
  objective: Objective,
  x: Float[Array, " b *s"],
  aim: Aim,
  start: Float[Array, " b *s"],
  *,
  eps: ArrayLike,
  steps: int,
  variables: PyTree = None,
) -> State:
  """Runs APGD from a start and returns all of its last state."""
  classifier.check_steps("steps", steps)
  state = begin(logits_fn, objective, aim, start, eps, variables=variables)
  for i, window in enumerate(windows(steps)):
    interruption.check()
    momentum = np.float32(MOMENTUM if i else 1.0)
    state = iterate(
      logits_fn, objective, state, x, aim, eps, momentum, window, variables=variables
    )
  return state


def windows(steps: int) -> Int[np.ndarray, " {steps}"]:
  """Length of the window that each iteration ends, or 0.

  The first is 22 % of the steps long, each further one by 3 % of them shorter, at least
  6 %: of 100 steps, 22, 41, 57, 70, 80, 87, 93 and 99 end one.
  """
  length, shrink, least = (max(int(part * steps), 1) for part in (0.22, 0.03, 0.06))
  table, end = np.zeros(steps, np.int32), -1
  while (end := end + length) < steps:
    table[end] = length
    length = max(length - shrink, least)
  return table


@functools.partial(jax.jit, static_argnames=("logits_fn", "objective"))
def begin(
  logits_fn: LogitsFn,
  objective: Objective,
  aim: Aim,
  start: Array,
  eps: ArrayLike,
  *,
  variables: PyTree = None,
) -> State:
  """Returns the state at the start."""
  x = jnp.clip(start, 0.0, 1.0)
  slope, loss, logits = classifier.gradient(logits_fn, objective, variables, x, aim)
  return State(
    x=x,
    previous=x,
    gradient=slope,
    loss=jnp.zeros_like(loss),  # the reference's first window compares with 0
    step=jnp.full_like(loss, 2 * eps),
    rises=jnp.zeros(len(x), jnp.int32),
    best=Best(x, slope, loss),
    checked=loss,
    halved=jnp.ones(len(x), bool),
    x_adv=x,
    robust=classifier.is_right(logits, aim.label),
  )


@functools.partial(jax.jit, static_argnames=("logits_fn", "objective"))
def iterate(
  logits_fn: LogitsFn,
  objective: Objective,
  state: State,
  x: Array,
  aim: Aim,
  eps: ArrayLike,
  momentum: ArrayLike,
  window: ArrayLike,
  *,
  variables: PyTree = None,
) -> State:
  """One step, and a checkpoint if it ends a window (`window` above 0)."""
  uphill = project(state.x + over(state.step, x) * jnp.sign(state.gradient), x, eps)
  pull, drift = uphill - state.x, state.x - state.previous
  moved = project(state.x + momentum * pull + (1 - momentum) * drift, x, eps)
  found = classifier.gradient(logits_fn, objective, variables, moved, aim)
  return _check(_record(state, moved, *found, aim.label), window)


def _record(
  state: State, x: Array, slope: Array, loss: Array, logits: Array, y: Array
) -> State:
  """Takes a new iterate into the state."""
  right = classifier.is_right(logits, y)
  return state._replace(
    x=x,
    previous=state.x,
    gradient=slope,
    loss=loss,
    rises=state.rises + (loss > state.loss),
    best=_where(loss > state.best.loss, Best(x, slope, loss), state.best),
    x_adv=jnp.where(over(right, x), state.x_adv, x),
    robust=state.robust & right,
  )


def _check(state: State, window: ArrayLike) -> State:
  """At a window's end, halves the step where the loss rose too rarely or not at all.

  Such an image goes on from its best point; `previous` stays, as in the reference.
  """
  ends = window > 0
  rarely = state.rises <= RISING * window
  stuck = ~state.halved & (state.checked >= state.best.loss)
  halve = ends & (rarely | stuck)
  back = Best(state.x, state.gradient, state.loss)
  back = _where(halve, state.best, back)
  return state._replace(
    x=back.x,
    gradient=back.gradient,
    step=jnp.where(halve, state.step / 2, state.step),
    rises=jnp.where(ends, 0, state.rises),
    checked=jnp.where(ends, state.best.loss, state.checked),
    halved=jnp.where(ends, halve, state.halved),
  )


def _where(condition: Array, new: Best, old: Best) -> Best:
  return jax.tree.map(lambda a, b: jnp.where(over(condition, a), a, b), new, old)
