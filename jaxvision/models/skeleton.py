"""What networks on skeleton sequences share: checks, stages, shortcuts, the head."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

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


def sequential_network(
  block: Callable[..., nn.Module],
  x: Float[Array, "b m t v c"],
  train: bool,
  *,
  adjacency: Float[Array, "k j j"],
  settings: "SequentialSettings",
  norm_persons: bool = True,
) -> Float[Array, "b classes"]:
  """Blocks "block1", "block2", ... between the norm of the input and the logits.

  For the body of a compact module.

  Args:
    block: makes a block from width, stride, residual and name; it is called with
      (x, train, adjacency).
    x: sequences of coordinates of m persons.
    train: whether to drop out and to normalize by the batch.
    adjacency: of the skeleton.
    settings: the network's fields.
    norm_persons: see `InputNorm.persons`.
  """
  check_input(x, graphs.skeleton(settings.graph))
  dtype, persons = settings.dtype, x.shape[1]
  mask = present(x) if settings.mask_persons else None
  x = Tap(name="input")(x)
  x = InputNorm(norm_persons, dtype, name="input_norm")(x, train)
  for i, (width, stride) in enumerate(_blocks(settings), start=1):
    residual = i > 1
    y = block(width=width, stride=stride, residual=residual, name=f"block{i}")
    x = y(x, train, adjacency)
  x = person_mean(x, persons, mask)
  return classify(x, settings.classes, train, dropout=settings.dropout, dtype=dtype)


class SequentialSettings(NamedTuple):
  """Fields that ST-GCN, 2s-AGCN and CTR-GCN share; see those."""

  classes: int
  graph: str
  layers: Sequence[int]
  widths: Sequence[int]
  dropout: float
  mask_persons: bool
  dtype: Any


def _blocks(settings: SequentialSettings) -> list[tuple[int, int]]:
  """Width and stride of each block: all stages but the first start with a stride."""
  layers, widths = settings.layers, settings.widths
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
