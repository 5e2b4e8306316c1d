"""Histograms of quantized weights at the start of every stage, and their figures.

They are part of the state, a few numbers a layer: so a resumed run draws what an
uninterrupted one does.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxvision.layers.quantized_weights import QuantizedWeights
from jaxvision.methods.common import quantized
from jaxvision.methods.common.supervised import Model
from jaxvision.metrics.quantization import occupancy
from jaxvision.ops import trees
from jaxvision.ops.quantization_schemes import Params, Scheme
from jaxvision.train import state
from jaxvision.train.stage import Stage, State
from jaxvision.typing import Array, Float, PRNGKey, PyTree
from jaxvision.viz import quantization as figures

BINS = np.linspace(-1.5, 1.5, 61)  # edges, as multiples of the largest level
BEYOND = 1e30  # past every threshold
FINE = 2001  # points of a curve
TEMPERATURES = (1.0, 5.0, 10.0, 40.0)


def remember(stage: Stage, model: Model, before: str) -> Stage:
  """Returns a stage whose state holds {stage: histograms of its first weights}.

  Args:
    stage: of a network that may have quantized weights.
    model: the network.
    before: name of the stage it starts from, or "".
  """
  if not _thresholded(model):
    return stage

  def frozen(inherited: Mapping[str, State]) -> PyTree:
    history = inherited[before].get("history", {}) if before else {}
    return {**stage.frozen(inherited), "history": history}

  def init(key: PRNGKey, frozen: PyTree, batch: PyTree) -> State:
    fresh = stage.init(key, frozen, batch)
    own = {stage.name: histograms(model, fresh["params"])}
    return {**fresh, "history": {**frozen["history"], **own}}

  return stage._replace(frozen=frozen, init=init)


def _thresholded(model: Model) -> list[str]:
  """Patterns of the rules whose quantizers have thresholds in units of beta * w."""
  if not isinstance(model.model, QuantizedWeights):
    return []
  return [p for p, scheme in model.model.rules if scheme and "biases" in scheme.owns]


def _layers(
  model: Model, params: PyTree
) -> dict[str, tuple[Scheme, Params, Float[Array, "*s"]]]:
  """{path: (scheme, quantizer, weights)} of weights with thresholds."""
  inner = model.model
  leaves = dict(zip(trees.paths(params), jax.tree.leaves(params), strict=True))
  return {
    path: (inner.scheme(path), own, leaves[path])
    for path, own in inner.owned(params).items()
    if "biases" in own
  }


def histograms(model: Model, params: PyTree) -> Float[Array, "layers bins"]:
  """Counts beta * w of each layer between `BINS` times its largest level."""
  rows = []
  for scheme, own, w in _layers(model, params).values():
    edges = jnp.asarray(BINS, jnp.float32) * _largest_level(scheme, own)
    rows.append(occupancy(own["beta"] * w, edges))
  return jnp.stack(rows)


def _largest_level(scheme: Scheme, own: Params) -> Float[Array, ""]:
  ends = scheme.apply(own, jnp.asarray([-BEYOND, BEYOND]), None, False)
  return jnp.max(jnp.abs(ends)) / jnp.abs(own["alpha"])


def draw(model: Model, now: State, folder: Path, *, order: Sequence[str]) -> None:
  """Draws weights against thresholds and levels, and a quantizer at temperatures.

  Args:
    model: the network.
    now: last state of the last stage.
    folder: of the figures.
    order: names of the stages.
  """
  if not _thresholded(model):
    return
  params = state.variables(now)["params"]
  found = jax.device_get(jax.jit(lambda p: _shown(model, p))(params))
  history = jax.device_get(now["history"])
  counts = {f"start of {name}": history[name] for name in order if name in history}
  counts["end"] = jax.device_get(jax.jit(lambda p: histograms(model, p))(params))
  panels = [
    figures.Weights(
      path,
      edges=BINS * largest,
      counts={time: rows[row] for time, rows in counts.items()},
      thresholds=biases,
      levels=np.unique(np.round(levels, 3)),
    )
    for row, (path, (largest, biases, levels)) in enumerate(found.items())
  ]
  figures.draw_weights(panels, folder / "weights.png")
  last = quantized.temperature(now)
  if last is not None:
    _draw_functions(model, params, float(last), folder)


def _shown(model: Model, params: PyTree) -> dict[str, tuple[Array, Array, Array]]:
  """{path: (largest level, thresholds, levels with repetitions)} of each layer."""
  found = {}
  for path, (scheme, own, _) in _layers(model, params).items():
    largest = _largest_level(scheme, own)
    u = jnp.linspace(BINS[0], BINS[-1], FINE) * largest
    levels = scheme.apply(own, u / own["beta"], None, False) / own["alpha"]
    found[path] = largest, jnp.sort(own["biases"]), levels
  return found


def _draw_functions(model: Model, params: PyTree, last: float, folder: Path) -> None:
  """Draws the quantizer of the first layer that anneals, if one does."""
  layers = _layers(model, params)
  annealed = [path for path, (scheme, *_) in layers.items() if scheme.annealed]
  if not annealed:
    return
  temperatures = sorted({*TEMPERATURES, last})

  def curves(params: PyTree) -> tuple[Array, Array, Array]:
    scheme, own, _ = _layers(model, params)[annealed[0]]
    u = jnp.linspace(BINS[0], BINS[-1], FINE)
    x = u * _largest_level(scheme, own) / own["beta"]
    soft = [scheme.apply(own, x, t, True) for t in temperatures]
    return x, jnp.stack(soft), scheme.apply(own, x, None, False)

  x, soft, hard = jax.device_get(jax.jit(curves)(params))
  by_temperature = dict(zip(temperatures, soft, strict=True))
  shown = figures.Functions(annealed[0], x, by_temperature, hard)
  figures.draw_functions(shown, folder / "quantizer.png")
