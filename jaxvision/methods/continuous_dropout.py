"""Continuous Dropout (Shen, Tian, Liu, Xu, Tao; IEEE TNNLS 29(9), 2018).

Binary dropout multiplies a hidden unit by 0 or 1; continuous dropout by a uniform or
clipped Gaussian variable, rescaled by its mean, so that inference is one pass without
noise. The masks are inserted behind Taps of an MLP or a CNN (`config.mask.at`), so
nothing here is about a network. Standout and DropConnect, the paper's other baselines,
are dense layers (`config.model.dense`).
"""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jaxvision.data.examples import ImageDataset
from jaxvision.errors import UserError
from jaxvision.layers import insertion
from jaxvision.methods.common import (
  batching,
  classification,
  classifier,
  image_data,
  supervised,
  views,
)
from jaxvision.ops import masks, statistics
from jaxvision.train import sharding, state
from jaxvision.train.stage import Method, Metrics, State
from jaxvision.typing import Array, Float, PyTree
from jaxvision.viz import correlation, filters
from jaxvision.viz import masks as mask_figures

load = image_data.load
expected_files = image_data.expected_files


def build(config: ConfigDict, data: ImageDataset) -> Method:
  """Makes the method: one stage, a classifier with masks inserted."""
  model = supervised.build_model(config, len(data.classes), insertions(config))
  plain = classification.evaluator(config, data, classification.logits_fn(model))
  averaged = classification.evaluator(config, data, _monte_carlo(config, model))

  def evaluate(now: State, frozen: PyTree, split: str) -> Metrics:
    metrics = plain(now, frozen, split)
    if split != "val":  # the extras are for reports, not for choosing
      metrics |= _dependence_metrics(config, data, model, now, split)
      if config.monte_carlo:
        found = averaged(now, frozen, split)
        metrics |= {f"monte_carlo/{k}": v for k, v in found.items()}
    return metrics

  return classifier.build(
    config,
    data,
    model,
    evaluate=evaluate,
    figures=lambda now, folder: draw(config, data, model, now, folder),
  )


def mask_spec(fields: ConfigDict) -> masks.MaskSpec | None:
  """Reads a mask from `config.mask` or `config.input_mask`; None for kind "none".

  `matched` replaces a mask by the Bernoulli mask of equal noise strength Var m / E m^2:
  at equal strength a linear network cannot tell them apart (specification, 3.3), so
  this is the control for "continuous" as against merely "weaker".
  """
  if fields["kind"] == "none":
    return None
  own = [field.name for field in dataclasses.fields(masks.MaskSpec)]
  try:
    spec = masks.MaskSpec(**{name: fields[name] for name in own})
  except ValueError as error:
    raise UserError(f"config.mask or config.input_mask: {error}") from error
  return masks.matched_bernoulli(spec) if fields["matched"] else spec


def insertions(config: ConfigDict) -> list[dict[str, Any]]:
  """Entries, as `config.insert` takes them, of the mask and the input mask."""
  entries = []
  for name in ("mask", "input_mask"):
    fields = config[name]
    spec = mask_spec(fields)
    if spec is not None:
      placing = ("at", "broadcast_axes", "rescale", "mean_mode")
      entry = {**dataclasses.asdict(spec), **{key: fields[key] for key in placing}}
      entry |= {"name": name, "mask": spec.kind, "kind": "continuous_dropout"}
      entries.append(entry)
  return entries


def _monte_carlo(config: ConfigDict, model: supervised.Model):
  """(variables, network's input) -> log of the mean probability over masked passes.

  Not in the paper's code. The keys are the same at every call: evaluation is
  deterministic.
  """

  def log_probabilities(variables: PyTree, x: Array) -> Float[Array, "b k"]:
    def sample(key: Array) -> Array:
      keep = {"mutable": ["batch_stats"]}  # noise of training, statistics of inference
      logits, _ = model.apply(variables, x, train=True, rngs={"dropout": key}, **keep)
      return jax.nn.softmax(logits.astype(jnp.float32))

    key = jax.random.key(config.seed)
    return jnp.log(masks.monte_carlo_mean(key, sample, config.monte_carlo) + 1e-12)

  return log_probabilities


def detectors(
  config: ConfigDict,
  data: ImageDataset,
  model: supervised.Model,
  now: State,
  split: str,
) -> dict[str, Float[np.ndarray, "n d"]]:
  """Activations of `config.dependence.at` without noise, on the first examples."""
  names, limit = config.dependence.at, config.dependence.examples

  plain = views.make_views(config).plain

  @jax.jit
  def activations(variables: PyTree, image: Array) -> dict[str, Array]:
    return insertion.features(model, variables, plain(image), names)[1]

  mesh, parts, rows = sharding.mesh_of(now), [], 0
  examples = data.splits[split]
  for batch in batching.whole(examples, config.eval.batch_size):
    image = sharding.place_replicated(batch["image"], mesh)
    valid = batch["mask"] > 0
    found = jax.device_get(activations(state.variables(now), image))
    parts.append({k: v[valid] for k, v in found.items()})
    rows += int(valid.sum())
    if rows >= limit:
      break
  return {k: np.concatenate([p[k] for p in parts])[:limit] for k in names}


def _dependence_metrics(config, data, model, now, split) -> Metrics:
  """Mean absolute covariance and correlation of units, and how many are dead.

  Whether the paper measures weights or activations, signed or absolute, is unknown;
  here it is absolute values of activations, by layer.
  """
  metrics = {}
  for tap, h in detectors(config, data, model, now, split).items():
    found = statistics.detector_dependence(jnp.asarray(h))
    metrics |= {f"dependence/{tap}/{k}": float(v) for k, v in found.items()}
  return metrics


def draw(config, data, model, now: State, folder: Path) -> None:
  """Draws masks against their densities, first-layer filters, correlations."""
  specs = {n: mask_spec(config[n]) for n in ("mask", "input_mask")}
  specs = {name: spec for name, spec in specs.items() if spec is not None}
  if specs:
    mask_figures.draw_masks(specs, folder / "masks.png")
  shape = classifier.network_input(config, data).shape[1:]
  kernel = first_kernel(state.variables(now)["params"], shape)
  filters.draw_filters(kernel, folder / "filters.png")
  found = {
    tap: jax.device_get(statistics.correlation_matrix(jnp.asarray(h)))
    for tap, h in detectors(config, data, model, now, "test").items()
  }
  for tap, (corr, live) in found.items():
    path = folder / f"correlation_{tap}.png"
    correlation.draw_correlation(corr, live, path, title=tap)
  if len(found) > 1:
    correlation.draw_correlations(found, folder / "correlations.png")


def first_kernel(
  params: PyTree, shape: tuple[int, int, int]
) -> Float[np.ndarray, "n h w c"]:
  """The first layer's weights as images: of "dense1" (MLP) or "conv1" (CNN)."""
  if "conv1" in params:
    return np.asarray(params["conv1"]["kernel"]).transpose(3, 0, 1, 2)
  return np.asarray(params["dense1"]["kernel"]).T.reshape(-1, *shape)
