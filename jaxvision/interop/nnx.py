"""The bridge to Flax NNX: a network of ours as a stateful module."""

from typing import Any

import flax.linen as nn
from flax import nnx

from jaxvision.layers.insertion import Inserted
from jaxvision.layers.quantized_weights import QuantizedWeights
from jaxvision.typing import PyTree

Network = nn.Module | Inserted | QuantizedWeights


class _Given:
  """A network whose initialization takes the variables that there are already."""

  def __init__(self, network: Network):
    self.network = network

  def init_with_output(
    self, rngs: PyTree, variables: PyTree, method: None = None
  ) -> tuple[None, PyTree]:
    del rngs, method
    return None, variables

  def apply(
    self, variables: PyTree, *args: Any, method: Any = None, **kwargs: Any
  ) -> Any:
    if method is not None:
      kwargs["method"] = method
    return self.network.apply(variables, *args, **kwargs)


def to_nnx(model: Network, variables: PyTree) -> nnx.Module:
  """Makes an `nnx.Module` of a network and its variables.

  It is called as the network is, `module(x, train=False)`, and gives the same outputs.
  Parameters are `nnx.Param`, batch statistics `nnx.BatchStat`, under the names that
  they have in Linen, so `nnx.grad`, `nnx.Optimizer` and `nnx.split` work on it. In
  training pass `mutable=["batch_stats"]`, which moves the module's own statistics, and
  `rngs=nnx.Rngs(dropout=0)`, both as NNX's own bridge has them.

  What is inserted (`layers.insertion`) comes along, with its variables, and so do
  quantized weights: the interceptors are opened by `apply`, which the module calls.

  Args:
    model: a Linen module, or one with insertions or quantized weights.
    variables: as `model.init` returns them; they are not copied.
  """
  return nnx.bridge.ToNNX(_Given(model)).lazy_init(variables)
