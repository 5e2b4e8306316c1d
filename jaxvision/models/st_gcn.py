"""Spatial temporal graph convolutional network (ST-GCN).

Yan, Xiong, Lin (2018), "Spatial Temporal Graph Convolutional Networks for
Skeleton-Based Action Recognition", AAAI.
"""

import functools
from collections.abc import Callable
from typing import Any, ClassVar

import flax.linen as nn

from jaxvision.layers.graph import FAN_OUT, Pointwise, temporal_conv
from jaxvision.layers.tap import Tap
from jaxvision.models import parts, skeleton
from jaxvision.ops import graphs
from jaxvision.ops.graph_convolution import aggregate
from jaxvision.typing import Array, Float


class STGCNBlock(nn.Module):
  """A graph convolution and one over 9 frames, beside a shortcut.

  Submodules are "graph0", "graph1", ..., one a subset of neighbors, "norm1",
  "temporal", "norm2", "dropout", "shortcut_conv" and "shortcut_norm"; the taps "relu1"
  and "relu". The parameter "importance" weights the links.

  Attributes:
    width: channels out.
    stride: in time.
    residual: whether there is a shortcut.
    dropout: rate behind the second norm.
    dtype: of the computation.
  """

  width: int
  stride: int = 1
  residual: bool = True
  dropout: float = 0.5
  dtype: Any = None

  @nn.compact
  def __call__(
    self, x: Float[Array, "b v t c"], train: bool, adjacency: Float[Array, "k v v"]
  ) -> Float[Array, "b v s d"]:
    """Returns features, none of them negative."""
    importance = self.param("importance", nn.initializers.ones, adjacency.shape)
    y = 0
    for k, graph in enumerate(adjacency * importance):
      # The bias is aggregated too, as in the authors' code.
      project = Pointwise(
        self.width, kernel_init=FAN_OUT, dtype=self.dtype, name=f"graph{k}"
      )
      y += aggregate(project(x), graph)
    y = nn.relu(parts.norm(train, dtype=self.dtype, name="norm1")(y))
    y = Tap(name="relu1")(y)
    y = temporal_conv(
      self.width, 9, stride=self.stride, bias=True, dtype=self.dtype, name="temporal"
    )(y)
    y = parts.norm(train, dtype=self.dtype, name="norm2")(y)
    y = nn.Dropout(self.dropout, deterministic=not train, name="dropout")(y)
    if self.residual:
      y += skeleton.shortcut(x, self.width, train, stride=self.stride, dtype=self.dtype)
    return Tap(name="relu")(nn.relu(y))


class STGCN(skeleton.SequentialNetwork):
  """Ten blocks; at its defaults 3,098,832 parameters.

  Fields are those of `SequentialNetwork`; places in a block are "relu1" and "relu".
  Initial values are not the authors'.
  """

  NORM_PERSONS: ClassVar[bool] = False
  DROPOUT_IN_BLOCKS: ClassVar[bool] = True

  dropout: float = 0.5

  def _block(self) -> Callable[..., nn.Module]:
    kind = parts.rematerialized(STGCNBlock, self.remat)
    return functools.partial(kind, dropout=self.dropout, dtype=self.dtype)

  def _adjacency(self, graph: graphs.SkeletonGraph) -> Float[Array, "k v v"]:
    return graphs.configuration_adjacency(graph)
