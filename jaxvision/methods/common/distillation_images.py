"""Distillation of image classifiers: their batches, losses and teachers."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from jaxvision.data.examples import AbstractExamples, Examples, ImageDataset
from jaxvision.errors import UserError
from jaxvision.interop import weights
from jaxvision.layers import insertion
from jaxvision.losses.classification import cross_entropy
from jaxvision.losses.distillation import reconstruction
from jaxvision.methods.common import (
  batching,
  classification,
  classifier,
  image_data,
  initial,
  quantized,
  supervised,
  views,
)
from jaxvision.methods.common.distillation_stages import See, Source
from jaxvision.methods.common.supervised import Evaluate, Model
from jaxvision.metrics.classification import in_top_k
from jaxvision.models.coders import AutoEncoder
from jaxvision.train import evaluation, state
from jaxvision.train.stage import Metrics, Stage, State
from jaxvision.typing import Array, PRNGKey, PyTree

TEACHER = "teacher"  # the stage, and the split that it trains on


def load(config: ConfigDict, *, abstract: bool = False) -> ImageDataset:
  """Reads the images, with one more split: what the teacher trains on.

  Both are drawn by `config.data.seed`, so the smaller one is part of the larger one.
  """
  data = image_data.load(config, abstract=abstract)
  theirs = teacher_config(config)
  other = data
  if theirs.data.limit != config.data.limit:
    other = image_data.load(theirs, abstract=abstract)
  return data._replace(splits={**data.splits, TEACHER: other.splits["train"]})


def teacher_config(config: ConfigDict) -> ConfigDict:
  """The config as if the teacher were the network to be trained.

  What is inserted, quantized or read from a file is the student's alone.
  """
  theirs, own = ConfigDict(config.to_dict()), config.teacher
  theirs.model, theirs.optimizer, theirs.epochs = own.model, own.optimizer, own.epochs
  theirs.data.limit, theirs.insert, theirs.ema.decay = own.limit, (), 0.0
  theirs.quantize.weights, theirs.quantize.activations = (), ()
  theirs.init_from = ""
  return theirs


def training_view(config: ConfigDict) -> Callable[[PyTree, PRNGKey], Array]:
  """Returns (batch, key) -> what a network takes."""
  view = views.make_views(config).train
  return lambda batch, key: view(key, batch["image"])


def source(config: ConfigDict, train: Examples, *, epochs: float) -> Source:
  """Batches of a stage that trains on `train`."""
  size = config.batch_size
  resident = image_data.is_resident(train, config)
  return Source(
    train,
    spec=image_data.batch_spec(train, size, resident=resident),
    resident=(lambda: image_data.resident(train)) if resident else None,
    inputs=training_view(config),
    steps=max(1, round(epochs * batching.steps_per_epoch(train, size))),
  )


def loss(logits: Array, batch: PyTree) -> tuple[Array, dict[str, Array]]:
  """Mean cross-entropy, and accuracy."""
  hits = in_top_k(logits, batch["label"])
  return cross_entropy(logits, batch["label"]).mean(), {"accuracy": hits.mean()}


def teacher_stage(config: ConfigDict, data: ImageDataset, model: Model) -> Stage:
  """The stage "teacher": cross-entropy alone."""
  theirs, train = teacher_config(config), data.splits[TEACHER]
  batches = source(theirs, train, epochs=theirs.epochs)
  return supervised.train_stage(
    theirs,
    train,
    model,
    steps=batches.steps,
    spec=batches.spec,
    resident=batches.resident,
    inputs=batches.inputs,
    loss=loss,
    evaluate=classification.evaluator(config, data, classification.logits_fn(model)),
    monitor="accuracy",
  )._replace(name=TEACHER)


def teacher_variables(
  config: ConfigDict, data: ImageDataset, model: Model
) -> Callable[[Mapping[str, State]], PyTree]:
  """Returns {earlier stage: state} -> the teacher's variables.

  They come from the stage "teacher", or from the file `config.teacher.init_from`, which
  a plan does not read.
  """
  path = config.teacher.init_from
  if not path:
    return lambda inherited: state.variables(inherited[TEACHER])
  spec = _variables_spec(config, data, model)
  if isinstance(data.splits["train"], AbstractExamples):
    return lambda inherited: spec
  return lambda inherited: weights.load_variables(path, model, spec)


def student_start(
  config: ConfigDict, data: ImageDataset, model: Model
) -> Callable[[Mapping[str, State]], dict[str, PyTree]]:
  """Returns {earlier stage: state} -> {"start": variables of `config.init_from`}."""
  plain = quantized.plain(model)
  read = initial.from_file(config, plain, quantized.MODULES)

  def start(inherited: Mapping[str, State]) -> dict[str, PyTree]:
    found = read(inherited, lambda: _variables_spec(config, data, model))
    return {"start": found} if found else {}

  return start


def _variables_spec(config: ConfigDict, data: ImageDataset, model: Model) -> PyTree:
  x = classifier.network_input(config, data)
  return jax.eval_shape(lambda x: model.init(jax.random.key(0), x), x)


def teacher_shapes(
  config: ConfigDict, data: ImageDataset, model: Model
) -> list[tuple[int, ...]]:
  """Shapes of the teacher's features at its taps, with a batch axis of 1.

  Raises:
    UserError: a tap that is no place of the teacher.
  """
  taps = config.distill.teacher_taps or config.distill.taps
  places = insertion.places(model.model, classifier.network_input(config, data))
  for tap in taps:
    if tap not in places:
      raise UserError(
        f"config.distill: {tap!r} is no place of the teacher; its places are "
        f"{', '.join(places)}."
      )
  return [places[tap] for tap in taps]


def coder_evaluator(
  config: ConfigDict, data: ImageDataset, coder: AutoEncoder, see: See
) -> Evaluate:
  """Returns the auto-encoder's `evaluate`: its mean absolute error, and relative."""
  plain = views.make_views(config).plain

  @jax.jit
  def statistic(variables: PyTree, batch: PyTree) -> evaluation.Sums:
    own, teacher = variables
    (feature,) = see({TEACHER: teacher}, plain(batch["image"])).features
    _, output = coder.apply(own, feature, False)
    mask = batch["mask"]
    values = {
      "loss": reconstruction(output, feature),
      "size": reconstruction(jnp.zeros_like(feature), feature),
    }
    return {k: ((v * mask).sum(), mask.sum()) for k, v in values.items()}

  def evaluate(now: State, frozen: PyTree, split: str) -> Metrics:
    variables = state.variables(now), frozen[TEACHER]
    batches = batching.split_batches(config, data, split)
    found = evaluation.sum_over(statistic, variables, batches)
    if not found:
      return {}
    size = found.pop("size")
    return {**found, "relative": found["loss"] / max(size, 1e-12)}

  return evaluate
