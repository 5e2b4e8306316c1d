"""Spatial temporal graph convolutional network (ST-GCN).

Yan, Xiong, Lin (2018), "Spatial Temporal Graph Convolutional Networks for
Skeleton-Based Action Recognition", AAAI.
"""

import functools
from collections.abc import Sequence
from typing import Any

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


class STGCN(nn.Module):
  """Ten blocks; at its defaults 3,098,832 parameters.

  Places are "input", "input_norm", "block1/relu1", "block1/relu", ..., "pool",
  "logits". Initial values are He's, not the authors'.

  Attributes:
    classes: width of the layer "logits"; 0 returns the pooled features.
    graph: name of the skeleton, see `ops.graphs.skeleton`.
    layers: blocks of the stages; all but the first halve time.
    widths: channels of the stages.
    dropout: rate within the blocks.
    mask_persons: whether empty persons are left out of the mean over persons.
    remat: computes activations within blocks anew in the backward pass.
    dtype: of the computation, as "bfloat16"; parameters and logits are float32.
  """

  classes: int = 60
  graph: str = "ntu"
  layers: Sequence[int] = skeleton.LAYERS
  widths: Sequence[int] = skeleton.WIDTHS
  dropout: float = 0.5
  mask_persons: bool = False
  remat: bool = False
  dtype: Any = None

  @nn.compact
  def __call__(
    self, x: Float[Array, "b m t v c"], train: bool = False
  ) -> Float[Array, "b classes"]:
    """Returns logits of sequences of coordinates of m persons."""
    block = functools.partial(
      parts.rematerialized(STGCNBlock, self.remat),
      dropout=self.dropout,
      dtype=self.dtype,
    )
    settings = skeleton.SequentialSettings(
      classes=self.classes,
      graph=self.graph,
      layers=self.layers,
      widths=self.widths,
      dropout=0.0,  # it is within the blocks
      mask_persons=self.mask_persons,
      dtype=self.dtype,
    )
    return skeleton.sequential_network(
      block,
      x,
      train,
      adjacency=graphs.configuration_adjacency(graphs.skeleton(self.graph)),
      settings=settings,
      norm_persons=False,
    )
