"""Quantization Networks (Yang, Shen, Xing, Tian, Li, Deng, Huang, Hua; CVPR 2019).

A staircase is a sum of steps; training replaces them by sigmoids whose temperature
rises from epoch to epoch, so that quantization is differentiable and at last exact. The
functions are `ops.quantization`, their places `config.quantize`; here are the phases: a
network in floating point, its weights, its activations behind fixed weights, both.
"""

import re
from typing import NamedTuple

from ml_collections import ConfigDict

from jaxvision.data.examples import ImageDataset
from jaxvision.errors import UserError
from jaxvision.methods.common import (
  classification,
  classifier,
  image_data,
  quantization_history,
  quantization_metrics,
  quantized,
  supervised,
)
from jaxvision.methods.common.initial import from_stage
from jaxvision.methods.common.quantized import Uses
from jaxvision.train import state
from jaxvision.train.stage import Method, Stage

load = image_data.load
expected_files = image_data.expected_files


class Phase(NamedTuple):
  """A stage of the method.

  Attributes:
    name: of the stage, and of its fields in `config.phases`.
    uses: when quantizers are soft.
    frozen: whether the weights that are quantized stay as they are.
  """

  name: str
  uses: Uses = Uses()
  frozen: bool = False


FLOAT, WEIGHTS, JOINT = Phase("float"), Phase("weights"), Phase("joint")
ACTIVATIONS = Phase("activations", Uses(weights="never"), frozen=True)
STATISTICS = Phase("statistics", Uses("never", "never"), frozen=True)


def build(config: ConfigDict, data: ImageDataset) -> Method:
  """Makes the method: one stage a phase, each starting where the last one ended."""
  stages: list[Stage] = []
  for phase in phases(config):
    before = stages[-1].name if stages else ""
    stages.append(_stage(phase_config(config, phase.name), data, phase, before))
  model = supervised.build_model(config, len(data.classes))
  order = [stage.name for stage in stages]
  return Method(
    stages=tuple(stages),
    predict=classification.predict_fn(config, model),
    variables=state.variables,
    inputs=image_data.inputs(data),
    read=image_data.reader(data),
    write=image_data.writer(data),
    figures=lambda now, folder: quantization_history.draw(
      model, now, folder, order=order
    ),
    inserted=supervised.where_inserted(model, classifier.network_input(config, data)),
  )


def phases(config: ConfigDict) -> tuple[Phase, ...]:
  """Which phases there are: as many as what is quantized needs.

  Raises:
    UserError: there is none.
  """
  weights, activations = config.quantize.weights, config.quantize.activations
  wanted = {
    FLOAT: config.pretrain,
    WEIGHTS: weights,
    ACTIVATIONS: activations,
    JOINT: weights and activations,
    STATISTICS: (weights or activations) and config.phases.statistics.epochs,
  }
  found = tuple(phase for phase, is_wanted in wanted.items() if is_wanted)
  if not found:
    raise UserError(
      "config.pretrain is False and config.quantize has neither weights nor "
      "activations, so there is nothing to train; set one of them."
    )
  return found


def phase_config(config: ConfigDict, name: str) -> ConfigDict:
  """Puts the fields `config.phases.<name>` where a stage looks for them."""
  own = ConfigDict(config.to_dict())
  fields = config.phases[name]
  own.epochs = fields.epochs
  for key in ("learning_rate", "weight_decay", "clip_norm"):
    own.optimizer[key] = fields[key]
  own.optimizer.schedule.boundaries = fields.boundaries
  if name == FLOAT.name:
    own.quantize.weights = own.quantize.activations = ()
  if name == JOINT.name and not config.restart:
    own.quantize.start = config.phases.weights.epochs
  if name == STATISTICS.name and not config.quantize.constant:
    own.quantize.constant = True
    own.quantize.rate = config.quantize.rate * _annealed_epochs(config)
  return own


def _annealed_epochs(config: ConfigDict) -> float:
  """Epochs over which the temperature has risen in the end."""
  each = config.phases
  if not (config.quantize.weights and config.quantize.activations):
    last = each.weights if config.quantize.weights else each.activations
    return last.epochs
  return each.joint.epochs + (0.0 if config.restart else each.weights.epochs)


def _stage(config: ConfigDict, data: ImageDataset, phase: Phase, before: str) -> Stage:
  """The stage of a phase that follows another, or none ("")."""
  model = supervised.build_model(config, len(data.classes))
  parameters = quantized.parameters(model, classifier.network_input(config, data))
  _set_groups(config, parameters, phase)
  stage = classification.train_stage(
    config,
    data,
    quantized.use(model, phase.uses),
    quantization_metrics.evaluator(config, data, model, phase.uses),
    name=phase.name,
    start=from_stage(before) if before else None,
  )
  return quantization_history.remember(stage, model, before)


def _set_groups(
  config: ConfigDict, parameters: quantized.Parameters, phase: Phase
) -> None:
  """Gives quantizers optimizer groups, and freezes what the phase does not train.

  The groups have no weight decay, as in the authors' code; a weight that is frozen must
  not decay either.
  """
  rules, fields = [], config.optimizer
  for kind in ("weights", "activations"):
    if paths := getattr(parameters, kind):
      rate = fields.learning_rate * config.rates[kind]
      own = {"learning_rate": rate, "weight_decay": 0.0}
      rules.append((_any_of(paths), own))
  fields.groups = (*fields.groups, *rules)
  frozen = [*parameters.quantized, *parameters.weights] if phase.frozen else []
  if phase is STATISTICS:
    fields.freeze = (".*",)
  elif frozen:
    fields.freeze = (*fields.freeze, _any_of(frozen))


def _any_of(paths: tuple[str, ...] | list[str]) -> str:
  return "|".join(map(re.escape, paths))
