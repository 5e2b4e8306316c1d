"""What methods with one network and one loss share: the network and its stage."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import optax
from ml_collections import ConfigDict

from jaxvision import models
from jaxvision.data.batches import Rows
from jaxvision.errors import UserError
from jaxvision.layers import insertion, transforms
from jaxvision.methods.common import batching, initial, quantized
from jaxvision.methods.common.initial import Start
from jaxvision.train import optimizers, state
from jaxvision.train.stage import Metrics, Stage, State
from jaxvision.typing import Array, PRNGKey, PyTree

VIEW = 1  # folded into a step's key for what the batch looks like
Model = insertion.Inserted
Evaluate = Callable[[State, PyTree, str], Metrics]
Loss = Callable[[PyTree, PyTree], tuple[Array, dict[str, Array]]]


def build_model(
  config: ConfigDict,
  classes: int,
  inserted: Sequence[Mapping[str, Any]] = (),
  **fields: Any,
) -> Model:
  """Builds `config.model` with transforms inserted, quantized as the config says.

  Args:
    config: `model`, `dtype`, `insert` and `quantize` are read.
    classes: of the data.
    inserted: entries of the method's own, before those of `config.insert`.
    **fields: of the network that follow from data or method, too.
  """
  own = {"classes": classes, "dtype": config.dtype, **fields}
  # Quantizers last: what the next layer takes is quantized in training, too.
  entries = [*inserted, *config.insert, *quantized.insertions(config)]
  network = models.build({**config.model.to_dict(), **own})
  rules = transforms.make_rules(entries)
  return insertion.Inserted(quantized.network(config, network), rules)


def where_inserted(model: Model, inputs: PyTree) -> tuple[str, ...]:
  """Lines for `plan`: which transform sits behind which places, what is quantized.

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
  lines = [f"{name} at {', '.join(paths)}" for name, paths in found.items()]
  return (*lines, *quantized.where(model, inputs))


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
  name: str = "train",
  start: Start | None = None,
) -> Stage:
  """A stage of one network, one loss and one optimizer.

  Args:
    config: `batch_size`, `optimizer`, `ema`, `quantize` and `init_from` are read.
    train: the training examples.
    model: from `build_model`.
    steps: of the stage.
    spec: of a batch: row numbers of resident data, or examples.
    resident: makes the data that stay on the devices; None if batches stream.
    inputs: (batch, key) -> what the network takes in training.
    loss: (outputs, batch) -> (scalar loss, logs).
    evaluate: as of a `Stage`.
    monitor: as of a `Stage`.
    name: of the stage.
    start: where it starts; None is `config.init_from`.
  """
  size = config.batch_size
  epoch = batching.steps_per_epoch(train, size)
  optimizer = optimizers.build(config.optimizer, steps=steps, steps_per_epoch=epoch)

  def step(now: State, frozen: PyTree, batch: PyTree, key: PRNGKey):
    chosen = batching.rows(frozen, batch)
    now = quantized.anneal(config, now, epoch)
    x = inputs(chosen, jax.random.fold_in(key, VIEW))
    loss_fn = _loss_fn(model, now, x, lambda y: loss(y, chosen), key)
    now, logs = state.update(now, loss_fn, optimizer)
    now = quantized.settle(model, now)
    accumulate = config.optimizer.accumulate
    return state.advance(now, decay=config.ema.decay, every=accumulate), logs

  random, init = _init_fns(config, model, optimizer, inputs)
  return Stage(
    name=name,
    steps=steps,
    spec=spec,
    batches=lambda seed: batching.training(
      train, size, seed=seed, steps=steps, resident=resident is not None
    ),
    frozen=_frozen_fn(
      resident,
      start or initial.from_file(config, quantized.plain(model), quantized.MODULES),
      lambda data: jax.eval_shape(random, jax.random.key(0), data, spec),
    ),
    init=init,
    step=step,
    evaluate=evaluate,
    monitor=monitor,
  )


def _init_fns(
  config: ConfigDict,
  model: Model,
  optimizer: optax.GradientTransformation,
  inputs: Callable[[PyTree, PRNGKey], Array],
) -> tuple[Callable[..., PyTree], Callable[..., State]]:
  """Returns (key, frozen, batch) -> random variables, and -> the first state."""

  def random(key: PRNGKey, frozen: PyTree, batch: PyTree) -> PyTree:
    one = jax.tree.map(lambda x: x[:1], batching.rows(frozen, batch))
    return model.init(key, inputs(one, key))

  def init(key: PRNGKey, frozen: PyTree, batch: PyTree) -> State:
    fresh = random(key, frozen, batch)
    variables = started(config, model, fresh, frozen, batch, inputs, key)
    made = state.create(variables, optimizer)
    return state.with_ema(made) if config.ema.decay else made

  return random, init


def started(
  config: ConfigDict,
  model: Model,
  random: PyTree,
  frozen: PyTree,
  batch: PyTree,
  inputs: Callable[[PyTree, PRNGKey], Array],
  key: PRNGKey,
) -> PyTree:
  """The variables that training begins with: those of "start", quantizers fitted.

  Args:
    config: `quantize.examples` is read.
    model: from `build_model`.
    random: its variables as they are without a start.
    frozen: with "start" if there is one, and perhaps resident "data".
    batch: the first one.
    inputs: (batch, key) -> what the network takes in training.
    key: of the choice of examples that activation quantizers are fitted to.
  """
  start = frozen.get("start", {})

  def examples() -> Array:
    rows = initial.sample(frozen, batch, config.quantize.examples, key)
    return inputs(batching.rows(frozen, rows), key)

  return quantized.fit(model, initial.merge(random, start), start, examples, key)


def _frozen_fn(
  resident: Callable[[], PyTree] | None, start: Start, like: Callable[[PyTree], PyTree]
) -> Callable[[Mapping[str, State]], PyTree]:
  """What the stage reads: resident data, and what it starts from if that is given."""

  def frozen(inherited: Mapping[str, State]) -> PyTree:
    data = {"data": resident()} if resident else {}
    begun = start(inherited, lambda: like(data))
    return {**data, "start": begun} if begun else data

  return frozen


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
