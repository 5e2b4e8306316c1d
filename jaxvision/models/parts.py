"""What image classifiers share: layers with torch's numbers, stages, heads."""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jaxvision.errors import UserError
from jaxvision.layers.convolution import Conv
from jaxvision.layers.normalization import BatchNorm
from jaxvision.layers.tap import Tap
from jaxvision.typing import Array, Float

HE = nn.initializers.he_normal()


def conv(
  width: int,
  size: int,
  *,
  name: str,
  stride: int = 1,
  pad: int | None = None,
  bias: bool = False,
  groups: int = 1,
  dtype: Any = None,
) -> Conv:
  """A square convolution, padded as torch pads: alike on all sides.

  "SAME" would differ where the stride is 2: it pads an even image on one side only.

  Args:
    width: channels out.
    size: side of the kernel.
    name: of the module.
    stride: step between windows.
    pad: zeros on each side; None is size // 2.
    bias: whether there is one.
    groups: of channels; as many as there are channels is a depthwise convolution.
    dtype: of the computation.
  """
  pad = size // 2 if pad is None else pad
  return Conv(
    width,
    (size, size),
    strides=(stride, stride),
    padding=((pad, pad), (pad, pad)),
    use_bias=bias,
    feature_group_count=groups,
    kernel_init=HE,
    dtype=dtype,
    name=name,
  )


def norm(train: bool, *, name: str, dtype: Any = None, **options: Any) -> BatchNorm:
  """Batch normalization by the batch in training; options are its other fields."""
  return BatchNorm(use_running_average=not train, dtype=dtype, name=name, **options)


def rematerialized(block: type[nn.Module], remat: bool) -> type[nn.Module]:
  """The block class, or one whose activations are computed anew in the backward pass.

  Names, variables, taps and insertions are the same. Called as `block(...)(x, train)`.
  """
  return nn.remat(block, static_argnums=(2,)) if remat else block


class Stage(nn.Module):
  """Blocks "block0", "block1", ...; the first one has the stage's stride.

  Attributes:
    block: makes a block from `stride` and `name`; it is called with (x, train).
    blocks: how many.
    stride: of the first.
  """

  block: Callable[..., nn.Module]
  blocks: int
  stride: int = 1

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"], train: bool) -> Array:
    """Applies the blocks in turn."""
    for i in range(self.blocks):
      x = self.block(stride=self.stride if i == 0 else 1, name=f"block{i}")(x, train)
    return x


def standardize(
  x: Float[Array, "b h w c"], mean: Sequence[float], std: Sequence[float]
) -> Float[Array, "b h w c"]:
  """Subtracts a mean and divides by a standard deviation a channel; empty: neither.

  For networks that are attacked in [0, 1] and take their input standardized.

  Raises:
    UserError: not one value a channel.
  """
  if not mean and not std:
    return x
  if {len(mean), len(std)} != {x.shape[-1]}:
    raise UserError(
      f"config.model.mean has {len(mean)} values and config.model.std {len(std)}; "
      f"these images need {x.shape[-1]} of each, or none."
    )
  return (x - jnp.asarray(mean, x.dtype)) / jnp.asarray(std, x.dtype)


def pooled(
  x: Float[Array, "b h w c"], train: bool, *, neck: bool = False, dtype: Any = None
) -> Float[Array, "b c"]:
  """Means over the positions, the tap "pool".

  Args:
    x: the last feature map.
    train: whether the neck normalizes by the batch.
    neck: batch-normalizes the means in "neck", which has no bias (Luo et al., 2019,
      "Bag of Tricks and a Strong Baseline for Deep Person Re-identification").
    dtype: of the computation.
  """
  x = Tap(name="pool")(x.mean((1, 2)))
  return norm(train, name="neck", use_bias=False, dtype=dtype)(x) if neck else x


def logits(
  x: Float[Array, "b d"],
  classes: int,
  *,
  bias: bool = True,
  init: Callable[..., Array] = HE,
  dtype: Any = None,
) -> Float[Array, "b n"]:
  """The layer "logits" in float32; no classes: the features themselves, a trunk."""
  if classes:
    dense = nn.Dense(classes, bias, kernel_init=init, dtype=dtype, name="logits")
    x = dense(x)
  return x.astype(jnp.float32)


def choose(field: str, value: Any, known: Sequence[Any]) -> Any:
  """Returns the value of a field, or tells which are known.

  Raises:
    UserError: another value.
  """
  if value not in known:
    raise UserError(
      f"config.model.{field} is {value!r}; choose one of {', '.join(map(str, known))}."
    )
  return value
