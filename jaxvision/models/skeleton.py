"""What networks on skeleton sequences share: checks, stages, shortcuts, the head."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import flax.linen as nn
import jax.numpy as jnp

from jaxvision.errors import UserError
from jaxvision.layers.graph import FAN_OUT, InputNorm, Pointwise
from jaxvision.layers.tap import Tap
from jaxvision.models import parts
from jaxvision.ops import graphs
from jaxvision.typing import Array, Bool, Float

# Blocks and widths of the three stages of ST-GCN, 2s-AGCN and CTR-GCN.
LAYERS, WIDTHS = (4, 3, 3), (64, 128, 256)


def check_input(x: Array, graph: graphs.SkeletonGraph, *, frames: int = 1) -> None:
  """Checks the sizes of sequences [b, m, t, v, c].

  Raises:
    UserError: joints that are not the graph's, or less than so many frames.
  """
  _, _, t, v, _ = x.shape
  if v != graph.joints:
    raise UserError(
      f"the sequences have {v} joints, but the skeleton has {graph.joints}; set "
      "config.model.graph to the skeleton of the data."
    )
  if t < frames:
    raise UserError(
      f"the sequences have {t} frames, and this network halves them to nothing; give "
      f"at least {frames}."
    )


def present(x: Float[Array, "b m t v c"]) -> Bool[Array, "b m"]:
  """Whether a person is there at all: empty ones are zeros in all frames."""
  return (x != 0).any((2, 3, 4))


def batch_norm_projection(
  x: Float[Array, "b v t c"],
  width: int,
  train: bool,
  *,
  name: str,
  bias: bool = False,
  dtype: Any = None,
  **norm: Any,
) -> Float[Array, "b v t d"]:
  """A 1x1 convolution "<name>_conv" and its norm "<name>_norm", without activation."""
  conv = Pointwise(width, bias, kernel_init=FAN_OUT, dtype=dtype, name=f"{name}_conv")
  return parts.norm(train, dtype=dtype, name=f"{name}_norm", **norm)(conv(x))


def shortcut(
  x: Float[Array, "b v t c"],
  width: int,
  train: bool,
  *,
  stride: int = 1,
  bias: bool = True,
  name: str = "shortcut",
  dtype: Any = None,
) -> Float[Array, "b v s d"]:
  """`x` itself, or projected and normalized where the shape is to change."""
  if x.shape[-1] == width and stride == 1:
    return x
  return batch_norm_projection(
    x[:, :, ::stride], width, train, name=name, bias=bias, dtype=dtype
  )


def person_mean(
  x: Float[Array, "n v t c"], persons: int, mask: Bool[Array, "b m"] | None = None
) -> Float[Array, "b c"]:
  """Means over joints, time and persons, the tap "pool".

  Args:
    x: features of b * m sequences.
    persons: m.
    mask: persons to count; None counts all, as the authors' codes do. Where it counts
      none, the mean is over all.
  """
  x = x.mean((1, 2)).reshape(-1, persons, x.shape[-1])
  if mask is None:
    return Tap(name="pool")(x.mean(1))
  weights = jnp.where(mask.any(1, keepdims=True), mask, True).astype(x.dtype)
  mean = (x * weights[..., None]).sum(1) / weights.sum(1)[:, None]
  return Tap(name="pool")(mean)


def classify(
  x: Float[Array, "b c"], classes: int, train: bool, *, dropout: float, dtype: Any
) -> Float[Array, "b n"]:
  """Dropout and the layer "logits", with standard deviation sqrt(2 / classes)."""
  if dropout:
    x = nn.Dropout(dropout, deterministic=not train, name="dropout")(x)
  init = nn.initializers.normal((2 / max(classes, 1)) ** 0.5)
  return parts.logits(x, classes, init=init, dtype=dtype)


class SequentialNetwork(nn.Module):
  """Blocks "block1", "block2", ... between the norm of the input and the logits.

  The frame of ST-GCN, 2s-AGCN and CTR-GCN, which say what a block and the adjacency
  are. Other places are "input", "input_norm", "pool" and "logits". Initial values are
  He's.

  Attributes:
    classes: width of the layer "logits"; 0 returns the pooled features.
    graph: name of the skeleton, see `ops.graphs.skeleton`.
    layers: blocks of the stages; all but the first halve time.
    widths: channels of the stages.
    dropout: rate in front of the logits; with `DROPOUT_IN_BLOCKS` within the blocks.
    mask_persons: whether empty persons are left out of the mean over persons.
    remat: computes activations within blocks anew in the backward pass.
    dtype: of the computation, as "bfloat16"; parameters and logits are float32.
  """

  NORM_PERSONS: ClassVar[bool] = True  # see `InputNorm.persons`
  DROPOUT_IN_BLOCKS: ClassVar[bool] = False

  classes: int = 60
  graph: str = "ntu"
  layers: Sequence[int] = LAYERS
  widths: Sequence[int] = WIDTHS
  dropout: float = 0.0
  mask_persons: bool = False
  remat: bool = False
  dtype: Any = None

  @nn.compact
  def __call__(
    self, x: Float[Array, "b m t v c"], train: bool = False
  ) -> Float[Array, "b classes"]:
    """Returns logits of sequences of coordinates of m persons."""
    graph, persons = graphs.skeleton(self.graph), x.shape[1]
    check_input(x, graph)
    mask = present(x) if self.mask_persons else None
    x = Tap(name="input")(x)
    x = InputNorm(self.NORM_PERSONS, self.dtype, name="input_norm")(x, train)
    block, adjacency = self._block(), self._adjacency(graph)
    for i, (width, stride) in enumerate(_blocks(self.layers, self.widths), start=1):
      residual = i > 1
      y = block(width=width, stride=stride, residual=residual, name=f"block{i}")
      x = y(x, train, adjacency)
    x = person_mean(x, persons, mask)
    dropout = 0.0 if self.DROPOUT_IN_BLOCKS else self.dropout
    return classify(x, self.classes, train, dropout=dropout, dtype=self.dtype)

  def _block(self) -> Callable[..., nn.Module]:
    """Makes a block, called with (x, train, adjacency), of width, stride, ..., name."""
    raise NotImplementedError

  def _adjacency(self, graph: graphs.SkeletonGraph) -> Float[Array, "k j j"]:
    raise NotImplementedError


def _blocks(layers: Sequence[int], widths: Sequence[int]) -> list[tuple[int, int]]:
  """Width and stride of each block: all stages but the first start with a stride."""
  if len(layers) != len(widths):
    raise UserError(
      f"config.model.widths is {tuple(widths)} and config.model.layers "
      f"{tuple(layers)}; give one of each a stage."
    )
  return [
    (width, 2 if stage > 0 and i == 0 else 1)
    for stage, (width, blocks) in enumerate(zip(widths, layers, strict=True))
    for i in range(blocks)
  ]
