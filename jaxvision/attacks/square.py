"""Square: random search by squares, from logits alone."""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxvision import interruption
from jaxvision.attacks import classifier
from jaxvision.attacks.classifier import LogitsFn, over, project
from jaxvision.attacks.objectives import margin
from jaxvision.errors import UserError
from jaxvision.typing import Array, Bool, Float, Int, Key, PRNGKey, PyTree

QUERIES, FIRST_SHARE = 5000, 0.8  # the latter is the paper's p_init
# Queries after which p halves.
HALVED_AFTER = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
A_DISPATCH = 50  # queries at most; forward passes lose nothing inside an XLA loop


class State(NamedTuple):
  """The best point of each image, its margin, and the queries until it was broken."""

  x_adv: Array
  margin: Array
  queries: Array


def square(
  key: PRNGKey,
  logits_fn: LogitsFn,
  x: Float[Array, "b h w c"],
  y: Int[Array, " b"],
  *,
  eps: ArrayLike,
  queries: int = QUERIES,
  variables: PyTree = None,
) -> tuple[Float[Array, "b h w c"], Bool[Array, " b"]]:
  """Square in the L-infinity ball, with the margin as loss.

  Andriushchenko et al. (2020), "Square Attack: a query-efficient black-box adversarial
  attack via random search", algorithms 1 and 2, as AutoAttack runs it: the squares
  shrink at fixed numbers of queries. The reference draws one square for the whole
  batch; here each image has its own, so that its result does not depend on its batch.

  Args:
    key: of all draws.
    logits_fn: the classifier, see `attacks.classifier`; never differentiated.
    x: images in [0, 1].
    y: labels.
    eps: largest change of a value.
    queries: squares tried on each image; a search stops once all are broken.
    variables: if given, `logits_fn(variables, x)` is called.

  Returns:
    Images of the least margin found, in the ball and in [0, 1]; and whether that is
    above 0. What is wrong without an attack is returned as it is, not robust.

  Raises:
    UserError: no query, `x` is not of images, images or labels that cannot be.
  """
  classifier.check_inputs(x, y, eps)
  logits = classifier.predict(logits_fn, x, variables=variables)
  right = classifier.is_right(logits, y)
  keys = jax.random.split(key, len(x))
  found = search_squares(
    keys, logits_fn, x, y, right, eps=eps, queries=queries, variables=variables
  )
  return jnp.where(over(right, x), found.x_adv, x), right & (found.margin > 0)


def search_squares(
  keys: Key[Array, " b"],
  logits_fn: LogitsFn,
  x: Float[Array, "b h w c"],
  y: Int[Array, " b"],
  wanted: Bool[Array, " b"],
  *,
  eps: ArrayLike,
  queries: int,
  variables: PyTree = None,
) -> State:
  """Runs the attack, a key an image, until none that is `wanted` holds."""
  classifier.check_steps("queries", queries)
  if x.ndim != 4:
    raise UserError(f"Square needs images [b, h, w, c]; x has the shape {x.shape}.")
  sides = square_sides(queries, *x.shape[1:3])
  signs = _stripe_signs(keys, x)
  state = begin(logits_fn, x, y, eps, signs, variables=variables)
  size = math.ceil(queries / math.ceil(queries / A_DISPATCH))
  for first in range(0, queries, size):
    interruption.check()
    if not np.any(np.asarray(wanted & (state.margin > 0))):
      break
    chunk = np.zeros(size, np.int32)  # a side of 0 is no query
    chunk[: queries - first] = sides[first : first + size]
    state = _query_all(
      keys, logits_fn, state, x, y, eps, np.int32(first), chunk, variables=variables
    )
  return state


def square_sides(queries: int, h: int, w: int) -> Int[np.ndarray, " {queries}"]:
  """Side of the square at each query; its share of the image starts at 0.8, halves."""
  halvings = np.searchsorted(HALVED_AFTER, np.arange(queries))
  share = FIRST_SHARE / 2.0**halvings
  # The reference multiplies by the number of pixels before the root, and rounds halves
  # to the even number, as numpy does.
  sides = np.round(np.sqrt(share * h * w))
  return np.clip(sides, 1, min(h, w)).astype(np.int32)


