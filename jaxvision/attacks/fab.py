"""FAB-T: the fast adaptive boundary attack, towards given classes."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxvision import interruption
from jaxvision.attacks import classifier, objectives
from jaxvision.attacks.box_projection import project_linf_box
from jaxvision.attacks.classifier import LogitsFn, over
from jaxvision.attacks.objectives import TARGETS, Aim
from jaxvision.typing import Array, Bool, Float, Int, PyTree

ALPHA_MAX, OVERSHOOT, BACKWARD = 0.1, 1.05, 0.9  # the reference's alpha_max, eta, beta
LEAST_MOVE = 1e-8


class State(NamedTuple):
  """The iterate, the nearest adversarial point and its distance; a row an image."""

  x: Array
  x_adv: Array
  distance: Array


def fab(
  logits_fn: LogitsFn,
  x: Float[Array, " b *s"],
  y: Int[Array, " b"],
  *,
  eps: ArrayLike,
  steps: int = 100,
  target: Int[Array, " b"] | None = None,
  targets: int = TARGETS,
  variables: PyTree = None,
) -> tuple[Float[Array, " b *s"], Bool[Array, " b"]]:
  """FAB-T in the L-infinity norm from the images themselves, without chance.

  Croce and Hein (2020), "Minimally distorted adversarial examples with a fast adaptive
  boundary attack", algorithm 1, in the targeted form of AutoAttack: it looks for the
  nearest adversarial point, and has succeeded if that lies within eps.

  Args:
    logits_fn: the classifier, see `attacks.classifier`.
    x: images in [0, 1], channels last.
    y: labels.
    eps: radius within which a point counts.
    steps: of each target.
    target: the classes to reach; by default one after another the `targets` classes
      with the largest clean logits after the first.
    targets: number of them, at most the number of classes minus 1.
    variables: if given, `logits_fn(variables, x)` is called.

  Returns:
    The nearest adversarial points within eps, else `x`; and whether none was found.

  Raises:
    UserError: no step, no target, images or labels that cannot be.
  """
  classifier.check_inputs(x, y, eps)
  classifier.check_steps("targets", targets)
  logits = classifier.predict(logits_fn, x, variables=variables)
  right = classifier.is_right(logits, y)
  if target is None:
    ranks = objectives.target_ranks(logits.shape[-1], targets=targets)
    wanted = [objectives.target_of_rank(logits, rank) for rank in ranks]
  else:
    wanted = [target]
  x_adv, distance = x, jnp.full(len(x), jnp.inf, x.dtype)
  for one in wanted:
    found = seek_boundary(logits_fn, x, y, one, steps=steps, variables=variables)
    nearer = found.distance < distance
    x_adv = jnp.where(over(nearer, x), found.x_adv, x_adv)
    distance = jnp.minimum(distance, found.distance)
  broken = right & (distance <= eps)
  return jnp.where(over(broken, x), x_adv, x), right & ~broken


def seek_boundary(
  logits_fn: LogitsFn,
  x: Float[Array, " b *s"],
  y: Int[Array, " b"],
  target: Int[Array, " b"],
  *,
  steps: int,
  variables: PyTree = None,
) -> State:
  """Runs FAB-T towards one class an image; a distance is infinite if none was found."""
  classifier.check_steps("steps", steps)
  state = State(x, x, jnp.full(len(x), jnp.inf, x.dtype))
  for _ in range(steps):
    interruption.check()
    state = iterate(logits_fn, state, x, Aim(y, target), variables=variables)
  return state


@functools.partial(jax.jit, static_argnames="logits_fn")
def iterate(
  logits_fn: LogitsFn, state: State, x: Array, aim: Aim, *, variables: PyTree = None
) -> State:
  """One step onto the linearised boundary, and backwards if it was crossed."""
  slope, difference, _ = classifier.gradient(
    logits_fn, objectives.towards_target, variables, state.x, aim
  )
  moved = _towards_boundary(state.x, x, slope, difference)
  logits = classifier.logits_of(logits_fn, variables, moved)
  wrong = ~classifier.is_right(logits, aim.label)
  distance = jnp.max(jnp.abs(moved - x), axis=range(1, x.ndim))
  nearer = wrong & (distance < state.distance)
  return State(
    x=jnp.where(over(wrong, x), x + BACKWARD * (moved - x), moved),
    x_adv=jnp.where(over(nearer, x), moved, state.x_adv),
    distance=jnp.where(nearer, distance, state.distance),
  )


def _towards_boundary(u: Array, x: Array, slope: Array, difference: Array) -> Array:
  """Mixes the projections of the iterate and of the clean image, both overshot.

  The boundary is where the target's logit equals the label's, linearised at `u`.
  """
  rows = lambda a: a.reshape(len(a), -1)
  w = rows(slope)
  offset = jnp.sum(w * rows(u), axis=1) - difference
  move = project_linf_box(rows(u), w, offset)
  clean_move = project_linf_box(rows(x), w, offset)
  size, clean_size = (
    jnp.maximum(jnp.max(jnp.abs(m), axis=1), LEAST_MOVE) for m in (move, clean_move)
  )
  mix = over(jnp.minimum(size / (size + clean_size), ALPHA_MAX), x)
  ahead = u + OVERSHOOT * move.reshape(x.shape)
  clean_ahead = x + OVERSHOOT * clean_move.reshape(x.shape)
  return jnp.clip(ahead * (1 - mix) + clean_ahead * mix, 0.0, 1.0)
