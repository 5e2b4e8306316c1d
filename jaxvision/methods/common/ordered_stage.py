"""The stage of methods whose step is several ordered updates; see `ordered`."""

from collections.abc import Callable, Mapping, Sequence

import jax
from ml_collections import ConfigDict

from jaxvision.methods.common import initial, ordered
from jaxvision.methods.common.ordered import Logs, Optimizers, Update
from jaxvision.methods.common.streams import Streams
from jaxvision.methods.common.supervised import Evaluate, Model
from jaxvision.train import state
from jaxvision.train.stage import Stage, State
from jaxvision.typing import Array, PRNGKey, PyTree

Draw = Callable[[PRNGKey, int], PyTree]
Random = Callable[[PRNGKey, PyTree, PyTree], PyTree]  # key, frozen, batch -> variables


def make(
  config: ConfigDict,
  streams: Streams,
  model: Model,
  updates: Sequence[Update],
  optimizers: Optimizers,
  *,
  name: str,
  steps: int,
  draw: Draw,
  inputs: Callable[[PyTree], Array],
  start: initial.Start,
  evaluate: Evaluate,
  monitor: str,
) -> Stage:
  """Makes the stage.

  Args:
    config: `optimizer.accumulate` and `ema` are read.
    streams: data sets that every step sees a batch of.
    model: whose parameters are trained.
    updates: of a step, in their order.
    optimizers: by the names that the updates use.
    name: of the stage.
    steps: of the stage.
    draw: (key, size of the batch) -> random numbers that the updates share.
    inputs: batch -> what the model is initialised with.
    start: where the stage starts.
    evaluate: as of a `Stage`.
    monitor: as of a `Stage`.
  """

  def random(key: PRNGKey, frozen: PyTree, batch: PyTree) -> PyTree:
    return model.init(key, inputs(streams.rows(frozen, batch))[:1])

  return Stage(
    name=name,
    steps=steps,
    spec=streams.spec,
    batches=lambda seed: streams.batches(seed, steps),
    frozen=_frozen_fn(streams, start, random),
    init=_init_fn(config, updates, optimizers, random),
    step=_step_fn(config, streams, updates, optimizers, draw),
    evaluate=evaluate,
    monitor=monitor,
  )


def _frozen_fn(
  streams: Streams, start: initial.Start, random: Random
) -> Callable[[Mapping[str, State]], PyTree]:
  """Returns states of earlier stages -> resident data, and where the stage starts."""

  def frozen(inherited: Mapping[str, State]) -> PyTree:
    read = streams.frozen()
    like = lambda: jax.eval_shape(random, jax.random.key(0), read, streams.spec)
    begun = start(inherited, like)
    return {**read, "start": begun} if begun else read

  return frozen


def _init_fn(
  config: ConfigDict,
  updates: Sequence[Update],
  optimizers: Optimizers,
  random: Random,
) -> Callable[[PRNGKey, PyTree, PyTree], State]:
  """Returns (key, frozen, batch) -> the first state."""

  def init(key: PRNGKey, frozen: PyTree, batch: PyTree) -> State:
    begun = frozen.get("start", {})
    variables = initial.merge(random(key, frozen, batch), begun)
    made = ordered.create(variables, updates, optimizers)
    return state.with_ema(made) if config.ema.decay else made

  return init


def _step_fn(
  config: ConfigDict,
  streams: Streams,
  updates: Sequence[Update],
  optimizers: Optimizers,
  draw: Draw,
) -> Callable[..., tuple[State, Logs]]:
  """Returns (state, frozen, batch, key) -> the state after all updates, and logs."""
  decay, accumulate = config.ema.decay, config.optimizer.accumulate

  def step(now: State, frozen: PyTree, batch: PyTree, key: PRNGKey):
    chosen = streams.rows(frozen, batch)
    drawn = draw(key, streams.size)
    now, logs = ordered.run(now, updates, optimizers, chosen, drawn)
    return state.advance(now, decay=decay, every=accumulate), logs

  return step