def _stripe_signs(keys: Array, x: Array) -> Array:
  """Signs of the start: one for each image, column and channel, [b, 1, w, c]."""
  draw = lambda key: jax.random.rademacher(
    jax.random.fold_in(key, 0), (1, *x.shape[2:]), x.dtype
  )
  return jax.vmap(draw)(keys)


@functools.partial(jax.jit, static_argnames="logits_fn")
def begin(
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  eps: ArrayLike,
  signs: Array,
  *,
  variables: PyTree = None,
) -> State:
  """Returns the state of the start: stripes of +-eps, `signs` [b, 1, w, c]."""
  start = jnp.clip(x + eps * signs, 0.0, 1.0)
  logits = classifier.logits_of(logits_fn, variables, start)
  return State(start, margin(logits, y), jnp.ones(len(x), jnp.int32))


def query(
  logits_fn: LogitsFn,
  state: State,
  x: Array,
  y: Array,
  eps: ArrayLike,
  corner: Array,
  side: ArrayLike,
  signs: Array,
  *,
  variables: PyTree = None,
) -> State:
  """Tries one square on each image that still holds.

  Args:
    logits_fn: the classifier.
    state: best points so far.
    x: clean images.
    y: labels.
    eps: radius.
    corner: top row and left column, [b, 2] or [1, 2] for all alike.
    side: of the squares; with 0 nothing happens.
    signs: [b, c] or [1, c], of the change of 2 eps.
    variables: if given, `logits_fn(variables, x)` is called.
  """
  inside = lambda first, size: (
    (np.arange(size) >= first[:, None]) & (np.arange(size) < first[:, None] + side)
  )
  rows, columns = inside(corner[:, 0], x.shape[1]), inside(corner[:, 1], x.shape[2])
  mask = rows[:, :, None, None] & columns[:, None, :, None]
  change = jnp.where(mask, 2 * eps * signs[:, None, None, :], 0.0)
  new = project(state.x_adv + change, x, eps)
  found = margin(classifier.logits_of(logits_fn, variables, new), y)
  holds = (state.margin > 0) & (side > 0)
  better = holds & ((found < state.margin) | (found <= 0))
  return State(
    x_adv=jnp.where(over(better, x), new, state.x_adv),
    margin=jnp.where(better, found, state.margin),
    queries=state.queries + holds,
  )


@functools.partial(jax.jit, static_argnames="logits_fn")
def _query_all(
  keys: Array,
  logits_fn: LogitsFn,
  state: State,
  x: Array,
  y: Array,
  eps: ArrayLike,
  first: ArrayLike,
  sides: Array,
  *,
  variables: PyTree = None,
) -> State:
  """Queries number `first` and on, one for each of `sides`."""

  def step(state: State, turn: tuple[Array, Array]) -> tuple[State, None]:
    number, side = turn
    draw = lambda key: _draw(jax.random.fold_in(key, number + 1), x.shape[1:], side)
    corner, signs = jax.vmap(draw)(keys)
    signs = signs.astype(x.dtype)
    return query(
      logits_fn, state, x, y, eps, corner, side, signs, variables=variables
    ), None

  return jax.lax.scan(step, state, (first + np.arange(len(sides)), sides))[0]


def _draw(key: PRNGKey, shape: tuple[int, ...], side: Array) -> tuple[Array, Array]:
  """Corner and signs of a square; the last row and column are never drawn, as there."""
  place, sign = jax.random.split(key)
  room = jnp.array(shape[:2]) - side
  corner = jnp.floor(jax.random.uniform(place, (2,)) * room).astype(jnp.int32)
  return corner, jax.random.rademacher(sign, (shape[2],), jnp.float32)
