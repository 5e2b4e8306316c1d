"""The training state, a plain dict, and the two functions that change it."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxvision.train.stage import State
from jaxvision.typing import Array, Float, Int, PyTree


def create(
  variables: PyTree,
  optimizer: optax.GradientTransformation,
  *,
  subset: Sequence[str] | None = None,
  slot: str = "opt",
) -> State:
  """Makes a state of Linen variables: collections, optimizer state, step 0.

  Args:
    variables: {"params": ..., other collections}.
    optimizer: its state is kept under `slot`.
    subset: top-level names of `params` that the optimizer owns; None is all.
    slot: name of the optimizer's state; methods with several optimizers add theirs.
  """
  params = _own(variables["params"], subset)
  return {**variables, slot: optimizer.init(params), "step": jnp.int32(0)}


def update(
  state: State,
  loss_fn: Callable[[PyTree], tuple[Array, tuple[dict, dict]]],
  optimizer: optax.GradientTransformation,
  *,
  subset: Sequence[str] | None = None,
  slot: str = "opt",
  at: PyTree | None = None,
) -> tuple[State, dict[str, Any]]:
  """Takes one optimizer step on the named subtrees of the parameters.

  Args:
    state: as `create` makes it.
    loss_fn: params -> (scalar loss, (changed collections, logs)). It sees all
      parameters; only those of the subset are differentiated.
    optimizer: the one that made `state[slot]`.
    subset: as in `create`.
    slot: as in `create`.
    at: parameters that the gradient is taken at; None is the state's own. Several
      updates of one step that shall not see each other's effect share theirs.

  Returns:
    The state with parameters, collections and optimizer state replaced, and the logs
    with "loss" and "grad_norm" added. The step is not counted: see `advance`.
  """
  own = _own(state["params"], subset)
  at = state["params"] if at is None else at

  def loss_of_own(own: PyTree) -> tuple[Array, tuple[dict, dict]]:
    return loss_fn({**at, **own})

  grad = jax.value_and_grad(loss_of_own, has_aux=True)
  (loss, (changed, logs)), grads = grad(_own(at, subset))
  updates, slot_state = optimizer.update(grads, state[slot], own)
  params = {**state["params"], **optax.apply_updates(own, updates)}
  logs = {"loss": loss, "grad_norm": optax.tree.norm(grads), **logs}
  return {**state, **changed, "params": params, slot: slot_state}, logs


def _own(params: PyTree, subset: Sequence[str] | None) -> PyTree:
  return params if subset is None else {name: params[name] for name in subset}


def advance(state: State, *, decay: float = 0.0, every: int = 1) -> State:
  """Ends a step: counts it and moves the running averages, if there are any.

  Args:
    state: as `update` leaves it; with averages if `with_ema` added them.
    decay: EMA decay per optimizer step, in [0, 1).
    every: micro-batches per optimizer step; the average moves once in `every` steps.
  """
  step = state["step"] + 1
  if "ema" in state:
    rate = ema_rate(step // every, decay=decay)
    rate = jnp.where(step % every == 0, rate, 0.0)
    new = {name: state[name] for name in state["ema"]}
    state = {**state, "ema": optax.incremental_update(new, state["ema"], rate)}
  return {**state, "step": step}


def ema_rate(updates: Int[Array, ""], *, decay: float) -> Float[Array, ""]:
  """Weight of the new value: 1 - min(decay, (1 + n) / (10 + n)) after n updates.

  The warm-up keeps the random initial parameters from dominating early averages.
  """
  n = updates.astype(jnp.float32)
  return 1.0 - jnp.minimum(decay, (1.0 + n) / (10.0 + n))


def with_ema(state: State) -> State:
  """Adds averages of the parameters and of the batch statistics to a fresh state."""
  averaged = [name for name in ("params", "batch_stats") if name in state]
  return {**state, "ema": jax.tree.map(jnp.copy, {n: state[n] for n in averaged})}


def variables(state: State, *, average: bool = True) -> PyTree:
  """Returns what `model.apply` takes: the averages if there are any and `average`."""
  names = ("params", "batch_stats", "schedule")
  raw = {name: state[name] for name in names if name in state}
  return {**raw, **state.get("ema", {})} if average else raw
