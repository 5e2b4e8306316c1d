"""STIGCN (Huang, Shen, Tian, Li, Huang, Hua; ACM Multimedia 2020): skeleton actions.

Every block of the network splits its input into graph convolutions of several orders
and into convolutions over time of features and of their motion, and sums both paths and
a shortcut. Here are the stage, the predictions and their measures for it and for its
baselines, ST-GCN, 2s-AGCN and CTR-GCN (`config.model.name`); the networks are in
`models`, the streams of bones and motion in `ops.skeletons`.
"""

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jaxvision import interruption
from jaxvision.data import generated_skeletons
from jaxvision.data.skeleton_examples import SkeletonDataset
from jaxvision.methods.common import (
  batching,
  classification,
  skeleton_data,
  skeleton_predictions,
  supervised,
)
from jaxvision.methods.common.skeleton_data import Pipeline
from jaxvision.train import sharding, state
from jaxvision.train.stage import Method, Metrics, Stage, State
from jaxvision.typing import Array, Bool, Float, Int, PyTree

load = skeleton_data.load
expected_files = skeleton_data.expected_files


def build(config: ConfigDict, data: SkeletonDataset) -> Method:
  """Makes the method: one stage, a classifier of clips."""
  model = build_model(config, data)
  pipeline = skeleton_data.pipeline(config, data)
  logits_of = classification.logits_fn(model)
  predict = skeleton_predictions.predict_fn(config, logits_of, pipeline)
  clip = skeleton_data.inputs(data)
  seen = jax.eval_shape(pipeline.plain, clip)
  return Method(
    stages=(train_stage(config, data, model, pipeline),),
    predict=predict,
    variables=state.variables,
    inputs=clip,
    read=skeleton_data.reader(data),
    write=skeleton_predictions.writer(config, data),
    figures=lambda now, folder: skeleton_predictions.draw_tests(
      config, data, predict, state.variables(now), folder
    ),
    inserted=supervised.where_inserted(model, seen),
  )


def build_model(config: ConfigDict, data: SkeletonDataset) -> supervised.Model:
  """Builds `config.model` for the data's skeleton and classes."""
  own = config.copy_and_resolve_references()
  own.model.graph = skeleton_data.find_graph(config, data)
  return supervised.build_model(own, len(data.classes))


def train_stage(
  config: ConfigDict, data: SkeletonDataset, model: supervised.Model, pipeline: Pipeline
) -> Stage:
  """The stage that trains with cross-entropy."""
  train, size = data.splits["train"], config.batch_size
  resident = skeleton_data.is_resident(train, config)
  epoch_steps = batching.steps_per_epoch(train, size)
  return supervised.train_stage(
    config,
    train,
    model,
    steps=max(1, round(config.epochs * epoch_steps)),
    spec=skeleton_data.batch_spec(train, size, resident=resident),
    resident=(lambda: skeleton_data.resident(train)) if resident else None,
    inputs=lambda batch, key: pipeline.train(key, batch["skeleton"]),
    loss=classification.loss,
    evaluate=evaluator(config, data, model, pipeline),
    monitor="accuracy",
  )


def evaluator(
  config: ConfigDict, data: SkeletonDataset, model: supervised.Model, pipeline: Pipeline
) -> supervised.Evaluate:
  """Returns a stage's `evaluate`: accuracy, error, loss, and top-5 of many classes.

  Of generated clips also the accuracy of each bit of the class.
  """
  logits_of = classification.logits_fn(model)
  bits = {"also": bit_hits} if data.classes == generated_skeletons.CLASSES else {}
  sums = classification.statistic(
    lambda variables, batch: logits_of(variables, pipeline.plain(batch["skeleton"])),
    top5=len(data.classes) > 10,
    **bits,
  )

  def evaluate(now: State, frozen: PyTree, split: str) -> Metrics:
    del frozen
    return classification.measure(config, data, split, sums, state.variables(now))

  return evaluate


def bit_hits(
  scores: Float[Array, "b k"], label: Int[Array, " b"]
) -> dict[str, Bool[Array, " b"]]:
  """Which bits of a generated clip's class the most probable class has right.

  Chance is one half in each, so a network that sees all but one is told apart.
  """
  wrong = scores.argmax(-1) ^ label
  return {
    f"accuracy/{name}": (wrong >> i & 1) == 0
    for i, name in enumerate(generated_skeletons.BITS)
  }


def probabilities(
  config: ConfigDict, data: SkeletonDataset, method: Method, now: State, split: str
) -> Float[Array, "n k"]:
  """Probabilities of a split's clips, in their order, as `fuse_scores` takes them.

  Args:
    config: `eval.batch_size` is read.
    data: of the config.
    method: from `build`; of its own stream.
    now: its trained state, see `experiment.final_state`.
    split: whose clips.
  """
  predict, parts = jax.jit(method.predict), []
  mesh, variables = sharding.mesh_of(now), method.variables(now)
  for batch in batching.whole(data.splits[split], config.eval.batch_size):
    interruption.check()
    clips = sharding.place_replicated(batch["skeleton"], mesh)
    found = jax.device_get(predict(variables, clips)["probabilities"])
    parts.append(found[batch["mask"] > 0])
  return jnp.asarray(np.concatenate(parts))
