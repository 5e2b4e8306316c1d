"""The default of every method with narrow networks and random weights, without data.

What leaves the library by some format is compared with what `predict` says.
"""

import importlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jaxvision import experiment
from jaxvision.interop import onnx
from jaxvision.ops import trees
from jaxvision.train.stage import Method
from jaxvision.typing import PyTree

CNN = {"model.widths": (3, 4), "model.dense_width": 5}
MLP = {"model.hidden": (6,)}
SUPPRESSION = {"suppression.keep": 5, "suppression.candidates": 8}
DETECTOR = {
  "data.length": 32,
  "data.generated.width": 6,
  "model.base_widths": (4,),
  "model.anchor_widths": (4, 4),
  **SUPPRESSION,
}
CHANGES: dict[str, dict[str, Any]] = {
  "ahernet": {**DETECTOR, "model.generator_width": 4},
  "causal_adv": CNN,
  "continuous_dropout": {"model.hidden": (6, 6)},
  "domain_class_decomposition": {**CNN, "data.height": 16, "data.width": 8},
  "gtan": DETECTOR,
  "iekd": CNN,
  "patch_reordering": CNN,
  "quantization_networks": CNN,
  "stigcn": {"model.widths": (4, 4)},
  "ticnn": CNN,
}


def config(name: str) -> ConfigDict:
  """Returns the config of a method with a narrow network."""
  found = importlib.import_module(f"configs.{name}").get_config()
  found.update_from_flattened_dict(CHANGES[name])
  return found


class Tiny(NamedTuple):
  """A method, and random variables of its `predict`.

  Attributes:
    config: that made the method.
    method: built without data.
    states: shapes of the stages' states, by name.
    variables: random numbers.
  """

  config: ConfigDict
  method: Method
  states: dict[str, PyTree]
  variables: PyTree


def build(name: str) -> Tiny:
  """Makes a method with a narrow network."""
  own, module = config(name), experiment.method_module(name)
  method = module.build(own, module.load(own, abstract=True))
  key, states = jax.random.key(0), {}
  for stage in method.stages:
    frozen = stage.frozen(states)
    states[stage.name] = jax.eval_shape(stage.init, key, frozen, stage.spec)
  spec = method.variables(states[method.stages[-1].name])
  return Tiny(own, method, states, _random(spec))


def _random(spec: PyTree) -> PyTree:
  """Random numbers; those that are squares or factors are positive."""
  rng = np.random.default_rng(0)

  def fill(path: str, leaf: jax.ShapeDtypeStruct) -> jax.Array:
    values = rng.normal(0, 0.5, leaf.shape)
    if path.rpartition("/")[2] in ("scale", "var", "alpha", "beta"):
      values = 0.5 + abs(values)
    return jnp.asarray(values, leaf.dtype)

  return trees.map_with_path(fill, spec)


def inputs(method: Method, size: int) -> PyTree:
  """Returns a random batch of what `predict` takes."""
  return onnx.random_inputs(method.inputs, size, seed=1)
