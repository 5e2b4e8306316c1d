"""What all attacks ask of a classifier: its logits, and gradients of a loss.

A classifier is a function `logits_fn(x) -> logits`, of Flax or of plain jax.numpy, that
treats the rows of a batch independently. The programs of the attacks are compiled once
for each function *object*: a new closure compiles anew, and its weights become
constants of the program. Whoever attacks several states of one network hands its
weights over beside it, `logits_fn(variables, x)` with `variables=...`, and compiles
once.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxvision.attacks.objectives import Aim, Objective
from jaxvision.errors import UserError
from jaxvision.typing import Array, Bool, Float, Int, PyTree

LogitsFn = Callable[..., PyTree]
ROUNDING = 1e-5  # by which images may leave [0, 1]


def logits_of(logits_fn: LogitsFn, variables: PyTree, x: Array) -> PyTree:
  """Returns `logits_fn(x)`, or `logits_fn(variables, x)` if there are variables."""
  return logits_fn(x) if variables is None else logits_fn(variables, x)


@functools.partial(jax.jit, static_argnames="logits_fn")
def predict(
  logits_fn: LogitsFn, x: Float[Array, " b *s"], *, variables: PyTree = None
) -> Float[Array, "b k"]:
  """Returns the logits, jitted."""
  return logits_of(logits_fn, variables, x)


def is_right(logits: Float[Array, "b k"], y: Int[Array, " b"]) -> Bool[Array, " b"]:
  """Tells whether the label has the largest logit (the first one of equals)."""
  return jnp.argmax(logits, axis=-1) == y


def gradient(
  logits_fn: LogitsFn,
  objective: Objective,
  variables: PyTree,
  x: Float[Array, " b *s"],
  aim: Aim,
) -> tuple[Float[Array, " b *s"], Float[Array, " b"], PyTree]:
  """Returns the gradient of each example's loss by its input, the losses, the logits.

  One backward pass of the sum does, since the rows are independent.
  """

  def total(x: Array) -> tuple[Array, tuple[Array, PyTree]]:
    logits = logits_of(logits_fn, variables, x)
    losses = objective(logits, aim)
    return jnp.sum(losses), (losses, logits)

  slope, (losses, logits) = jax.grad(total, has_aux=True)(x)
  return slope, losses, logits


def over(values: Array, x: Array) -> Array:
  """Reshapes one value an example, [b], so that it broadcasts over `x`, [b, ...]."""
  return values.reshape(-1, *[1] * (x.ndim - 1))


def project(u: Array, x: Array, eps: ArrayLike) -> Array:
  """Moves `u` into the L-infinity ball around `x`, then into [0, 1]."""
  return jnp.clip(jnp.clip(u, x - eps, x + eps), 0.0, 1.0)


def check_inputs(x: Array, y: Array, eps: ArrayLike) -> None:
  """Refuses what no attack can take; of tracers only shapes and types are seen.

  Raises:
    UserError: images that are not floats in [0, 1], not one label each, a negative eps.
  """
  if jnp.shape(y) != (len(x),) or not jnp.issubdtype(y.dtype, jnp.integer):
    raise UserError(
      f"attacks need one class number an image, integers of shape ({len(x)},); y has "
      f"the shape {jnp.shape(y)} and the type {y.dtype}."
    )
  if not jnp.issubdtype(x.dtype, jnp.floating):
    raise UserError(f"attacks need images in [0, 1]; these are {x.dtype}, not floats.")
  if x.size and not isinstance(x, jax.core.Tracer):
    with jax.ensure_compile_time_eval():  # values may be known inside somebody's jit
      low, high = float(x.min()), float(x.max())
    if not (low >= -ROUNDING and high <= 1 + ROUNDING):  # NaN is outside, too
      raise UserError(
        f"attacks need images in [0, 1]; these are in [{low:.3g}, {high:.3g}]. "
        "Normalise inside the network."
      )
  if not isinstance(eps, jax.core.Tracer) and np.any(np.asarray(eps) < 0):
    raise UserError(f"eps is {eps}; a radius is at least 0.")


def check_steps(name: str, steps: int) -> None:
  """Raises `UserError` unless a number of steps is above 0."""
  if steps < 1:
    raise UserError(f"{name} is {steps}; an attack takes at least one.")
