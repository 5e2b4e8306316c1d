"""Classifiers of images: their training stage, predictions and metrics.

`loss`, `logits_fn`, `statistic` and `measure` are for classifiers of anything.
"""

from collections.abc import Callable
from typing import Any

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
  config: ConfigDict,
  data: ImageDataset,
  model: Model,
  evaluate: Evaluate,
  **stage: Any,
) -> Stage:
  """A stage that trains a classifier with cross-entropy.

  Args:
    config: `batch_size`, `epochs`, `optimizer`, `ema` and `data` are read.
    data: with a split "train".
    model: takes float images to logits.
    evaluate: as of a `Stage`; see `evaluator`.
    **stage: `name` and `start`, as of `supervised.train_stage`.
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
    loss=loss,
    evaluate=evaluate,
    monitor="accuracy",
    **stage,
  )


def loss(logits: Array, batch: PyTree) -> tuple[Array, dict[str, Array]]:
  """Mean cross-entropy of a batch's "label", and accuracy, as of a `train_stage`."""
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
    split: {
      n: statistic(_scores(view, log_probabilities), top5=top5)
      for n, view in named.items()
    }
    for split, named in views.make_views(config).evaluate.items()
  }

  def evaluate(now: State, frozen: PyTree, split: str) -> Metrics:
    del frozen
    metrics = {}
    for name, sums in statistics.get(split, statistics["test"]).items():
      found = measure(config, data, split, sums, state.variables(now))
      prefix = f"{name}/" if name else ""
      metrics |= {f"{prefix}{key}": value for key, value in found.items()}
    return metrics

  return evaluate


def measure(
  config: ConfigDict,
  data: batching.DataSet,
  split: str,
  sums: Callable[[PyTree, PyTree], evaluation.Sums],
  variables: PyTree,
) -> Metrics:
  """Means of a `statistic` over a split; of an empty one there are none.

  Args:
    config: `eval.batch_size` is read.
    data: of any kind.
    split: its name.
    sums: the statistic.
    variables: its first argument.
  """
  batches = batching.split_batches(config, data, split)
  found = evaluation.sum_over(sums, variables, batches)
  if split != "val":  # what papers report; while choosing, accuracy says the same
    found["error"] = 1.0 - found["accuracy"]
  return found


def statistic(
  log_probabilities: Callable[[PyTree, PyTree], Float[Array, "b k"]],
  *,
  top5: bool,
  also: Callable[[Array, Array], dict[str, Array]] = lambda scores, label: {},
) -> Callable[[PyTree, PyTree], evaluation.Sums]:
  """Returns (variables, batch) -> sums and counts of what is right, jitted.

  Args:
    log_probabilities: (variables, batch) -> log probabilities; logits do too.
    top5: whether to count what is among the five most probable.
    also: (log probabilities, labels) -> further values, one an example.
  """

  @jax.jit
  def sums(variables: PyTree, batch: PyTree) -> evaluation.Sums:
    scores = log_probabilities(variables, batch)
    label, mask = batch["label"], batch["mask"]
    values = {
      "accuracy": in_top_k(scores, label),
      "loss": cross_entropy(scores, label),
      **also(scores, label),
    }
    if top5:
      values["accuracy_top5"] = in_top_k(scores, label, k=5)
    return {k: (jnp.sum(v * mask), jnp.sum(mask)) for k, v in values.items()}

  return sums


def _scores(
  view: views.RowView, log_probabilities: Callable[..., Array]
) -> Callable[[PyTree, PyTree], Array]:
  """(variables, batch of images) -> log probabilities as one view shows them."""
  return lambda variables, batch: log_probabilities(
    variables, view(batch["index"], batch["image"])
  )
