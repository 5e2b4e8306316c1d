"""`config.quantize`: quantized weights and activations of any supervised network.

The mechanism of Quantization Networks (Yang et al., CVPR 2019) and of its baselines for
every method that `supervised` builds. Weights go through `layers.quantized_weights`;
activation quantizers are inserted; the temperature is a variable that the training step
sets, so one program serves all epochs.
"""

import dataclasses
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from jaxvision import files
from jaxvision.interop import packing
from jaxvision.layers import quantization
from jaxvision.layers.insertion import Inserted, Rule
from jaxvision.layers.quantized_weights import QUANTIZERS as OWN
from jaxvision.layers.quantized_weights import QuantizedWeights, quantizers
from jaxvision.methods.common import initial
from jaxvision.ops import tree_quantization, trees
from jaxvision.ops.quantization import annealed_temperature
from jaxvision.ops.quantizers import QUANTIZERS
from jaxvision.train.stage import State
from jaxvision.typing import Array, Float, PRNGKey, PyTree

NAME = "quantize"  # of the inserted modules; more than one entry: "quantize_1", ...
# Modules, by path, that hold quantizers' variables and nothing else.
MODULES = rf"{OWN}(/.*)?|(.*/)?{NAME}(_\d+)?(/quantizer)?"
ACTIVATIONS = rf"(.*/)?{NAME}(_\d+)?/quantizer/.*"  # their parameters
INFINITE = float("inf")
Entry = Mapping[str, Any]


class Uses(NamedTuple):
  """When annealed weights and activations are soft; see `quantized_weights.SOFT`."""

  weights: str = "training"
  activations: str = "training"


def network(config: ConfigDict, model: nn.Module) -> nn.Module | QuantizedWeights:
  """Puts the quantization of `config.quantize.weights` in front of a network."""
  rules = weight_rules(config)
  if not rules:
    return model
  fields = config.quantize
  entries = [_complete(config, entry) for entry in fields.weights]
  labels = tuple(f"{e['quantizer']} {e.get('levels', '')}" for e in entries)
  options = {"cap": fields.cap, "labels": labels, "integers": fields.integers}
  return QuantizedWeights(model, rules, fields.shared, **options)


def weight_rules(config: ConfigDict) -> tree_quantization.Rules:
  """The rules of `config.quantize.weights`."""
  entries = [_complete(config, entry) for entry in config.quantize.weights]
  return tree_quantization.make_rules(entries)


def insertions(config: ConfigDict) -> list[dict[str, Any]]:
  """Entries, as `config.insert` takes them, of `config.quantize.activations`."""
  entries = []
  for entry in config.quantize.activations:
    options = _complete(config, entry)
    own = {k: options.pop(k) for k in ("at", "quantizer", "levels") if k in options}
    entries.append({**own, "kind": "quantize", "name": NAME, "options": options})
  return entries


def _complete(config: ConfigDict, entry: Entry) -> dict[str, Any]:
  """An entry with the quantizer and the options on which it is silent."""
  fields = config.quantize
  name = entry.get("quantizer", fields.quantizer)
  family = QUANTIZERS.get(name)
  known = inspect.signature(family.make).parameters if family else ()
  silent = {k: v for k, v in fields.options.items() if k in known}
  return {**silent, **entry, "quantizer": name}


def where(model: Inserted, inputs: PyTree) -> tuple[str, ...]:
  """Lines for `plan`: which weights are quantized how.

  Args:
    model: the network.
    inputs: `jax.ShapeDtypeStruct`s of what it takes.

  Raises:
    UserError: a pattern that matches no weight.
  """
  inner = model.model
  if not isinstance(inner, QuantizedWeights):
    return ()
  variables = jax.eval_shape(inner.model.init, jax.random.key(0), inputs)
  chosen = tree_quantization.quantized_paths(variables["params"], inner.rules)
  lines = []
  for (pattern, scheme), label in zip(inner.rules, inner.labels, strict=True):
    paths = [path for path, decided in chosen.items() if decided == pattern]
    if scheme is not None and paths:
      lines.append(f"{label} for the weights {', '.join(paths)}")
  return tuple(lines)


def plain(model: Inserted) -> nn.Module:
  """The network without quantized weights and without insertions."""
  inner = model.model
  return inner.model if isinstance(inner, QuantizedWeights) else inner


class Parameters(NamedTuple):
  """Paths of parameters that quantization is about."""

  quantized: tuple[str, ...]  # weights that are quantized
  weights: tuple[str, ...]  # of the quantizers of weights
  activations: tuple[str, ...]  # of the quantizers of activations


