"""Projected gradient ascent with sign steps in the L-infinity ball.

The loop of `pgd` is Python's, around one compiled step: a convolution's gradient inside
an XLA loop is many times slower on the CPU. Inside somebody's jit it is unrolled, which
is as fast and slow to compile; `ascend` is for there.
"""

import functools

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxvision import interruption
from jaxvision.attacks import classifier, objectives
from jaxvision.attacks.classifier import LogitsFn
from jaxvision.attacks.objectives import Aim, Objective
from jaxvision.errors import UserError
from jaxvision.typing import Array, Float, Int, PRNGKey, PyTree


def pgd(
  key: PRNGKey,
  logits_fn: LogitsFn,
  x: Float[Array, " b *s"],
  y: Int[Array, " b"],
  *,
  eps: ArrayLike,
  step_size: ArrayLike,
  steps: int,
  loss: str | Objective = "ce",
  start: Float[Array, " b *s"] | None = None,
  restarts: int = 1,
  variables: PyTree = None,
) -> Float[Array, " b *s"]:
  """Sign steps up a loss, each projected: Madry et al. (2018), equation 1, section 5.

  Args:
    key: of the starts.
    logits_fn: the classifier, see `attacks.classifier`.
    x: images in [0, 1], channels last.
    y: labels.
    eps: largest change of a value.
    step_size: of one step.
    steps: of one restart.
    loss: "ce", "cw" (confidence 50), "dlr", "trades", or an objective.
    start: where to start, taken as it is; by default `uniform_start`.
    restarts: of whose last points a misclassified one is kept, else the worst one.
    variables: if given, `logits_fn(variables, x)` is called.

  Returns:
    Adversarial images in [0, 1], at most eps away from `x` (with no step, the start).

  Raises:
    UserError: an unknown loss, several restarts from one given start, images or labels
      that cannot be.
  """
  classifier.check_inputs(x, y, eps)
  _check_restarts(restarts, start)
  objective, aim = objectives.choose(loss), Aim(y)
  if objective is objectives.trades:
    aim = Aim(y, clean=classifier.predict(logits_fn, x, variables=variables))
  fields = {"eps": eps, "step_size": step_size, "variables": variables}
  best = None
  for own in jax.random.split(key, restarts):
    u = uniform_start(own, x, eps=eps) if start is None else start
    for _ in range(steps):
      interruption.check()
      u = sign_step(logits_fn, objective, u, x, aim, **fields)
    if best is not None:
      u = _better(logits_fn, objective, best, u, aim, variables=variables)
    best = u
  return best


def ascend(
  logits_fn: LogitsFn,
  objective: Objective,
  x: Float[Array, " b *s"],
  aim: Aim,
  start: Float[Array, " b *s"],
  *,
  eps: ArrayLike,
  step_size: ArrayLike,
  steps: int,
  variables: PyTree = None,
) -> Float[Array, " b *s"]:
  """The same steps in an XLA loop: for compiled training steps and evaluations.

  It compiles one step, however many there are. On the CPU that is fast only for a
  network of `layers.convolution.Conv`, whose gradient does not suffer in loops.

  Args:
    logits_fn: the classifier; it may return anything that the objective understands.
    objective: see `attacks.objectives`.
    x: images in [0, 1], channels last.
    aim: what the objective compares with.
    start: where to start, taken as it is.
    eps: largest change of a value.
    step_size: of one step.
    steps: their number.
    variables: if given, `logits_fn(variables, x)` is called.

  Returns:
    The last point; no gradient flows into it.
  """
  x, variables, aim = jax.lax.stop_gradient((x, variables, aim))
  fields = {"eps": eps, "step_size": step_size, "variables": variables}

  def step(u: Array, _: None) -> tuple[Array, None]:
    return sign_step(logits_fn, objective, u, x, aim, **fields), None

  return jax.lax.scan(step, jax.lax.stop_gradient(start), length=steps)[0]


def _check_restarts(restarts: int, start: Array | None) -> None:
  if restarts < 1 or (restarts > 1 and start is not None):
    raise UserError(
      f"restarts is {restarts}; give at least 1, and 1 with a start of your own."
    )


def uniform_start(
  key: PRNGKey, x: Float[Array, " b *s"], *, eps: ArrayLike
) -> Float[Array, " b *s"]:
  """Returns x + U(-eps, eps), in [0, 1]: the start of Madry et al."""
  noise = jax.random.uniform(key, x.shape, x.dtype, -1.0, 1.0)
  return jnp.clip(x + eps * noise, 0.0, 1.0)


def normal_start(
  key: PRNGKey, x: Float[Array, " b *s"], *, std: float = 0.001
) -> Float[Array, " b *s"]:
  """Returns x + N(0, std²), as the TRADES authors: at first not clipped."""
  return x + std * jax.random.normal(key, x.shape, x.dtype)


@functools.partial(jax.jit, static_argnames=("logits_fn", "objective"))
def sign_step(
  logits_fn: LogitsFn,
  objective: Objective,
  u: Float[Array, " b *s"],
  x: Float[Array, " b *s"],
  aim: Aim,
  *,
  eps: ArrayLike,
  step_size: ArrayLike,
  variables: PyTree = None,
) -> Float[Array, " b *s"]:
  """One projected sign step from `u` around `x`; the gradient stops at its result."""
  slope, _, _ = classifier.gradient(logits_fn, objective, variables, u, aim)
  moved = classifier.project(u + step_size * jnp.sign(slope), x, eps)
  return jax.lax.stop_gradient(moved)


@functools.partial(jax.jit, static_argnames=("logits_fn", "objective"))
def _better(
  logits_fn: LogitsFn,
  objective: Objective,
  old: Array,
  new: Array,
  aim: Aim,
  *,
  variables: PyTree = None,
) -> Array:
  """Of two points an image, the misclassified one, or that of the larger loss."""

  def judge(u: Array) -> tuple[Array, Array]:
    logits = classifier.logits_of(logits_fn, variables, u)
    return ~classifier.is_right(logits, aim.label), objective(logits, aim)

  (was_wrong, old_loss), (is_wrong, new_loss) = judge(old), judge(new)
  larger = (is_wrong == was_wrong) & (new_loss > old_loss)
  return jnp.where(classifier.over((is_wrong & ~was_wrong) | larger, new), new, old)
