"""What temporal detectors share: detections of windows, and their measures."""

from collections.abc import Callable, Sequence

import jax
import numpy as np
from ml_collections import ConfigDict

from jaxvision import interruption
from jaxvision.data.temporal import TemporalDataset, TemporalExamples
from jaxvision.errors import UserError
from jaxvision.layers.insertion import Inserted
from jaxvision.methods.common import batching, windows
from jaxvision.metrics import temporal
from jaxvision.metrics.temporal import Segments
from jaxvision.ops import segments as segment_ops
from jaxvision.ops.detections import decode_detections
from jaxvision.train import sharding, state
from jaxvision.train.stage import Metrics, State
from jaxvision.typing import Array, PyTree

Detect = Callable[[PyTree, Array], dict[str, Array]]


def detector(model: Inserted, config: ConfigDict) -> Detect:
  """Returns (variables, features [b, t, d]) -> detections, pure.

  Args:
    model: takes features to `DetectionOutputs`.
    config: `config.suppression`.

  Returns:
    A function to {"segments": [b, k, 2] in units of the window, best first, "label":
    [b, k] from 0, "score": [b, k], 0 in slots that hold nothing}.

  Raises:
    UserError: an unknown kind of suppression.
  """
  if config.kind not in ("soft", "greedy"):
    raise UserError(f"config.suppression.kind is {config.kind!r}; choose soft, greedy.")

  def one(segments: Array, scores: Array) -> dict[str, Array]:
    classes = scores.shape[-1]
    most = min(config.candidates, scores.size)
    best, number = jax.lax.top_k(scores.reshape(-1), most)
    return suppress(segments[number // classes], number % classes, best, config)

  def detect(variables: PyTree, features: Array) -> dict[str, Array]:
    outputs = model.apply(variables, features, train=False)
    segments, scores = decode_detections(
      outputs, overlap_in_score=config.overlap_in_score
    )
    return jax.vmap(one)(segments, scores)

  return detect


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
  )
  return index, segment_ops.take_kept(scores, index)


def evaluator(
  config: ConfigDict, data: TemporalDataset, detect: Detect
) -> Callable[[State, PyTree, str], Metrics]:
  """Returns a stage's `evaluate`: mAP at `config.thresholds`, AR and its AUC."""
  jitted = jax.jit(detect)

  def evaluate(now: State, frozen: PyTree, split: str) -> Metrics:
    del frozen
    if split not in data.splits:
      raise UserError(
        f"config.eval.split is {split!r}; {data.name} has {', '.join(data.splits)}."
      )
    examples = data.splits[split]
    found = collect(jitted, state.variables(now), examples, config.eval.batch_size)
    merged = windows.merge(examples, found, config.suppression, suppress)
    return measure(examples.truth, merged, config.thresholds)

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


def measure(
  truth: Segments, found: Segments, thresholds: Sequence[float]
) -> dict[str, float]:
  """ActivityNet's measures: "map/avg", "map/0.50", ..., "ar/10", "ar/100", "auc"."""
  if not len(truth.start):
    return {}
  precision = temporal.detection_average_precision(truth, found, thresholds)
  means = precision.mean(axis=1)
  metrics = {f"map/{t:.2f}": float(m) for t, m in zip(thresholds, means, strict=True)}
  number, recall, auc = temporal.average_recall(truth, found, thresholds)
  average = recall.mean(axis=0)
  return {
    "map/avg": float(means.mean()),
    **metrics,
    "ar/10": float(np.interp(10.0, number, average)),
    "ar/100": float(average[-1]),
    "auc": float(auc),
  }
