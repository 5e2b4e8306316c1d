"""Residual blocks: basic, bottleneck and pre-activation."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jaxvision.layers.tap import Tap
from jaxvision.models.parts import conv, norm
from jaxvision.typing import Array, Float


class BasicBlock(nn.Module):
  """Two 3x3 convolutions beside a shortcut, ReLU after the sum (He et al., 2016a).

  Attributes:
    width: channels out.
    stride: of the first convolution and of the shortcut.
    shortcut: where shapes change: "A", every stride-th pixel and zero channels on both
      sides, or "B", a 1x1 convolution and a norm.
    dtype: of the computation.
  """

  width: int
  stride: int = 1
  shortcut: str = "B"
  dtype: Any = None

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"], train: bool) -> Array:
    """Returns feature maps, no element of them negative."""
    y = conv(self.width, 3, stride=self.stride, dtype=self.dtype, name="conv1")(x)
    y = norm(train, dtype=self.dtype, name="norm1")(y)
    y = Tap(name="relu1")(nn.relu(y))
    y = conv(self.width, 3, dtype=self.dtype, name="conv2")(y)
    y = norm(train, dtype=self.dtype, name="norm2")(y)
    if self.shortcut == "A":
      x = padded_shortcut(x, self.width, self.stride)
    else:
      x = projected_shortcut(x, self.width, self.stride, train, self.dtype)
    return Tap(name="relu2")(nn.relu(x + y))


class Bottleneck(nn.Module):
  """1x1, 3x3 and 1x1 convolution beside a shortcut, ReLU after the sum.

  The stride is that of the 3x3 convolution, as in torchvision; He et al. (2016a) have
  it in the first 1x1.

  Attributes:
    width: channels within; four times as many come out.
    stride: of the 3x3 convolution and of the shortcut.
    dtype: of the computation.
  """

  width: int
  stride: int = 1
  dtype: Any = None

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"], train: bool) -> Array:
    """Returns feature maps, no element of them negative."""
    y = conv(self.width, 1, dtype=self.dtype, name="conv1")(x)
    y = norm(train, dtype=self.dtype, name="norm1")(y)
    y = Tap(name="relu1")(nn.relu(y))
    y = conv(self.width, 3, stride=self.stride, dtype=self.dtype, name="conv2")(y)
    y = norm(train, dtype=self.dtype, name="norm2")(y)
    y = Tap(name="relu2")(nn.relu(y))
    y = conv(4 * self.width, 1, dtype=self.dtype, name="conv3")(y)
    y = norm(train, dtype=self.dtype, name="norm3")(y)
    x = projected_shortcut(x, 4 * self.width, self.stride, train, self.dtype)
    return Tap(name="relu3")(nn.relu(x + y))


class PreActivationBlock(nn.Module):
  """Norm, ReLU, 3x3 convolution, twice, beside a shortcut (He et al., 2016b).

  Where the width changes, the shortcut is a 1x1 convolution of the normalized input;
  elsewhere it is the input itself.

  Attributes:
    width: channels out.
    stride: of the first convolution and of the shortcut.
    dtype: of the computation.
  """

  width: int
  stride: int = 1
  dtype: Any = None

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"], train: bool) -> Array:
    """Returns feature maps of any sign."""
    y = norm(train, dtype=self.dtype, name="norm1")(x)
    y = Tap(name="relu1")(nn.relu(y))
    if x.shape[-1] != self.width:
      x = conv(self.width, 1, stride=self.stride, dtype=self.dtype, name="shortcut")(y)
    y = conv(self.width, 3, stride=self.stride, dtype=self.dtype, name="conv1")(y)
    y = norm(train, dtype=self.dtype, name="norm2")(y)
    y = Tap(name="relu2")(nn.relu(y))
    return x + conv(self.width, 3, dtype=self.dtype, name="conv2")(y)


def padded_shortcut(
  x: Float[Array, "b h w c"], width: int, stride: int
) -> Float[Array, "b i j d"]:
  """Option A: every stride-th pixel; half of the new, zero channels on either side."""
  pad = (width - x.shape[-1]) // 2
  return jnp.pad(x[:, ::stride, ::stride], ((0, 0), (0, 0), (0, 0), (pad, pad)))


def projected_shortcut(
  x: Float[Array, "b h w c"], width: int, stride: int, train: bool, dtype: Any
) -> Float[Array, "b i j d"]:
  """Option B: a 1x1 convolution and a norm where the shape changes."""
  if stride == 1 and x.shape[-1] == width:
    return x
  x = conv(width, 1, stride=stride, dtype=dtype, name="shortcut_conv")(x)
  return norm(train, dtype=dtype, name="shortcut_norm")(x)
