"""What temporal detectors share: detections of windows, collected and measured."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jaxvision import interruption
from jaxvision.data.temporal import TemporalDataset, TemporalExamples
from jaxvision.errors import UserError
from jaxvision.layers.insertion import Inserted
from jaxvision.losses.detection import DetectionLossSpec
from jaxvision.methods.common import batching, windows
from jaxvision.methods.common.detection_metrics import check_metric, measure
from jaxvision.ops import segments as segment_ops
from jaxvision.ops.detections import decode_detections
from jaxvision.train import sharding, state
from jaxvision.train.stage import Metrics, State
from jaxvision.typing import Array, PyTree

Detect = Callable[[PyTree, Array], dict[str, Array]]
Decode = Callable[[Any], tuple[Array, Array]]  # outputs -> segments, scores of classes


def detector(
  model: Inserted, config: ConfigDict, decode: Decode | None = None
) -> Detect:
  """Returns (variables, features [b, t, d]) -> detections, pure.

  Args:
    model: takes features to outputs.
    config: `config.suppression`.
    decode: of its outputs; None is that of `DetectionOutputs`.

  Returns:
    A function to {"segments": [b, k, 2] in units of the window, best first, "label":
    [b, k] from 0, "score": [b, k], 0 in slots that hold nothing}.

  Raises:
    UserError: an unknown kind of suppression.
  """
  check_suppression(config)
  decode = decode or _decoder(config)

  def detect(variables: PyTree, features: Array) -> dict[str, Array]:
    return _select(*decode(model.apply(variables, features, train=False)), config)

  return detect


def predictor(model: Inserted, config: ConfigDict) -> Detect:
  """Returns `detector` with the anchors that it chose from, for figures of them.

  Beside the detections: {"anchors": [b, n, 2] (center, width) in units of the window,
  "valid": [b, n], "layer": [b, n] from 1}.
  """
  check_suppression(config)
  decode = _decoder(config)

  def predict(variables: PyTree, features: Array) -> dict[str, Array]:
    outputs = model.apply(variables, features, train=False)
    shape = outputs.valid.shape
    return {
      **_select(*decode(outputs), config),
      "anchors": outputs.anchors,
      "valid": outputs.valid,
      "layer": jnp.broadcast_to(outputs.layer, shape),
    }

  return predict


def loss_spec(config: ConfigDict) -> DetectionLossSpec:
  """Reads `config.loss`.

  Raises:
    UserError: an unknown field or choice.
  """
  try:
    return DetectionLossSpec(**config.loss.to_dict())
  except (TypeError, ValueError) as error:
    raise UserError(f"config.loss: {error}") from error


def check_suppression(config: ConfigDict) -> None:
  """Checks `config.suppression`.

  Raises:
    UserError: an unknown kind.
  """
  if config.kind not in ("soft", "greedy"):
    raise UserError(f"config.suppression.kind is {config.kind!r}; choose soft, greedy.")


def _decoder(config: ConfigDict) -> Decode:
  """The way from `DetectionOutputs` to segments and scores."""
  return lambda outputs: decode_detections(
    outputs, overlap_in_score=config.overlap_in_score
  )


def _select(segments: Array, scores: Array, config: ConfigDict) -> dict[str, Array]:
  """The best (anchor, class) pairs of each window after suppression.

  Args:
    segments: [b, n, 2] of the anchors.
    scores: [b, n, k] of the classes.
    config: `config.suppression`.
  """

  def one(segments: Array, scores: Array) -> dict[str, Array]:
    classes = scores.shape[-1]
    most = min(config.candidates, scores.size)
    best, number = jax.lax.top_k(scores.reshape(-1), most)
    return suppress(segments[number // classes], number % classes, best, config)

  return jax.vmap(one)(segments, scores)


def suppress(
  segments: Array, label: Array, score: Array, config: ConfigDict
) -> dict[str, Array]:
  """Keeps the best of candidates [n] that overlap, as `config.suppression` says."""
  select = _soft if config.kind == "soft" else _greedy
  classes = None if config.agnostic else label
  index, score = select(segments, score, config, classes=classes)
  take = segment_ops.take_kept
  return {
    "segments": take(segments, index),
    "label": take(label, index),
    "score": score,
  }


def _soft(segments: Array, scores: Array, config: ConfigDict, *, classes: Array | None):
  return segment_ops.soft_nms(
    segments,
    scores,
    sigma=config.sigma,
    low=config.low,
    high=config.high,
    max_keep=config.keep,
    classes=classes,
  )


def _greedy(
  segments: Array, scores: Array, config: ConfigDict, *, classes: Array | None
):
  index = segment_ops.nms(
    segments,
    scores,
    threshold=config.threshold,
    max_keep=config.keep,
    classes=classes,
    min_score=0.0,
    strict=config.strict,
  )
  return index, segment_ops.take_kept(scores, index)


def evaluator(
  config: ConfigDict, data: TemporalDataset, detect: Detect
) -> Callable[[State, PyTree, str], Metrics]:
  """Returns a stage's `evaluate`: mAP as `config.metric` says, AR and its AUC."""
  jitted = jax.jit(detect)
  check_metric(config.metric)

  def evaluate(now: State, frozen: PyTree, split: str) -> Metrics:
    del frozen
    if split not in data.splits:
      raise UserError(
        f"config.eval.split is {split!r}; {data.name} has {', '.join(data.splits)}."
      )
    examples = data.splits[split]
    found = collect(jitted, state.variables(now), examples, config.eval.batch_size)
    merged = windows.merge(examples.windows, found, config.suppression, suppress)
    return measure(examples.truth, merged, config.metric, ambiguous=examples.ambiguous)

  return evaluate


def collect(
  detect: Detect, variables: PyTree, examples: TemporalExamples, batch_size: int
) -> dict[str, np.ndarray]:
  """Detects in all windows: the arrays of `detector`, [n, k, ...], on the host."""
  mesh, parts = sharding.mesh_of(variables), []
  for batch in batching.whole(examples, batch_size):
    if jax.process_count() == 1:
      interruption.check()
    features = sharding.place_replicated(batch["features"], mesh)
    rows = jax.device_get(detect(variables, features))
    parts.append({k: v[batch["mask"] > 0] for k, v in rows.items()})
  return {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}
