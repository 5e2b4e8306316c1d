"""A network whose weights are quantized before each call, used as the network itself.

`ops.tree_quantization` turns parameters into quantized parameters; here is that
function in front of a network, so that whoever trains, evaluates or exports the network
need not know.
"""

import dataclasses
from contextlib import nullcontext
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict

from jaxvision.errors import UserError
from jaxvision.layers.integer_arithmetic import Integers, Whole, whole_weight
from jaxvision.layers.quantization import SCHEDULE
from jaxvision.ops import tree_quantization, trees
from jaxvision.ops.quantization_schemes import Scheme
from jaxvision.ops.tree_quantization import Rules
from jaxvision.typing import Array, PyTree

QUANTIZERS = "quantizers"  # entry of "params", and of "schedule"
# When annealed weights are soft. "never": hard, and no gradient reaches them.
SOFT = ("training", "always", "never")


@dataclasses.dataclass(frozen=True)
class QuantizedWeights:
  """A network with quantized weights; has a Linen module's `init` and `apply`.

  Variables are those of the network, its weights in floating point, and
  `params["quantizers"]`: the quantizers' parameters under the paths of the weights.
  Annealed quantizers read `schedule["quantizers"]["temperature"]` in training, which
  `layers.quantization.with_temperature` sets along with the activations'.

  Attributes:
    model: the network.
    rules: what is quantized and how.
    shared: one quantizer a rule instead of one a tensor.
    soft: when annealed weights are soft: one of `SOFT`.
    cap: of the temperature; 2000 in the authors' code.
    labels: of the rules, for people to read.
    integers: computes in integers at inference, where that is possible and a gain; see
      `layers.integer_arithmetic`.
  """

  model: nn.Module
  rules: Rules
  shared: bool = False
  soft: str = "training"
  cap: float = 2000.0
  labels: tuple[str, ...] = ()
  integers: bool = False

  def init(
    self, rngs: PyTree, *args: Any, train: bool = False, **kwargs: Any
  ) -> PyTree:
    """Returns the network's variables with quantizers fitted to its weights."""
    return self.fit(self.model.init(rngs, *args, train=train, **kwargs))

  def fit(self, variables: PyTree) -> PyTree:
    """Returns variables with quantizers fitted, anew if there were any.

    Args:
      variables: of the network.
    """
    params = _network(variables["params"])
    own = tree_quantization.init_tree(params, self.rules, shared=self.shared)
    if own:
      params = {**params, QUANTIZERS: _nested(own)}
    variables = {**variables, "params": params}
    if self.annealed:
      schedule = {QUANTIZERS: {"temperature": jnp.float32(1.0)}}
      variables[SCHEDULE] = {**variables.get(SCHEDULE, {}), **schedule}
    return variables

  def apply(
    self, variables: PyTree, *args: Any, train: bool = False, **kwargs: Any
  ) -> Any:
    """Quantizes the weights, softly in training, and applies the network."""
    soft = self.soft == "always" or (train and self.soft == "training")
    params = self.quantize(variables, hard=not soft)
    if self.soft == "never":
      params = self._detach(params)
    inference = self.integers and not soft and not train
    kernels = self._whole_weights(variables["params"]) if inference else {}
    variables = {**variables, "params": params}
    with nn.intercept_methods(Integers(kernels)) if kernels else nullcontext():
      return self.model.apply(variables, *args, train=train, **kwargs)

  def quantize(self, variables: PyTree, *, hard: bool = True) -> PyTree:
    """Returns the network's parameters, quantized.

    Raises:
      UserError: soft weights need a temperature that is not there.
    """
    temperature = None
    if self.annealed and not hard:
      found = variables.get(SCHEDULE, {}).get(QUANTIZERS)
      if found is None:
        raise UserError(
          f"quantized weights train without a temperature; pass the collection "
          f"{SCHEDULE!r}, as init returns it, by with_temperature."
        )
      temperature = jnp.minimum(found["temperature"], self.cap)
    params = jax.tree.map(jnp.asarray, variables["params"])
    return tree_quantization.quantize_tree(
      _network(params),
      self.rules,
      quantizers(params),
      temperature=temperature,
      hard=hard,
    )

  def update(self, params: PyTree) -> PyTree:
    """Returns parameters with those quantizers moved that no gradient trains."""
    own = quantizers(params)
    if not own:
      return params
    moved = tree_quantization.update_tree(_network(params), self.rules, own)
    return {**params, QUANTIZERS: _nested(moved)}

  def owned(self, params: PyTree) -> dict[str, PyTree]:
    """Returns {path of a quantized weight: its quantizer's parameters}."""
    own = quantizers(params)
    chosen = tree_quantization.quantized_paths(_network(params), self.rules)
    return {p: own.get(p, own.get(pattern, {})) for p, pattern in chosen.items()}

  def scheme(self, path: str) -> Scheme:
    """Returns how the weight of a path is quantized."""
    found = trees.first_match(self.rules, path)
    assert isinstance(found, Scheme), f"{path} is not quantized"
    return found

  @property
  def annealed(self) -> bool:
    """Whether a temperature is needed in training."""
    return any(scheme is not None and scheme.annealed for _, scheme in self.rules)

  def _whole_weights(self, params: PyTree) -> dict[str, Whole]:
    """{path of a layer: its kernel as integers}."""
    leaves, found = flatten_dict(dict(params), sep="/"), {}
    for path, own in self.owned(params).items():
      layer, _, name = path.rpartition("/")
      whole = whole_weight(self.scheme(path), own, jnp.asarray(leaves[path]))
      if name == "kernel" and whole is not None:
        found[layer] = whole
    return found

  def _detach(self, params: PyTree) -> PyTree:
    chosen = tree_quantization.quantized_paths(params, self.rules)

    def detach(path: str, leaf: Array) -> Array:
      return jax.lax.stop_gradient(leaf) if path in chosen else leaf

    return trees.map_with_path(detach, params)


def quantizers(params: PyTree) -> dict[str, PyTree]:
  """Returns {path of a weight, or pattern of a rule if shared: its quantizer}."""
  found: dict[str, dict] = {}
  for (*path, name), leaf in flatten_dict(dict(params.get(QUANTIZERS, {}))).items():
    found.setdefault("/".join(path), {})[name] = leaf
  return found


def _nested(own: dict[str, PyTree]) -> PyTree:
  """Undoes `quantizers`: a tree without "/" in its keys, as files of weights need."""
  return unflatten_dict(
    {
      (*path.split("/"), name): leaf
      for path, leaves in own.items()
      for name, leaf in leaves.items()
    }
  )


def _network(params: PyTree) -> PyTree:
  return {name: value for name, value in params.items() if name != QUANTIZERS}
