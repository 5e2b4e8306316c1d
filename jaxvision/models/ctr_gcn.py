"""Channel-wise topology refinement graph convolutional network (CTR-GCN).

Chen, Zhang, Yuan, Li, Deng, Hu (2021), "Channel-wise Topology Refinement Graph
Convolution for Skeleton-Based Action Recognition", ICCV.
"""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jaxvision.layers.graph import FAN_OUT, Pointwise, temporal_conv
from jaxvision.layers.tap import Tap
from jaxvision.models import parts, skeleton
from jaxvision.models.inception import SMALL
from jaxvision.ops import graphs
from jaxvision.ops.graph_convolution import aggregate_channels, max_of_three
from jaxvision.typing import Array, Float

REDUCTION, LEAST_RELATION = 8, 8
DILATIONS, KERNEL = (1, 2), 5


class ChannelGraphs(nn.Module):
  """Graph convolution whose graph each channel refines by the input's relations.

  Submodules are "target", "source", "refine" and "project". A relation is the tanh of
  the difference of two joints' embeddings, means over time. We take the mean before the
  embedding: the same function for less.

  Attributes:
    width: channels out.
    relation: channels of the relations.
    dtype: of the computation.
  """

  width: int
  relation: int
  dtype: Any = None

  @nn.compact
  def __call__(
    self,
    x: Float[Array, "b v t c"],
    graph: Float[Array, "v v"],
    scale: Float[Array, "1"],
  ) -> Float[Array, "b v t d"]:
    """Convolves.

    Args:
      x: features.
      graph: [source, target], which all channels share.
      scale: of the refinement.
    """
    layer = lambda width, name: Pointwise(
      width, kernel_init=FAN_OUT, dtype=self.dtype, name=name
    )
    mean = x.mean(2)
    target, source = (layer(self.relation, n)(mean) for n in ("target", "source"))
    relations = jnp.tanh(target[:, None] - source[:, :, None])
    refined = scale * layer(self.width, "refine")(relations) + graph[..., None]
    return aggregate_channels(layer(self.width, "project")(x), refined)


class MultiScaleTemporal(nn.Module):
  """Four branches over time: two dilated convolutions, a maximum, and one frame.

  Submodules of branch i are "reduce<i>_conv" and "reduce<i>_norm", and "temporal<i>"
  and "norm<i>" as it has them; the taps "relu0", "relu1", "relu2".

  Attributes:
    width: channels out, a quarter a branch.
    stride: in time.
    dtype: of the computation.
  """

  width: int
  stride: int = 1
  dtype: Any = None

  @nn.compact
  def __call__(
    self, x: Float[Array, "b v t c"], train: bool
  ) -> Float[Array, "b v s d"]:
    """Returns features, which may be negative."""
    width, dtype, found = self.width // 4, self.dtype, []
    reduce = lambda x, i: skeleton.batch_norm_projection(
      x, width, train, name=f"reduce{i}", bias=True, dtype=dtype
    )
    for i, dilation in enumerate(DILATIONS):
      y = Tap(name=f"relu{i}")(nn.relu(reduce(x, i)))
      options = dict(stride=self.stride, dilation=dilation, bias=True, dtype=dtype)
      y = temporal_conv(width, KERNEL, name=f"temporal{i}", **options)(y)
      found.append(parts.norm(train, dtype=dtype, name=f"norm{i}")(y))
    y = Tap(name="relu2")(nn.relu(reduce(x, 2)))
    y = max_of_three(y, stride=self.stride)
    found.append(parts.norm(train, dtype=dtype, name="norm2")(y))
    found.append(reduce(x[:, :, :: self.stride], 3))
    return jnp.concatenate(found, axis=-1)


class CTRGCNBlock(nn.Module):
  """Channel-wise graph convolutions, then branches over time, beside a shortcut.

  Submodules are "graph0", "graph1", ..., "norm1", "down_conv" and "down_norm" (of the
  graph convolution's own shortcut), "temporal", "shortcut_conv" and "shortcut_norm";
  the taps "relu1" and "relu". Parameters are "graphs", which start as the skeleton, and
  "refinement", which starts at zero.

  Attributes:
    width: channels out.
    stride: in time.
    residual: whether there is a shortcut around all.
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
    relation = max(x.shape[-1] // REDUCTION, LEAST_RELATION)
    learned = self.param("graphs", lambda key: adjacency)
    scale = self.param("refinement", nn.initializers.zeros, (1,))
    y = 0
    for k, graph in enumerate(learned):
      name = f"graph{k}"
      y += ChannelGraphs(self.width, relation, self.dtype, name=name)(x, graph, scale)
    y = parts.norm(train, dtype=self.dtype, scale_init=SMALL, name="norm1")(y)
    y += skeleton.shortcut(x, self.width, train, name="down", dtype=self.dtype)
    y = Tap(name="relu1")(nn.relu(y))
    y = MultiScaleTemporal(self.width, self.stride, self.dtype, name="temporal")(
      y, train
    )
    if self.residual:
      y += skeleton.shortcut(x, self.width, train, stride=self.stride, dtype=self.dtype)
    return Tap(name="relu")(nn.relu(y))


class CTRGCN(skeleton.SequentialNetwork):
  """Ten blocks; at its defaults 1,446,672 parameters.

  Fields are those of `SequentialNetwork`; places in a block are "relu1",
  "temporal/relu0", ..., "relu".
  """

  def _block(self) -> Callable[..., nn.Module]:
    kind = parts.rematerialized(CTRGCNBlock, self.remat)
    return functools.partial(kind, dtype=self.dtype)

  def _adjacency(self, graph: graphs.SkeletonGraph) -> Float[Array, "k v v"]:
    # The authors sum over the second index of the matrix, the target elsewhere.
    return graphs.spatial_adjacency(graph).swapaxes(1, 2)