def parameters(model: Inserted, inputs: PyTree) -> Parameters:
  """Finds the parameters of a network that quantization is about.

  Args:
    model: the network.
    inputs: `jax.ShapeDtypeStruct`s of what it takes.
  """
  params = jax.eval_shape(model.init, jax.random.key(0), inputs)["params"]
  paths = trees.paths(params)
  inner = model.model
  chosen = inner.owned(params) if isinstance(inner, QuantizedWeights) else ()
  return Parameters(
    tuple(chosen),
    tuple(path for path in paths if path.startswith(f"{OWN}/")),
    tuple(path for path in paths if re.fullmatch(ACTIVATIONS, path)),
  )


def use(model: Inserted, uses: Uses) -> Inserted:
  """The same network with annealed quantizers soft at other times.

  Args:
    model: the network.
    uses: when; "training" leaves them as they are.
  """
  inner = model.model
  if isinstance(inner, QuantizedWeights):
    inner = dataclasses.replace(inner, soft=uses.weights)
  if uses.activations == "training":
    return Inserted(inner, model.rules)
  train = uses.activations == "always"
  rules = [_fixed(r, train) if _quantizes(r) else r for r in model.rules]
  return Inserted(inner, tuple(rules))


def _quantizes(rule: Rule) -> bool:
  return re.fullmatch(rf"{NAME}(_\d+)?", rule.name) is not None


def _fixed(rule: Rule, train: bool) -> Rule:
  return rule._replace(make=lambda name, _: rule.make(name, train))


def fit(
  model: Inserted,
  variables: PyTree,
  start: PyTree,
  examples: Callable[[], Array],
  key: PRNGKey,
) -> PyTree:
  """Fits quantizers to the weights and, through hard weights, to activations.

  The pass over the examples is one of training: batch norms by the batch, and noise.

  Args:
    model: the network.
    variables: of it.
    start: what of the variables has other values already; its quantizers stay.
    examples: makes what the network takes of some hundred examples; not called if no
      activation is quantized.
    key: of that pass.
  """
  if isinstance(model.model, QuantizedWeights):
    variables = initial.merge(model.model.fit(variables), start)
  if not any(map(_quantizes, model.rules)):
    return variables
  params = quantization.calibrate(
    use(model, Uses(weights="never")),
    variables,
    examples(),
    train=True,
    rngs={"dropout": key},
    mutable=("batch_stats",),
  )
  return initial.merge({**variables, "params": params}, start)


def anneal(config: ConfigDict, now: State, steps_per_epoch: int) -> State:
  """Returns a state with the temperature of its step, where anything anneals."""
  if quantization.SCHEDULE not in now:
    return now
  fields = config.quantize
  epoch = now["step"] // steps_per_epoch + 1.0 + fields.start
  rate = jnp.float32(fields.rate)
  annealed = annealed_temperature(epoch, rate=rate, cap=INFINITE)
  return quantization.with_temperature(now, rate if fields.constant else annealed)


def temperature(now: State) -> Float[Array, ""] | None:
  """The temperature of a state; None where nothing anneals."""
  leaves: Sequence[Array] = jax.tree.leaves(now.get(quantization.SCHEDULE, {}))
  return leaves[0] if leaves else None


def settle(model: Inserted, now: State) -> State:
  """Ends a step: moves those quantizers of weights that no gradient trains."""
  if not isinstance(model.model, QuantizedWeights):
    return now
  return {**now, "params": model.model.update(now["params"])}


def write_packed(config: ConfigDict, variables: PyTree, folder: Path) -> dict[str, Any]:
  """Writes `packed.safetensors` and its facts; see `interop.packing`.

  Args:
    config: that made the network.
    variables: of the network.
    folder: where to.
  """
  rules, fitted = weight_rules(config), jax.tree.map(jnp.asarray, variables["params"])
  params = {k: v for k, v in fitted.items() if k != OWN}
  own = quantizers(fitted)
  hard = tree_quantization.quantize_tree(params, rules, own, hard=True)
  chosen = tree_quantization.quantized_paths(params, rules)
  leaves = zip(trees.paths(hard), jax.tree.leaves(hard), strict=True)
  weights = {path: leaf for path, leaf in leaves if path in chosen}
  kept = {k: v for k, v in variables.items() if k != quantization.SCHEDULE}
  facts = packing.write(folder / packing.FILE, {**kept, "params": hard}, weights)
  files.write_json(folder / packing.FACTS, facts)
  return facts
