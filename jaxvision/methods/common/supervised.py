"""What methods with one network and one loss share: the network and its stage."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
from ml_collections import ConfigDict

from jaxvision import models
from jaxvision.data.batches import Rows
from jaxvision.errors import UserError
from jaxvision.layers import insertion, transforms
from jaxvision.methods.common import batching
from jaxvision.train import optimizers, state
from jaxvision.train.stage import Metrics, Stage, State
from jaxvision.typing import Array, PRNGKey, PyTree

VIEW = 1  # folded into a step's key for what the batch looks like
Model = insertion.Inserted
Evaluate = Callable[[State, PyTree, str], Metrics]
Loss = Callable[[PyTree, PyTree], tuple[Array, dict[str, Array]]]


def build_model(
  config: ConfigDict, classes: int, inserted: Sequence[Mapping[str, Any]] = ()
) -> Model:
  """Builds `config.model` with transforms inserted.

  Args:
    config: `model`, `dtype` and `insert` are read.
    classes: of the data.
    inserted: entries of the method's own, before those of `config.insert`.
  """
  own = {"classes": classes, "dtype": config.dtype}
  rules = transforms.make_rules([*inserted, *config.insert])
  return insertion.Inserted(models.build({**config.model.to_dict(), **own}), rules)


def where_inserted(model: Model, inputs: PyTree) -> tuple[str, ...]:
  """Lines for `plan`: which transform sits behind which places.

  Args:
    model: from `build_model`.
    inputs: `jax.ShapeDtypeStruct`s of what the network takes.

  Raises:
    UserError: a transform that cannot work where it was put.
  """
  try:
    found = insertion.inserted_where(model, inputs, train=True)
  except ValueError as error:
    raise UserError(f"what config.insert or the method inserts: {error}") from error
  return tuple(f"{name} at {', '.join(paths)}" for name, paths in found.items())


def train_stage(
  config: ConfigDict,
  train: Rows,
  model: Model,
  *,
  steps: int,
  spec: PyTree,
  resident: Callable[[], PyTree] | None,
  inputs: Callable[[PyTree, PRNGKey], Array],
  loss: Loss,
  evaluate: Evaluate,
  monitor: str,
) -> Stage:
  """The stage "train" of one network, one loss and one optimizer.

  Args:
    config: `batch_size`, `optimizer` and `ema` are read.
    train: the training examples.
    model: from `build_model`.
    steps: of the stage.
    spec: of a batch: row numbers of resident data, or examples.
    resident: makes the data that stay on the devices; None if batches stream.
    inputs: (batch, key) -> what the network takes in training.
    loss: (outputs, batch) -> (scalar loss, logs).
    evaluate: as of a `Stage`.
    monitor: as of a `Stage`.
  """
  size = config.batch_size
  optimizer = optimizers.build(
    config.optimizer, steps=steps, steps_per_epoch=batching.steps_per_epoch(train, size)
  )

  def init(key: PRNGKey, frozen: PyTree, batch: PyTree) -> State:
    one = jax.tree.map(lambda x: x[:1], batching.rows(frozen, batch))
    fresh = state.create(model.init(key, inputs(one, key)), optimizer)
    return state.with_ema(fresh) if config.ema.decay else fresh

  def step(now: State, frozen: PyTree, batch: PyTree, key: PRNGKey):
    chosen = batching.rows(frozen, batch)
    x = inputs(chosen, jax.random.fold_in(key, VIEW))
    loss_fn = _loss_fn(model, now, x, lambda y: loss(y, chosen), key)
    now, logs = state.update(now, loss_fn, optimizer)
    accumulate = config.optimizer.accumulate
    return state.advance(now, decay=config.ema.decay, every=accumulate), logs

  return Stage(
    name="train",
    steps=steps,
    spec=spec,
    batches=lambda seed: batching.training(
      train, size, seed=seed, steps=steps, resident=resident is not None
    ),
    frozen=lambda inherited: {"data": resident()} if resident else {},
    init=init,
    step=step,
    evaluate=evaluate,
    monitor=monitor,
  )


def _loss_fn(
  model: Model, now: State, x: Array, loss: Callable[[PyTree], Any], key: PRNGKey
) -> Callable[[PyTree], Any]:
  """The loss of a training pass, and the statistics and logs that it changes."""

  def loss_fn(params: PyTree):
    variables = {**state.variables(now, average=False), "params": params}
    outputs, changed = model.apply(
      variables, x, train=True, rngs={"dropout": key}, mutable=["batch_stats"]
    )
    value, logs = loss(outputs)
    return value, (dict(changed), logs)

  return loss_fn
