"""Adaptive graph convolutional network, one stream of 2s-AGCN.

Shi, Zhang, Cheng, Lu (2019), "Two-Stream Adaptive Graph Convolutional Networks for
Skeleton-Based Action Recognition", CVPR. The two streams, joints and bones, are two of
these networks, whose scores are added.
"""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn

from jaxvision.layers.graph import FAN_OUT, AttentionGraph, Pointwise, temporal_conv
from jaxvision.layers.tap import Tap
from jaxvision.models import parts, skeleton
from jaxvision.models.inception import SMALL
from jaxvision.ops import graphs
from jaxvision.ops.graph_convolution import aggregate
from jaxvision.typing import Array, Float


class AGCNBlock(nn.Module):
  """Graph convolutions on fixed, learned and data-dependent graphs, then over 9 frames.

  Submodules are "attention", "graph0", "graph1", ..., "norm1", "down_conv" and
  "down_norm" (of the graph convolution's own shortcut), "temporal", "norm2",
  "shortcut_conv" and "shortcut_norm"; the taps "relu1" and "relu". The parameter
  "graphs" is added to the fixed ones.

  Attributes:
    width: channels out.
    stride: in time.
    residual: whether there is a shortcut around both convolutions.
    dtype: of the computation.
  """

  width: int
  stride: int = 1
  residual: bool = True
  dtype: Any = None

  @nn.compact
  def __call__(
    self, x: Float[Array, "b v t c"], train: bool, adjacency: Float[Array, "k v v"]
  ) -> Float[Array, "b v s d"]:
    """Returns features, none of them negative."""
    y = self._graph_convolution(x, adjacency)
    y = parts.norm(train, dtype=self.dtype, scale_init=SMALL, name="norm1")(y)
    y += skeleton.shortcut(x, self.width, train, name="down", dtype=self.dtype)
    y = Tap(name="relu1")(nn.relu(y))
    y = temporal_conv(
      self.width, 9, stride=self.stride, bias=True, dtype=self.dtype, name="temporal"
    )(y)
    y = parts.norm(train, dtype=self.dtype, name="norm2")(y)
    if self.residual:
      y += skeleton.shortcut(x, self.width, train, stride=self.stride, dtype=self.dtype)
    return Tap(name="relu")(nn.relu(y))

  def _graph_convolution(self, x: Array, adjacency: Array) -> Array:
    fixed = adjacency + self.param("graphs", SMALL, adjacency.shape)
    heads = len(adjacency)
    attention = AttentionGraph(self.width // 4, heads, self.dtype, name="attention")
    graphs_of = fixed + attention(x)
    y = 0
    for k in range(heads):
      project = Pointwise(
        self.width, kernel_init=FAN_OUT, dtype=self.dtype, name=f"graph{k}"
      )
      # Graphs first: a bias that is aggregated would be another function.
      y += project(aggregate(x, graphs_of[:, k]))
    return y


class AGCN(skeleton.SequentialNetwork):
  """Ten blocks; at its defaults 3,469,510 parameters.

  Fields are those of `SequentialNetwork`; places in a block are "relu1" and "relu".
  """

  def _block(self) -> Callable[..., nn.Module]:
    kind = parts.rematerialized(AGCNBlock, self.remat)
    return functools.partial(kind, dtype=self.dtype)

  def _adjacency(self, graph: graphs.SkeletonGraph) -> Float[Array, "k v v"]:
    return graphs.spatial_adjacency(graph)
