"""Accuracy of a quantized classifier, hard and soft, and how hard it has become."""

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from jaxvision.data.examples import ImageDataset
from jaxvision.layers.quantized_weights import QuantizedWeights
from jaxvision.methods.common import classification, quantized
from jaxvision.methods.common.quantized import Uses
from jaxvision.methods.common.supervised import Evaluate, Model
from jaxvision.metrics import quantization
from jaxvision.ops import trees
from jaxvision.train.stage import Metrics, State
from jaxvision.typing import Array, Float, PyTree


def evaluator(
  config: ConfigDict, data: ImageDataset, model: Model, uses: Uses
) -> Evaluate:
  """Returns a stage's `evaluate`: the usual metrics, with hard quantizers, and more.

  They are "soft/accuracy" as in training, "gap" (soft less hard accuracy) and
  "saturated", the share of weights past all gradients; where nothing anneals, so that
  soft is hard, the gap is 0 and so is the share. If a quantizer anneals: "temperature".

  Args:
    config: of the stage.
    data: its splits are evaluated.
    model: the network, hard at inference.
    uses: how the stage trains it; what is soft in training is soft in "soft/accuracy".
  """
  always = Uses(*("always" if when == "training" else when for when in uses))
  soft_model = quantized.use(model, always)
  hard = classification.evaluator(config, data, classification.logits_fn(model))
  soft = classification.evaluator(config, data, classification.logits_fn(soft_model))
  share = jax.jit(lambda params, t: saturated_share(model, params, t))

  def evaluate(now: State, frozen: PyTree, split: str) -> Metrics:
    metrics = hard(now, frozen, split)
    if not metrics:  # of an empty split
      return metrics
    same = {"soft/accuracy": metrics["accuracy"], "gap": 0.0, "saturated": 0.0}
    temperature = quantized.temperature(now)
    if temperature is None:
      return {**metrics, **same}
    found = soft(now, frozen, split)["accuracy"]
    own = {"soft/accuracy": found, "gap": found - metrics["accuracy"]}
    own["temperature"] = float(temperature)
    if _annealed_weights(model):
      own["saturated"] = float(share(now["params"], temperature))
    return {**metrics, **same, **own}

  return evaluate


def _annealed_weights(model: Model) -> bool:
  return isinstance(model.model, QuantizedWeights) and model.model.annealed


def saturated_share(
  model: Model, params: PyTree, temperature: Float[Array, ""]
) -> Float[Array, ""]:
  """Share of the annealed weights that no gradient moves any more."""
  inner = model.model
  leaves = dict(zip(trees.paths(params), jax.tree.leaves(params), strict=True))
  counts = [
    quantization.saturated(
      leaves[path],
      beta=own["beta"],
      biases=own["biases"],
      temperature=jnp.minimum(temperature, inner.cap),
    )
    for path, own in inner.owned(params).items()
    if inner.scheme(path).annealed
  ]
  return sum(some for some, _ in counts) / sum(size for _, size in counts)
