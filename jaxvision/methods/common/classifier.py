"""A whole method around one image classifier: most layer-level papers need no more."""

from collections.abc import Callable
from pathlib import Path

import jax
from ml_collections import ConfigDict

from jaxvision.data.examples import ImageDataset
from jaxvision.methods.common import classification, image_data, supervised, views
from jaxvision.methods.common.supervised import Evaluate, Model
from jaxvision.train import state
from jaxvision.train.stage import Method, State, no_figures


def build(
  config: ConfigDict,
  data: ImageDataset,
  model: Model,
  *,
  evaluate: Evaluate | None = None,
  figures: Callable[[State, Path], None] = no_figures,
) -> Method:
  """Makes a method of one stage that trains a classifier with cross-entropy.

  Args:
    config: of the experiment, with `config.data` of `config.images`.
    data: the images.
    model: from `supervised.build_model`, with what the method inserts.
    evaluate: as of a `Stage`; None is `classification.evaluator`.
    figures: as of a `Method`.
  """
  if evaluate is None:
    evaluate = classification.evaluator(config, data, classification.logits_fn(model))
  return Method(
    stages=(classification.train_stage(config, data, model, evaluate),),
    predict=classification.predict_fn(config, model),
    variables=state.variables,
    inputs=image_data.inputs(data),
    read=image_data.reader(data),
    write=image_data.writer(data),
    figures=figures,
    inserted=supervised.where_inserted(model, network_input(config, data)),
  )


def network_input(config: ConfigDict, data: ImageDataset) -> jax.ShapeDtypeStruct:
  """The spec of what the network takes of one image, with a batch axis of 1."""
  return views.make_views(config).plain(image_data.inputs(data))
