"""A stage compiled: its init and its step, sharded, donated, watched for NaN."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxvision.errors import UserError
from jaxvision.ops import trees
from jaxvision.train import sharding
from jaxvision.train.stage import Stage, State
from jaxvision.typing import Array, Int, PRNGKey, PyTree

HEALTHY = -1  # in each field of a health array
Health = Int[Array, "3"]  # step, first bad log, first bad leaf of the state


class Program(NamedTuple):
  """A stage's compiled functions; they live across seeds.

  Attributes:
    stage: what was compiled.
    mesh: where it runs.
    per_dispatch: steps in one call of `dispatch`, at most.
    init: (key, frozen, batch) -> state.
    dispatch: (state, frozen, batches, key, count) -> (state, mean logs, health); takes
      `count` <= `per_dispatch` steps over a stack of `per_dispatch` batches. The state
      is donated.
    abstract_state: (frozen, batch) -> `jax.ShapeDtypeStruct`s with shardings.
  """

  stage: Stage
  mesh: Mesh
  per_dispatch: int
  init: Callable[..., State]
  dispatch: Callable[..., tuple[State, dict[str, Array], Health]]
  abstract_state: Callable[[PyTree, PyTree], PyTree]


def compile_stage(
  stage: Stage, mesh: Mesh, *, per_dispatch: int = 1, rules: trees.Rules = ()
) -> Program:
  """Prepares a stage; XLA compiles each function at its first call, once.

  Args:
    stage: of any method.
    mesh: from `sharding.build_mesh`.
    per_dispatch: steps a dispatch. More than one saves the host's share of a small
      step. On the CPU a loop makes XLA's own convolution gradient 15 to 60 times
      slower; `ops.convolution`, which the layers use, does not suffer from that.
    rules: sharding rules by path.
  """
  if per_dispatch < 1:
    raise UserError(f"config.per_dispatch is {per_dispatch}; choose 1 or more.")

  def abstract_state(frozen: PyTree, batch: PyTree) -> PyTree:
    like = jax.eval_shape(stage.init, jax.random.key(0), frozen, batch)
    return jax.tree.map(
      lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s),
      like,
      sharding.of_state(like, mesh, rules),
    )

  def init(key: PRNGKey, frozen: PyTree, batch: PyTree) -> State:
    return _constrained(stage.init(key, frozen, batch), mesh, rules)

  def step(state: State, frozen: PyTree, batch: PyTree, key: PRNGKey):
    key = jax.random.fold_in(key, state["step"])
    before = state["step"]
    state, logs = stage.step(state, frozen, batch, key)
    state = _constrained(state, mesh, rules)
    return state, logs, _health(before, logs, state)

  dispatch = _one(step) if per_dispatch == 1 else _several(step)
  return Program(
    stage,
    mesh,
    per_dispatch,
    jax.jit(init),
    jax.jit(dispatch, donate_argnums=0),
    abstract_state,
  )


def _constrained(state: State, mesh: Mesh, rules: trees.Rules) -> State:
  return jax.lax.with_sharding_constraint(state, sharding.of_state(state, mesh, rules))


def _one(step: Callable) -> Callable:
  def dispatch(state, frozen, batches, key, count):
    del count
    batch = jax.tree.map(lambda x: x[0], batches)
    return step(state, frozen, batch, key)

  return dispatch


def _several(step: Callable) -> Callable:
  """Loops over a traced count, so that one program serves every remainder."""

  def dispatch(state, frozen, batches, key, count):
    def body(i, carry):
      state, sums, health = carry
      batch = jax.tree.map(lambda x: x[i], batches)
      state, logs, now = step(state, frozen, batch, key)
      health = jnp.where(health[0] == HEALTHY, now, health)
      return state, jax.tree.map(jnp.add, sums, logs), health

    first = jax.tree.map(lambda x: x[0], batches)
    _, logs, _ = jax.eval_shape(step, state, frozen, first, key)
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), logs)
    carry = state, zeros, jnp.full(3, HEALTHY, jnp.int32)
    state, sums, health = jax.lax.fori_loop(0, count, body, carry)
    return state, jax.tree.map(lambda x: x / count, sums), health

  return dispatch


def _watched(logs: dict[str, Any], state: State) -> tuple[PyTree, PyTree]:
  """What is watched, in the order of suspicion: the loss, and the parameters, first."""
  rest = {k: v for k, v in logs.items() if k != "loss"}
  others = {k: v for k, v in state.items() if k != "params"}
  first = {k: v for k, v in state.items() if k == "params"}
  return ({"loss": logs["loss"]}, rest), (first, others)


def _health(step: Int[Array, ""], logs: dict[str, Any], state: State) -> Health:
  """Computed inside the step: donation destroys the evidence."""
  log, leaf = map(trees.first_non_finite, _watched(logs, state))
  sick = (log >= 0) | (leaf >= 0)
  return jnp.where(sick, jnp.stack([step, log, leaf]), HEALTHY).astype(jnp.int32)


def diagnosis(
  health: np.ndarray, stage: str, logs: dict[str, Any], state: State
) -> str | None:
  """Puts an unhealthy step into one sentence; None for a healthy one.

  Args:
    health: as `dispatch` returns it.
    stage: its name.
    logs: of this structure, whatever the values.
    state: of this structure, whatever the values.
  """
  step, log, leaf = (int(x) for x in health)
  if step == HEALTHY:
    return None
  names = [
    [path.partition("/")[2] for path in trees.paths(tree)]
    for tree in _watched(logs, state)
  ]
  found = [names[0][log]] if log >= 0 else []
  found += [f"state {names[1][leaf]}"] if leaf >= 0 else []
  return (
    f"non-finite values at step {step} of stage {stage!r}, first in "
    f"{' and in '.join(found)}; lower config.optimizer.learning_rate, set "
    "config.optimizer.clip_norm, or check the data; the last finite checkpoint is kept."
  )


def stack(batches: list[PyTree], size: int) -> PyTree:
  """Stacks batches, repeating the last one up to `size`: shapes stay the same."""
  padded = batches + batches[-1:] * (size - len(batches))
  return jax.tree.map(lambda *x: np.stack(x), *padded)
