"""Classifiers of images: their training stage, predictions and metrics."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from jaxvision.data.examples import ImageDataset
from jaxvision.losses.classification import cross_entropy
from jaxvision.methods.common import batching, image_data, supervised, views
from jaxvision.methods.common.supervised import Evaluate, Model
from jaxvision.metrics.classification import in_top_k
from jaxvision.train import evaluation, state
from jaxvision.train.stage import Metrics, Stage, State
from jaxvision.typing import Array, Float, PyTree


def train_stage(
  config: ConfigDict, data: ImageDataset, model: Model, evaluate: Evaluate
) -> Stage:
  """A stage that trains a classifier with cross-entropy.

  Args:
    config: `batch_size`, `epochs`, `optimizer`, `ema` and `data` are read.
    data: with a split "train".
    model: takes float images to logits.
    evaluate: as of a `Stage`; see `evaluator`.
  """
  train, size = data.splits["train"], config.batch_size
  epoch_steps = batching.steps_per_epoch(train, size)
  resident = image_data.is_resident(train, config)
  train_view = views.make_views(config).train
  return supervised.train_stage(
    config,
    train,
    model,
    steps=max(1, round(config.epochs * epoch_steps)),
    spec=image_data.batch_spec(train, size, resident=resident),
    resident=(lambda: image_data.resident(train)) if resident else None,
    inputs=lambda batch, key: train_view(key, batch["image"]),
    loss=_loss,
    evaluate=evaluate,
    monitor="accuracy",
  )


def _loss(logits: Array, batch: PyTree) -> tuple[Array, dict[str, Array]]:
  """Mean cross-entropy, and accuracy."""
  hits = in_top_k(logits, batch["label"])
  return cross_entropy(logits, batch["label"]).mean(), {"accuracy": hits.mean()}


def predict_fn(
  config: ConfigDict, model: Model
) -> Callable[[PyTree, PyTree], dict[str, Array]]:
  """Returns (variables, images) -> {"logits", "probabilities"}, pure."""
  plain, logits_of = views.make_views(config).plain, logits_fn(model)

  def predict(variables: PyTree, image: Array) -> dict[str, Array]:
    logits = logits_of(variables, plain(image))
    return {"logits": logits, "probabilities": jax.nn.softmax(logits)}

  return predict


def logits_fn(model: Model) -> Callable[[PyTree, Array], Float[Array, "b k"]]:
  """Returns (variables, what the network takes) -> logits without training's noise.

  Layers that sample at inference (DropConnect's Gaussian form) get a fixed key.
  """

  def logits(variables: PyTree, x: Array) -> Float[Array, "b k"]:
    rngs = {"dropout": jax.random.key(0)}
    return model.apply(variables, x, train=False, rngs=rngs).astype(jnp.float32)

  return logits


def evaluator(
  config: ConfigDict,
  data: ImageDataset,
  log_probabilities: Callable[[PyTree, Array], Float[Array, "b k"]],
) -> Evaluate:
  """Returns a stage's `evaluate`: accuracy, error, loss, and top-5 of many classes.

  On a test split they come once more for each of `config.data.distort.test`, as
  "rotated/accuracy".

  Args:
    config: `eval.batch_size` and `data.distort` are read.
    data: its splits are evaluated.
    log_probabilities: (variables, what the network takes) -> log probabilities; logits
      do too.
  """
  top5 = len(data.classes) > 10
  statistics = {
    split: {n: _statistic(view, log_probabilities, top5) for n, view in named.items()}
    for split, named in views.make_views(config).evaluate.items()
  }

  def evaluate(now: State, frozen: PyTree, split: str) -> Metrics:
    del frozen
    metrics = {}
    for name, statistic in statistics.get(split, statistics["test"]).items():
      batches = image_data.split_batches(config, data, split)
      found = evaluation.sum_over(statistic, state.variables(now), batches)
      if split != "val":  # what papers report; while choosing, accuracy says the same
        found["error"] = 1.0 - found["accuracy"]
      prefix = f"{name}/" if name else ""
      metrics |= {f"{prefix}{key}": value for key, value in found.items()}
    return metrics

  return evaluate


def _statistic(
  view: views.RowView, log_probabilities: Callable[..., Array], top5: bool
) -> Callable[[PyTree, PyTree], evaluation.Sums]:
  """A jitted statistic of batches as one view shows them."""

  @jax.jit
  def statistic(variables: PyTree, batch: PyTree) -> evaluation.Sums:
    scores = log_probabilities(variables, view(batch["index"], batch["image"]))
    label, mask = batch["label"], batch["mask"]
    values = {
      "accuracy": in_top_k(scores, label),
      "loss": cross_entropy(scores, label),
    }
    if top5:
      values["accuracy_top5"] = in_top_k(scores, label, k=5)
    return {k: (jnp.sum(v * mask), jnp.sum(mask)) for k, v in values.items()}

  return statistic
