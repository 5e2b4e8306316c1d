"""What papers on invariance share: a transform in a classifier, and moved images."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from jaxvision.data.examples import ImageDataset
from jaxvision.layers import insertion
from jaxvision.methods.common import (
  classification,
  classifier,
  image_data,
  retrieval,
  robustness,
  supervised,
  views,
)
from jaxvision.methods.common.supervised import Evaluate, Model
from jaxvision.train import state
from jaxvision.train.stage import Method, Metrics, State
from jaxvision.typing import Array, Float, PyTree

Draw = Callable[[Float[Array, "b h w c"], Path], None]


def build(
  config: ConfigDict,
  data: ImageDataset,
  inserted: Sequence[Mapping[str, Any]],
  draw: Draw,
) -> Method:
  """Makes a method of one transform in a classifier, judged on moved images.

  Args:
    config: with `retrieval` and `robustness`.
    data: the images.
    inserted: the transform as an entry of `config.insert`, or nothing.
    draw: (maps as they enter the transform, folder) -> a figure of what it does.
  """
  model = supervised.build_model(config, len(data.classes), inserted)
  retrieval.check(config, data, model)

  def figures(now: State, folder: Path) -> None:
    robustness.draw(config, data, model, now, folder)
    retrieval.draw(config, data, model, now, folder)
    for entry in inserted:
      draw(maps_before(config, data, model, now, entry["kind"]), folder)

  evaluate = evaluator(config, data, model)
  return classifier.build(config, data, model, evaluate=evaluate, figures=figures)


def expected_files(config: ConfigDict) -> tuple[str, ...]:
  """Says which files are expected where, of the images and of retrieval."""
  return image_data.expected_files(config) + retrieval.expected_files(config)


def evaluator(config: ConfigDict, data: ImageDataset, model: Model) -> Evaluate:
  """Returns a stage's `evaluate`: accuracies and, on a test split, retrieval."""
  accuracy = classification.evaluator(config, data, classification.logits_fn(model))

  def evaluate(now: State, frozen: PyTree, split: str) -> Metrics:
    found = accuracy(now, frozen, split)
    if split != "val":
      found |= retrieval.metrics(config, data, model, now)
    return found

  return evaluate


def maps_before(
  config: ConfigDict,
  data: ImageDataset,
  model: Model,
  now: State,
  name: str,
  *,
  count: int = 1,
) -> Float[Array, "b h w c"]:
  """Feature maps of the first test images where a transform enters them.

  Args:
    config: of the experiment.
    data: with a split "test".
    model: with the transform inserted.
    now: state of the model.
    name: of the transform; of several places the first.
    count: b.
  """
  spec = classifier.network_input(config, data)
  place = insertion.inserted_where(model, spec, train=True)[name][0]
  before = model._replace(rules=tuple(r for r in model.rules if r.name != name))
  test = data.splits["test"]
  image = test[np.arange(min(count, len(test)))]["image"]

  @jax.jit
  def maps(variables: PyTree, image: Array) -> Array:
    x = views.make_views(config).plain(image)
    return insertion.features(before, variables, x, [place])[1][place]

  return maps(state.variables(now), image)
