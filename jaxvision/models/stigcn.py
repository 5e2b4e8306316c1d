"""Spatio-temporal inception graph convolutional network (STIGCN).

Huang, Shen, Tian, Li, Huang, Hua (2020), "Spatio-Temporal Inception Graph Convolutional
Networks for Skeleton-Based Action Recognition", ACM MM; details by the authors' code.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jaxvision.errors import UserError
from jaxvision.layers.graph import InputNorm
from jaxvision.layers.tap import Tap
from jaxvision.models import parts, skeleton
from jaxvision.models.inception import TEMPORAL, InceptionBlock
from jaxvision.ops import graphs
from jaxvision.ops.graph_convolution import halve_time
from jaxvision.typing import Array, Float

LAYERS, WIDTHS, POOLS = (3, 3, 3), (64, 64, 128, 256), 3
BRANCHES = ("joint", "bone", "chebyshev", "high", "neighborhood")


class STIGCN(nn.Module):
  """Ten inception blocks on sequences of joints; time is halved three times.

  At its defaults 1,596,474 parameters. Places are "input", "input_norm", "stem",
  "stage1/block0/spatial/relu", "stage1/block0/temporal/relu", "stage1/block0/relu",
  ..., "pool", "logits". Features in between are [persons of all examples, v, t, c].

  Attributes:
    classes: width of the layer "logits"; 0 returns the pooled features.
    graph: name of the skeleton, see `ops.graphs.skeleton`.
    layers: blocks of the stages after the stem.
    widths: channels of the stem and of the stages.
    pools: how often time is halved: after the stem, after the first stage and so on.
    branches: of `BRANCHES`, the spatial ones. All but the last, which is the mean of a
      joint, its parent and its children, are the paper's.
    order_mode: see `ops.graphs.inception_adjacency`.
    branch_width: "total", branches share a block's width, or "each", they keep a
      quarter (temporal ones half) of it however many there are.
    adaptive: whether graphs are learned, on top of the fixed ones.
    data_graph: graph from the features, on top: "shared" by the branches, one for each
      "branch", or "none".
    temporal: "position", "motion" or both, the temporal branches.
    paths: "parallel", or "sequential" as in ST-GCN.
    residual: whether blocks but the first have a residual path.
    zero_init: whether these start as that path alone, nearly.
    dropout: rate in front of the logits.
    mask_persons: whether empty persons are left out of the mean. The authors count
      them.
    remat: computes activations within blocks anew in the backward pass.
    dtype: of the computation, as "bfloat16"; parameters and logits are float32.
  """

  classes: int = 60
  graph: str = "ntu"
  layers: Sequence[int] = LAYERS
  widths: Sequence[int] = WIDTHS
  pools: int = POOLS
  branches: Sequence[str] = BRANCHES[:4]
  order_mode: str = "elementwise"
  branch_width: str = "total"
  adaptive: bool = True
  data_graph: str = "shared"
  temporal: Sequence[str] = TEMPORAL
  paths: str = "parallel"
  residual: bool = True
  zero_init: bool = True
  dropout: float = 0.5
  mask_persons: bool = False
  remat: bool = False
  dtype: Any = None

  @nn.compact
  def __call__(
    self, x: Float[Array, "b m t v c"], train: bool = False
  ) -> Float[Array, "b classes"]:
    """Returns logits.

    Args:
      x: sequences of coordinates of m persons; of absent persons, zeros. Swapping
        persons changes the output, as the input's norm knows them apart.
      train: whether to drop out and to normalize by the batch.
    """
    self._check()
    skeleton.check_input(x, graphs.skeleton(self.graph), frames=2**self.pools)
    fixed, persons = self._fixed(), x.shape[1]
    mask = skeleton.present(x) if self.mask_persons else None
    x = InputNorm(dtype=self.dtype, name="input_norm")(Tap(name="input")(x), train)
    block = functools.partial(
      parts.rematerialized(InceptionBlock, self.remat),
      zero_init=self.zero_init,
      paths=self.paths,
      branch_width=self.branch_width,
      temporal=self.temporal,
      adaptive=self.adaptive,
      data_graph=self.data_graph,
      dtype=self.dtype,
    )
    x = block(width=self.widths[0], residual=False, name="stem")(x, train, fixed)
    for i, blocks in enumerate(self.layers, start=1):
      x = halve_time(x) if i <= self.pools else x
      make = functools.partial(block, width=self.widths[i], residual=self.residual)
      x = InceptionStage(make, blocks, name=f"stage{i}")(x, train, fixed)
    x = halve_time(x) if len(self.layers) < self.pools else x
    x = skeleton.person_mean(x, persons, mask)
    return skeleton.classify(
      x, self.classes, train, dropout=self.dropout, dtype=self.dtype
    )

  def _check(self) -> None:
    if len(self.widths) != len(self.layers) + 1:
      raise UserError(
        f"config.model.widths is {tuple(self.widths)}; {len(self.layers)} stages need "
        "one more: the first width is the stem's."
      )
    if not 0 <= self.pools <= len(self.layers) + 1:
      raise UserError(
        f"config.model.pools is {self.pools}; with {len(self.layers)} stages there is "
        f"room for {len(self.layers) + 1}."
      )
    for field in ("branches", "temporal"):
      chosen = getattr(self, field)
      if not chosen or len(set(chosen)) != len(chosen):
        raise UserError(
          f"config.model.{field} is {tuple(chosen)}; name one or more, each once."
        )

  def _fixed(self) -> Float[Array, "k v v"]:
    """The fixed graphs of the chosen branches, in their order."""
    adjacency = graphs.spatial_adjacency(graphs.skeleton(self.graph))
    four = graphs.inception_adjacency(adjacency, mode=self.order_mode)
    known = dict(zip(BRANCHES, (*four, graphs.neighborhood(adjacency)), strict=True))
    return jnp.stack(
      [known[parts.choose("branches", name, BRANCHES)] for name in self.branches]
    )


class InceptionStage(nn.Module):
  """Blocks "block0", "block1", ... of one width.

  Attributes:
    block: makes a block from `name`; it is called with (x, train, fixed).
    blocks: how many.
  """

  block: Callable[..., nn.Module]
  blocks: int

  @nn.compact
  def __call__(
    self, x: Float[Array, "b v t c"], train: bool, fixed: Float[Array, "k v v"]
  ) -> Array:
    """Applies the blocks in turn."""
    for i in range(self.blocks):
      x = self.block(name=f"block{i}")(x, train, fixed)
    return x


def multiply_adds(
  *,
  classes: int = 60,
  joints: int = 25,
  frames: int = 300,
  persons: int = 2,
  channels: int = 3,
  layers: Sequence[int] = LAYERS,
  widths: Sequence[int] = WIDTHS,
  project_first: bool = False,
) -> int:
  """Counts the multiply-adds of an example through STIGCN of all four branches.

  4.397e9 for NTU RGB+D 60 in the order of the authors' code, graphs first. Projected
  first, as this network is computed, it is the same function for less.

  Args:
    classes: number of classes.
    joints: of the skeleton.
    frames: of a sequence.
    persons: of a sequence.
    channels: coordinates of a joint.
    layers: blocks of the stages after the stem.
    widths: channels of the stem and of the stages.
    project_first: whether features are projected before they are aggregated.
  """
  counts, c, t = (1, *layers), channels, frames
  total = widths[-1] * classes
  for i, (blocks, d) in enumerate(zip(counts, widths, strict=True)):
    t = t // 2 if 1 <= i <= POOLS else t
    for _ in range(blocks):
      aggregated = d if project_first else 4 * c
      spatial = aggregated * joints + c * d + d * d
      attention = c * d // 2 + joints * (d // 4)
      temporal = 3 * c * d + d * d
      shortcut = c * d if c != d and i > 0 else 0
      one = spatial + attention + temporal + shortcut
      total, c = total + one * t * joints * persons, d
  return total
