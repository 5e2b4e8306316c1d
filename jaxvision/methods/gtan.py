"""GTAN (Long, Yao, Qiu, Tian, Luo, Mei; CVPR 2019): temporal action localisation.

Every cell of a pyramid over time predicts the width of a Gaussian; the Gaussian's width
is the cell's anchor, and the features it pools are what the cell classifies, places and
rates. Here are the stage, the detections and their measures; the network is
`models.gtan`, the losses are `losses.detection`.
"""

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from jaxvision.data import temporal
from jaxvision.data.temporal import TemporalDataset, TemporalExamples
from jaxvision.losses.detection import gtan_loss
from jaxvision.methods.common import (
  batching,
  detection,
  detection_files,
  detection_inputs,
  detection_predictions,
  supervised,
)
from jaxvision.ops.detections import DetectionOutputs
from jaxvision.train import state
from jaxvision.train.stage import Method, Stage
from jaxvision.typing import Array, PyTree


def load(config: ConfigDict, *, abstract: bool = False) -> TemporalDataset:
  """Reads the data that `config.data` names, or only their shapes."""
  read = temporal.abstract_temporal if abstract else temporal.load_temporal
  return read(config.data)


def expected_files(config: ConfigDict) -> tuple[str, ...]:
  """Says which files are expected where."""
  return temporal.expected_files(config.data)


def build(config: ConfigDict, data: TemporalDataset) -> Method:
  """Makes the method: one stage, and detections for everything else."""
  model = supervised.build_model(config, len(data.classes))
  detect = detection.detector(model, config.suppression)
  predict = detection.predictor(model, config.suppression)
  evaluate = detection.evaluator(config, data, detect)
  train = data.splits["train"]
  inputs = jax.ShapeDtypeStruct((1, *train.shape), jnp.float32)
  return Method(
    stages=(train_stage(config, data, model, evaluate),),
    predict=predict,
    variables=state.variables,
    inputs=inputs,
    read=detection_inputs.reader(train, config.data),
    write=lambda read, outputs, folder: detection_predictions.write(
      config, data, outputs, folder
    ),
    figures=lambda now, folder: detection_files.draw(
      data, predict, state.variables(now), folder
    ),
    inserted=supervised.where_inserted(model, inputs),
  )


def train_stage(
  config: ConfigDict,
  data: TemporalDataset,
  model: supervised.Model,
  evaluate: supervised.Evaluate,
) -> Stage:
  """The stage that trains classification, localisation and overlap together."""
  train, size = data.splits["train"], config.batch_size
  resident = train.nbytes <= config.data.resident_bytes
  spec = detection.loss_spec(config)

  def loss(outputs: DetectionOutputs, batch: PyTree) -> tuple[Array, dict[str, Array]]:
    targets = (batch[name] for name in ("segments", "label", "valid"))
    value, logs = gtan_loss(outputs, *targets, spec=spec)
    return value.mean(), {k: v.mean() for k, v in logs.items()}

  return supervised.train_stage(
    config,
    train,
    model,
    steps=config.steps,
    spec=_batch_spec(train, size, resident),
    resident=(lambda: batching.resident_arrays(train)) if resident else None,
    inputs=lambda batch, key: batch["features"],
    loss=loss,
    evaluate=evaluate,
    monitor="map/avg",
  )


def _batch_spec(train: TemporalExamples, size: int, resident: bool) -> PyTree:
  rows = jax.ShapeDtypeStruct((size,), jnp.int32)
  return rows if resident else batching.specs(train, size)
