"""Stages that train an auto-encoder on a frozen teacher, and its student.

For any networks, data and tasks.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from jaxvision.data.batches import Rows
from jaxvision.losses.distillation import reconstruction
from jaxvision.methods.common import batching, quantized
from jaxvision.methods.common.distillation import (
  Criterion,
  Guide,
  added,
  begin,
  forward,
  joined,
  part,
)
from jaxvision.methods.common.supervised import VIEW, Evaluate, Loss, Model, started
from jaxvision.models.coders import AutoEncoder
from jaxvision.train import optimizers, state
from jaxvision.train.stage import Stage, State
from jaxvision.typing import Array, PRNGKey, PyTree

See = Callable[[PyTree, Array], Guide]  # (frozen, x), as `observer` returns it
Frozen = Callable[[Mapping[str, State]], PyTree]


class Source(NamedTuple):
  """Where the batches of a stage come from.

  Attributes:
    train: the training examples.
    spec: of a batch: row numbers of resident data, or examples.
    resident: makes the data that stay on the devices; None if batches stream.
    inputs: (batch, key) -> what the networks take in training.
    steps: of the stage.
  """

  train: Rows
  spec: PyTree
  resident: Callable[[], PyTree] | None
  inputs: Callable[[PyTree, PRNGKey], Array]
  steps: int

  def stage(self, name: str, size: int, *, frozen: Frozen, **functions: Any) -> Stage:
    """A stage on these batches.

    Args:
      name: of the stage.
      size: of a batch.
      frozen: {earlier stage: state} -> what the step reads beside resident data.
      **functions: the other fields of a `Stage`.
    """
    resident = self.resident is not None
    return Stage(
      name=name,
      steps=self.steps,
      spec=self.spec,
      batches=lambda seed: batching.training(
        self.train, size, seed=seed, steps=self.steps, resident=resident
      ),
      frozen=lambda inherited: {
        **({"data": self.resident()} if resident else {}),
        **frozen(inherited),
      },
      **functions,
    )

  def optimizer(self, config: ConfigDict, size: int) -> optax.GradientTransformation:
    """Builds the optimizer of a stage."""
    epoch = batching.steps_per_epoch(self.train, size)
    return optimizers.build(config, steps=self.steps, steps_per_epoch=epoch)


def coder_stage(
  config: ConfigDict,
  coder: AutoEncoder,
  source: Source,
  see: See,
  *,
  size: int,
  frozen: Frozen,
  evaluate: Evaluate,
) -> Stage:
  """The stage "autoencoder": compact knowledge of the frozen teacher's feature.

  Args:
    config: `config.coder`: `optimizer` and `rec_norm` are read.
    coder: trained on the one feature that `see` shows.
    source: of the batches.
    see: (frozen, x) -> `Guide` of raw features.
    size: of a batch.
    frozen: {earlier stage: state} -> with "teacher".
    evaluate: as of a `Stage`; it returns "loss".
  """
  optimizer = source.optimizer(config.optimizer, size)

  def init(key: PRNGKey, frozen: PyTree, batch: PyTree) -> State:
    one = jax.tree.map(lambda x: x[:1], batching.rows(frozen, batch))
    (feature,) = see(frozen, source.inputs(one, key)).features
    return state.create(coder.init(key, feature), optimizer)

  def step(now: State, frozen: PyTree, batch: PyTree, key: PRNGKey):
    x = source.inputs(batching.rows(frozen, batch), jax.random.fold_in(key, VIEW))
    (feature,) = see(frozen, x).features

    def loss_fn(params: PyTree):
      variables = {**state.variables(now, average=False), "params": params}
      (_, output), changed = coder.apply(
        variables, feature, True, mutable=["batch_stats"]
      )
      loss = reconstruction(output, feature, p=config.rec_norm).mean()
      return loss, (dict(changed), {"relative": relative_error(output, feature)})

    now, logs = state.update(now, loss_fn, optimizer)
    return state.advance(now), logs

  fields = {"frozen": frozen, "init": init, "step": step, "evaluate": evaluate}
  return source.stage("autoencoder", size, **fields)


def relative_error(output: Array, feature: Array) -> Array:
  """Mean absolute error by the mean absolute value: 1 is what an output of 0 has."""
  size = reconstruction(jnp.zeros_like(feature), feature).mean()
  return reconstruction(output, feature).mean() / jnp.maximum(size, 1e-12)


def student_stage(
  config: ConfigDict,
  model: Model,
  source: Source,
  criterion: Criterion,
  see: See,
  *,
  loss: Loss,
  strength: optax.Schedule,
  frozen: Frozen,
  evaluate: Evaluate,
  monitor: str,
  name: str = "student",
) -> Stage:
  """The stage that trains a student, and what adapts its features, together.

  Its state has `joined` variables, and in "split" the channels' parts.

  Args:
    config: `batch_size`, `optimizer`, `ema` and `quantize` are read.
    model: the student.
    source: of the batches.
    criterion: what the teacher adds.
    see: (frozen, x) -> `Guide`.
    loss: of the task: (outputs, batch) -> (scalar, logs).
    strength: step -> factor of the criterion's loss.
    frozen: {earlier stage: state} -> with "teacher"; with "start", variables of the
      student to begin with.
    evaluate: as of a `Stage`.
    monitor: as of a `Stage`.
    name: of the stage.
  """
  size, accumulate = config.batch_size, config.optimizer.accumulate
  optimizer = source.optimizer(config.optimizer, size)
  epoch = batching.steps_per_epoch(source.train, size)

  def step(now: State, frozen: PyTree, batch: PyTree, key: PRNGKey):
    chosen = batching.rows(frozen, batch)
    now = quantized.anneal(config, now, epoch)
    x = source.inputs(chosen, jax.random.fold_in(key, VIEW))
    guide = jax.lax.stop_gradient(see(frozen, x)) if _guided(criterion) else None
    task = lambda outputs: loss(outputs, chosen)
    loss_fn = _student_loss(model, now, x, criterion, guide, task, strength, key)
    now, logs = state.update(now, loss_fn, optimizer)
    now = _settled(model, now)
    return state.advance(now, decay=config.ema.decay, every=accumulate), logs

  init = _student_init(config, model, source, criterion, optimizer)
  fields = {"frozen": frozen, "init": init, "step": step, "evaluate": evaluate}
  return source.stage(name, size, monitor=monitor, **fields)


def _student_init(
  config: ConfigDict,
  model: Model,
  source: Source,
  criterion: Criterion,
  optimizer: optax.GradientTransformation,
) -> Callable[[PRNGKey, PyTree, PyTree], State]:
  """Returns the `init` of a student's stage."""

  def init(key: PRNGKey, frozen: PyTree, batch: PyTree) -> State:
    one = jax.tree.map(lambda x: x[:1], batching.rows(frozen, batch))
    fresh = begin(key, model, source.inputs(one, key), criterion)
    split, adapter = fresh.pop("split"), part(fresh, "adapter")
    random = part(fresh, "student")
    student = started(config, model, random, frozen, batch, source.inputs, key)
    variables = joined(student=student, adapter=adapter)
    made = {**state.create(variables, optimizer), "split": split}
    return state.with_ema(made) if config.ema.decay else made

  return init


def _guided(criterion: Criterion) -> bool:
  return criterion.loss is not None or criterion.outputs is not None


def _student_loss(
  model: Model,
  now: State,
  x: Array,
  criterion: Criterion,
  guide: Guide | None,
  task: Callable[[PyTree], tuple[Array, dict[str, Array]]],
  strength: optax.Schedule,
  key: PRNGKey,
) -> Callable[[PyTree], Any]:
  """The loss of a training pass, and the statistics and logs that it changes."""

  def loss_fn(params: PyTree):
    variables = {**state.variables(now, average=False), "params": params}
    outputs, parts, changed = forward(
      model, variables, x, criterion, now["split"], key=key
    )
    own, logs = task(outputs)
    total, more = added(criterion, outputs, parts, guide, strength(now["step"]))
    total = total + criterion.task_weight * own if criterion.task_weight else total
    return total, (changed, {**logs, "task": own, **more})

  return loss_fn


def _settled(model: Model, now: State) -> State:
  """The state with those quantizers of the student moved that no gradient trains."""
  student = quantized.settle(model, part({"params": now["params"]}, "student"))
  return {**now, "params": {**now["params"], "student": student["params"]}}
