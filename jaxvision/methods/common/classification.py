"""Classifiers of images: a model with insertions, its training stage, its metrics."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from jaxvision import models
from jaxvision.data.examples import ImageDataset
from jaxvision.errors import UserError
from jaxvision.layers import insertion, transforms
from jaxvision.losses.classification import cross_entropy
from jaxvision.methods.common import batching, image_data
from jaxvision.metrics.classification import in_top_k
from jaxvision.train import evaluation, optimizers, state
from jaxvision.train.stage import Batches, Metrics, Stage, State
from jaxvision.typing import Array, Float, PRNGKey, PyTree

Model = insertion.Inserted
Evaluate = Callable[[State, PyTree, str], Metrics]


def build_model(
  config: ConfigDict, data: ImageDataset, inserted: Sequence[Mapping[str, Any]] = ()
) -> Model:
  """Builds `config.model` for the classes of the data, with transforms inserted.

  Args:
    config: `model`, `dtype` and `insert` are read.
    data: its number of classes is the model's.
    inserted: entries of the method's own, before those of `config.insert`.
  """
  own = {"classes": len(data.classes), "dtype": config.dtype}
  rules = transforms.make_rules([*inserted, *config.insert])
  return insertion.Inserted(models.build({**config.model.to_dict(), **own}), rules)


def where_inserted(model: Model, data: ImageDataset) -> tuple[str, ...]:
  """Lines for `plan`: which transform sits behind which places.

  Raises:
    UserError: a transform that cannot work where it was put.
  """
  image = image_data.as_float(image_data.inputs(data))
  try:
    found = insertion.inserted_where(model, image, train=True)
  except ValueError as error:
    raise UserError(f"what config.insert or the method inserts: {error}") from error
  return tuple(f"{name} at {', '.join(paths)}" for name, paths in found.items())


def train_stage(
  config: ConfigDict,
  data: ImageDataset,
  model: Model,
  evaluate: Evaluate,
  *,
  name: str = "train",
) -> Stage:
  """A stage that trains a classifier with cross-entropy.

  Args:
    config: `batch_size`, `epochs`, `optimizer`, `ema` and `data` are read.
    data: with a split "train".
    model: takes float images to logits.
    evaluate: as of a `Stage`; see `evaluator`.
    name: of the stage.
  """
  train, size = data.splits["train"], config.batch_size
  resident = image_data.is_resident(train, config)
  epoch_steps = batching.steps_per_epoch(train, size)
  steps = max(1, round(config.epochs * epoch_steps))
  optimizer = optimizers.build(
    config.optimizer, steps=steps, steps_per_epoch=epoch_steps
  )

  def batches(seed: int) -> Batches:
    return batching.training(train, size, seed=seed, steps=steps, resident=resident)

  def init(key: PRNGKey, frozen: PyTree, batch: PyTree) -> State:
    image = image_data.as_float(batching.rows(frozen, batch)["image"][:1])
    fresh = state.create(model.init(key, image), optimizer)
    return state.with_ema(fresh) if config.ema.decay else fresh

  def step(now: State, frozen: PyTree, batch: PyTree, key: PRNGKey):
    chosen = batching.rows(frozen, batch)
    loss_fn = _loss_fn(model, now, chosen, key)
    now, logs = state.update(now, loss_fn, optimizer)
    accumulate = config.optimizer.accumulate
    return state.advance(now, decay=config.ema.decay, every=accumulate), logs

  return Stage(
    name=name,
    steps=steps,
    spec=image_data.batch_spec(train, size, resident=resident),
    batches=batches,
    frozen=lambda inherited: {"data": image_data.resident(train)} if resident else {},
    init=init,
    step=step,
    evaluate=evaluate,
    monitor="accuracy",
  )


def _loss_fn(model: Model, now: State, chosen: PyTree, key: PRNGKey) -> Callable:
  """Mean cross-entropy of a masked pass, the statistics it changed, and accuracy."""

  def loss_fn(params: PyTree):
    variables = {**state.variables(now, average=False), "params": params}
    logits, changed = model.apply(
      variables,
      image_data.as_float(chosen["image"]),
      train=True,
      rngs={"dropout": key},
      mutable=["batch_stats"],
    )
    hits = in_top_k(logits, chosen["label"])
    logs = {"accuracy": hits.mean()}
    return cross_entropy(logits, chosen["label"]).mean(), (dict(changed), logs)

  return loss_fn


def predict_fn(model: Model) -> Callable[[PyTree, PyTree], dict[str, Array]]:
  """Returns (variables, images) -> {"logits", "probabilities"}, pure.

  Layers that sample at inference (DropConnect's Gaussian form) get a fixed key.
  """

  def predict(variables: PyTree, image: Array) -> dict[str, Array]:
    x, rngs = image_data.as_float(image), {"dropout": jax.random.key(0)}
    logits = model.apply(variables, x, train=False, rngs=rngs).astype(jnp.float32)
    return {"logits": logits, "probabilities": jax.nn.softmax(logits)}

  return predict


def evaluator(
  config: ConfigDict,
  data: ImageDataset,
  log_probabilities: Callable[[PyTree, Array], Float[Array, "b k"]],
) -> Evaluate:
  """Returns a stage's `evaluate`: accuracy, error, loss, and top-5 of many classes.

  Args:
    config: `eval.batch_size` is read.
    data: its splits are evaluated.
    log_probabilities: (variables, images) -> log probabilities; logits do too.
  """

  @jax.jit
  def statistic(variables: PyTree, batch: PyTree) -> evaluation.Sums:
    scores = log_probabilities(variables, batch["image"])
    label, mask = batch["label"], batch["mask"]
    values = {
      "accuracy": in_top_k(scores, label),
      "loss": cross_entropy(scores, label),
    }
    if len(data.classes) > 10:
      values["accuracy_top5"] = in_top_k(scores, label, k=5)
    return {k: (jnp.sum(v * mask), jnp.sum(mask)) for k, v in values.items()}

  def evaluate(now: State, frozen: PyTree, split: str) -> Metrics:
    del frozen
    metrics = evaluation.sum_over(
      statistic, state.variables(now), image_data.split_batches(config, data, split)
    )
    if split != "val":  # what papers report; while choosing, accuracy says the same
      metrics["error"] = 1.0 - metrics["accuracy"]
    return metrics

  return evaluate
