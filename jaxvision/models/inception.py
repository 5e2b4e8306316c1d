"""Block of STIGCN: a spatial, a temporal and a residual path, summed.

Huang et al. (2020), "Spatio-Temporal Inception Graph Convolutional Networks for
Skeleton-Based Action Recognition", ACM MM; details by the authors' code.
"""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jaxvision.layers.graph import AttentionGraph, Pointwise, temporal_conv
from jaxvision.layers.tap import Tap
from jaxvision.models import parts, skeleton
from jaxvision.ops.graph_convolution import aggregate_branches, temporal_difference
from jaxvision.typing import Array, Float

SMALL = nn.initializers.constant(1e-6)
TEMPORAL = ("position", "motion")


class SpatialInception(nn.Module):
  """Graph convolutions side by side, concatenated and fused by a 1x1 convolution.

  The projections of all branches are one layer, "project", with one norm: as norms are
  by channel, the same function as a layer and a norm a branch. Further submodules are
  "attention", "fusion_conv" and "fusion_norm", the tap "relu"; own parameters are
  "graphs", added to the fixed ones, and "attention_scale".

  Attributes:
    width: channels out.
    branch_width: channels of a branch.
    adaptive: whether graphs are learned, on top of the fixed ones.
    data_graph: graph from the features, on top: "shared" by the branches, one for each
      "branch", or "none".
    scale_init: of the fusion's norm.
    dtype: of the computation.
  """

  width: int
  branch_width: int
  adaptive: bool = True
  data_graph: str = "shared"
  scale_init: Any = nn.initializers.ones
  dtype: Any = None

  @nn.compact
  def __call__(
    self, x: Float[Array, "b v t c"], train: bool, fixed: Float[Array, "k v v"]
  ) -> Float[Array, "b v t d"]:
    """Returns features, which may be negative."""
    branches = len(fixed)
    y = Pointwise(
      branches * self.branch_width,
      use_bias=False,
      kernel_init=nn.initializers.normal((2 / self.branch_width) ** 0.5),
      dtype=self.dtype,
      name="project",
    )(x)
    y = aggregate_branches(y, self._graphs(x, fixed))
    y = parts.norm(train, dtype=self.dtype, name="norm")(y)
    return _fused(self, Tap(name="relu")(nn.relu(y)), train)

  def _graphs(self, x: Array, fixed: Array) -> Array:
    """Fixed, learned and data-dependent graphs, summed: [k, v, v] or [b, k, v, v]."""
    graphs = fixed
    if self.adaptive:
      graphs = graphs + self.param("graphs", SMALL, fixed.shape)
    choices = ("shared", "branch", "none")
    if parts.choose("data_graph", self.data_graph, choices) == "none":
      return graphs
    heads = 1 if self.data_graph == "shared" else len(fixed)
    attention = AttentionGraph(self.width // 4, heads, self.dtype, name="attention")
    scale = self.param("attention_scale", SMALL, (heads,))
    return graphs + scale[:, None, None] * attention(x)


class TemporalInception(nn.Module):
  """Convolutions over time of features and of their motion, concatenated and fused.

  Submodules are "position", "motion", "norm" (of both), "fusion_conv" and
  "fusion_norm"; the tap "relu".

  Attributes:
    width: channels out.
    branch_width: channels of a branch.
    branches: of `TEMPORAL`.
    scale_init: of the fusion's norm.
    dtype: of the computation.
  """

  width: int
  branch_width: int
  branches: Sequence[str] = TEMPORAL
  scale_init: Any = nn.initializers.ones
  dtype: Any = None

  @nn.compact
  def __call__(
    self, x: Float[Array, "b v t c"], train: bool
  ) -> Float[Array, "b v t d"]:
    """Returns features, which may be negative."""
    found = []
    for branch in self.branches:
      parts.choose("temporal", branch, TEMPORAL)
      seen = temporal_difference(x) if branch == "motion" else x
      conv = temporal_conv(self.branch_width, 3, dtype=self.dtype, name=branch)
      found.append(conv(seen))
    y = jnp.concatenate(found, axis=-1)
    y = parts.norm(train, dtype=self.dtype, name="norm")(y)
    return _fused(self, Tap(name="relu")(nn.relu(y)), train)


def _fused(
  module: SpatialInception | TemporalInception, x: Array, train: bool
) -> Float[Array, "b v t d"]:
  return skeleton.batch_norm_projection(
    x,
    module.width,
    train,
    name="fusion",
    dtype=module.dtype,
    scale_init=module.scale_init,
  )


class InceptionBlock(nn.Module):
  """ReLU of the sum of a spatial, a temporal and a residual path.

  Submodules are "spatial", "temporal" and, where the width changes, "shortcut_conv" and
  "shortcut_norm"; the tap "relu". Where there is a residual path, the last norm of the
  others starts with a scale of 1e-6, so that the block starts as the ReLU of it.

  Attributes:
    width: channels out.
    residual: whether there is a residual path.
    zero_init: whether the norms start so.
    paths: "parallel", or "sequential": the temporal path sees the spatial one's output,
      as in ST-GCN.
    branch_width: "total", the branches share the width, or "each", they keep that of
      all four spatial and both temporal ones however many there are.
    temporal: branches of the temporal path.
    adaptive: see `SpatialInception`.
    data_graph: see `SpatialInception`.
    dtype: of the computation.
  """

  width: int
  residual: bool = True
  zero_init: bool = True
  paths: str = "parallel"
  branch_width: str = "total"
  temporal: Sequence[str] = TEMPORAL
  adaptive: bool = True
  data_graph: str = "shared"
  dtype: Any = None

  @nn.compact
  def __call__(
    self, x: Float[Array, "b v t c"], train: bool, fixed: Float[Array, "k v v"]
  ) -> Float[Array, "b v t d"]:
    """Returns features, none of them negative."""
    parallel = parts.choose("paths", self.paths, ("parallel", "sequential"))
    parallel = parallel == "parallel"
    small = SMALL if self.residual and self.zero_init else nn.initializers.ones
    y = SpatialInception(
      self.width,
      self._width(len(fixed), 4),
      self.adaptive,
      self.data_graph,
      # A sequential path that is nearly zero halfway has nothing to normalize.
      small if parallel else nn.initializers.ones,
      self.dtype,
      name="spatial",
    )(x, train, fixed)
    temporal = TemporalInception(
      self.width,
      self._width(len(self.temporal), 2),
      self.temporal,
      small,
      self.dtype,
      name="temporal",
    )
    y = y + temporal(x, train) if parallel else temporal(nn.relu(y), train)
    if self.residual:
      y += skeleton.shortcut(x, self.width, train, bias=False, dtype=self.dtype)
    return Tap(name="relu")(nn.relu(y))

  def _width(self, branches: int, usual: int) -> int:
    total = parts.choose("branch_width", self.branch_width, ("total", "each"))
    return self.width // (branches if total == "total" else usual)
