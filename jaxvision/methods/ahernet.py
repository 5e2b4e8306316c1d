"""AherNet (Long, Yao, Qiu, Tian, Luo, Mei; ECCV 2020): actions learned from moments.

Source classes have annotated untrimmed videos, target classes only trimmed moments. A
function turns classifiers of clips into classifiers of cells, and generated contexts
turn moments into untrimmed sequences with known ends; discriminators compare their
background with that of real videos. Here are the stages; the network is
`models.ahernet`, the six updates are `common.moment_updates`.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from jaxvision.data import partial
from jaxvision.data.partial_examples import PartialDataset, section_config
from jaxvision.errors import UserError
from jaxvision.methods.common import (
  detection,
  detection_files,
  detection_inputs,
  detection_predictions,
  initial,
  moment_updates,
  ordered,
  ordered_stage,
  supervised,
)
from jaxvision.methods.common.detection import Detect
from jaxvision.methods.common.moment_objective import Objective
from jaxvision.methods.common.ordered import ADVERSARIAL, MAIN, Update
from jaxvision.methods.common.streams import Streams
from jaxvision.ops.detections import CLASS_OF, RATINGS, decode_classified
from jaxvision.train import optimizers, sharding, state
from jaxvision.train.stage import Method, Metrics, Stage, State
from jaxvision.typing import Array, PyTree

DECAY_UNITS = ("iterations", "samples")


def load(config: ConfigDict, *, abstract: bool = False) -> PartialDataset:
  """Reads the data that `config.data` names, or only their shapes."""
  read = partial.abstract_partial if abstract else partial.load_partial
  return read(config.data)


def expected_files(config: ConfigDict) -> tuple[str, ...]:
  """Says which files are expected where."""
  return partial.expected_files(config.data)


def build(config: ConfigDict, data: PartialDataset) -> Method:
  """Makes the method: a localizer of source classes, then the six updates."""
  _check(config, data)
  generated = config.context.kind == "generated"
  model = supervised.build_model(
    config,
    len(data.target.classes),
    source_classes=len(data.source_classes),
    generators=generated,
    discriminators=generated and config.adversarial.weight > 0,
  )
  spec = detection.loss_spec(config)
  objective = Objective(config, model, spec, data.source.shape[0])
  detect = detection.detector(model, config.suppression, _decoder(config))
  inputs = jax.ShapeDtypeStruct((1, *data.source.shape), jnp.float32)
  of_target = _for_target(config)
  return Method(
    stages=_stages(config, data, objective, detect),
    predict=detect,
    variables=state.variables,
    inputs=inputs,
    read=detection_inputs.reader(data.source, of_target.data),
    write=lambda read, outputs, folder: detection_predictions.write(
      of_target, data.target, outputs, folder
    ),
    figures=lambda now, folder: detection_files.draw(
      data.target, detect, state.variables(now), folder
    ),
    inserted=supervised.where_inserted(model, inputs),
  )


def _check(config: ConfigDict, data: PartialDataset) -> None:
  """Refuses what cannot work with several updates, or with these data."""
  if config.quantize.weights or config.quantize.activations:
    raise UserError(
      "config.quantize does not work with ahernet, whose classifiers are parameters "
      "that a network transforms; leave its weights and activations empty."
    )
  if config.optimizer.groups or config.optimizer.freeze:
    raise UserError(
      "config.optimizer.groups and freeze do not work with ahernet, where every update "
      "has parameters of its own; leave them empty."
    )
  if config.decay_unit not in DECAY_UNITS:
    raise UserError(
      f"config.decay_unit is {config.decay_unit!r}; choose {', '.join(DECAY_UNITS)}."
    )
  if config.context.kind == "videos" and "train" not in data.target.splits:
    raise UserError(
      "config.context.kind is videos, but --config.data.target.annotations has no "
      "training videos; choose another kind."
    )


def _for_target(config: ConfigDict) -> ConfigDict:
  """The config for videos like those of the target."""
  own = config.copy_and_resolve_references()
  with own.unlocked():
    own.data = section_config(config.data, "target")
  return own


def _decoder(config: ConfigDict) -> detection.Decode:
  """The way from outputs to segments and scores that `config.suppression` says."""
  own = config.suppression
  for name, known in (("class_of", CLASS_OF), ("rating", RATINGS)):
    if own[name] not in known:
      raise UserError(
        f"config.suppression.{name} is {own[name]!r}; choose {', '.join(known)}."
      )
  return lambda outputs: decode_classified(
    outputs, class_of=own.class_of, rating=own.rating
  )


def _stages(
  config: ConfigDict, data: PartialDataset, objective: Objective, detect: Detect
) -> tuple[Stage, ...]:
  """The warm start, if there is one, and the training."""
  evaluate = _evaluator(config, data, objective, detect)

  def stage(name: str, steps: int, each: dict[str, Any], updates: list[Update], **own):
    streams = _streams(config, each)
    return ordered_stage.make(
      config,
      streams,
      objective.model,
      ordered.fuse(updates) if config.fused else updates,
      _optimizers(config, steps, streams),
      name=name,
      steps=steps,
      draw=objective.draw,
      inputs=lambda batch: batch["source"]["features"],
      evaluate=evaluate,
      **own,
    )

  source = {"foreground": data.foreground, "source": data.source}
  every = {"moments": data.moments, **source}
  if config.context.kind == "videos":
    every["target"] = data.target.splits["train"]
  start = initial.from_file(config, objective.model.model)
  updates = moment_updates.all_updates(objective)
  train = functools.partial(stage, "train", config.steps, every, updates)
  if not config.warm_start:
    return (train(start=start, monitor="map/avg"),)
  warm = stage(
    "localizer",
    config.warm_start,
    source,
    moment_updates.source_updates(objective),
    start=start,
    monitor="ar/100",  # its classifiers of target classes are random
  )
  return warm, train(start=initial.from_stage("localizer"), monitor="map/avg")


def _streams(config: ConfigDict, each: dict[str, Any]) -> Streams:
  size = sum(rows.nbytes for rows in each.values())
  return Streams(each, config.batch_size, size <= config.data.resident_bytes)


def _optimizers(
  config: ConfigDict, steps: int, streams: Streams
) -> dict[str, optax.GradientTransformation]:
  """The main optimizer, and the adversarial one with a constant rate of its own.

  The released code counts samples: it compares the boundaries of the decay with a
  counter that grows by the size of the batch, so the rate falls so much earlier.
  """
  main = ConfigDict(config.optimizer.to_dict())
  if config.decay_unit == "samples":
    bounds = main.schedule.boundaries
    main.schedule.boundaries = tuple(b / config.batch_size for b in bounds)
  rival = ConfigDict(main.to_dict())
  own = config.adversarial
  rival.learning_rate, rival.b1 = own.learning_rate, own.b1
  rival.schedule.update(name="constant", warmup=0.0)
  run = {"steps": steps, "steps_per_epoch": streams.steps_per_epoch}
  return {
    MAIN: optimizers.build(main, **run),
    ADVERSARIAL: optimizers.build(rival, **run),
  }


def _evaluator(
  config: ConfigDict, data: PartialDataset, objective: Objective, detect: Detect
) -> supervised.Evaluate:
  """Detections of target classes; with discriminators, their held-out accuracy."""
  measure = detection.evaluator(config, data.target, detect)

  @jax.jit
  def accuracy(params: PyTree, video: PyTree, moments: PyTree) -> Array:
    key = jax.random.key(0)
    batch = {"source": video, "moments": moments}
    drawn = objective.draw(key, len(moments["label"]))
    fake = objective.synthetic(params, batch, drawn)
    return objective.backgrounds(params, video, fake, key).correct

  def evaluate(now: State, frozen: PyTree, split: str) -> Metrics:
    found = measure(now, frozen, split)
    if "disc" not in now["params"]:
      return found
    count = min(
      config.eval.batch_size, len(data.moments), len(data.target.splits[split])
    )
    rows = np.arange(count)
    mesh = sharding.mesh_of(now)
    seen = (data.target.splits[split][rows], data.moments[rows])
    placed = sharding.place_replicated(seen, mesh)
    params = state.variables(now)["params"]
    return {**found, "discriminator_accuracy": float(accuracy(params, *placed))}

  return evaluate
