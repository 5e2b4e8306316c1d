"""Layers of skeleton networks, on features [b, v, t, c]: joints in front of time."""

from typing import Any, no_type_check

import flax.linen as nn
import jax.numpy as jnp

from jaxvision.layers.convolution import Conv
from jaxvision.layers.normalization import BatchNorm
from jaxvision.ops import graph_convolution
from jaxvision.typing import Array, Float

# He's initial values by what a layer feeds, `mode="fan_out"` of torch's.
FAN_OUT = nn.initializers.variance_scaling(2.0, "fan_out", "normal")


@no_type_check  # Flax annotates an inherited field with a type that defies the checker.
class Pointwise(nn.Dense):
  """`flax.linen.Dense` on all leading axes at once: one plain matrix product.

  A product on many axes has a gradient that transposes the features first.
  """

  @nn.compact
  def __call__(self, x: Array) -> Array:
    """Projects the last axis."""
    y = super().__call__(x.reshape(-1, x.shape[-1]))
    return y.reshape(*x.shape[:-1], -1)


def temporal_conv(
  width: int,
  size: int,
  *,
  name: str,
  stride: int = 1,
  dilation: int = 1,
  bias: bool = False,
  dtype: Any = None,
) -> Conv:
  """A convolution over the time of each joint, padded alike at both ends.

  Args:
    width: channels out.
    size: frames that the kernel covers, an odd number.
    name: of the module.
    stride: step between windows.
    dilation: step between the kernel's taps.
    bias: whether there is one.
    dtype: of the computation.
  """
  pad = (size - 1) * dilation // 2
  return Conv(
    width,
    (1, size),
    strides=(1, stride),
    padding=((0, 0), (pad, pad)),
    kernel_dilation=(1, dilation),
    use_bias=bias,
    kernel_init=FAN_OUT,
    dtype=dtype,
    name=name,
  )


class AttentionGraph(nn.Module):
  """Graphs from the features themselves, one a sequence and head.

  Submodules are "theta" and "phi". The bias of "theta" has no effect, in the authors'
  code neither: it shifts all sources of a target alike, and the softmax is over them.

  Attributes:
    width: channels of the embeddings of a head.
    heads: number of graphs.
    dtype: of the embeddings; graphs are float32.
  """

  width: int
  heads: int = 1
  dtype: Any = None

  @nn.compact
  def __call__(self, x: Float[Array, "b v t c"]) -> Float[Array, "b k v v"]:
    """Returns graphs [source, target], columns of which sum to 1."""
    embed = lambda name: jnp.split(
      Pointwise(
        self.heads * self.width, kernel_init=self._init, dtype=self.dtype, name=name
      )(x),
      self.heads,
      axis=-1,
    )
    pairs = zip(embed("theta"), embed("phi"), strict=True)
    return jnp.stack([graph_convolution.attention_graph(*pair) for pair in pairs], 1)

  def _init(self, key: Any, shape: Any, dtype: Any = jnp.float32) -> Array:
    """`FAN_OUT` of one head, whatever the number of heads."""
    return nn.initializers.normal((2 / self.width) ** 0.5)(key, shape, dtype)


class InputNorm(nn.Module):
  """Batch-normalizes every coordinate of every joint, "data BN" of the papers' codes.

  Attributes:
    persons: whether each person of a sequence has statistics of their own, as in
      2s-AGCN and STIGCN, or all share them, as in ST-GCN.
    dtype: of the computation.
  """

  persons: bool = True
  dtype: Any = None

  @nn.compact
  def __call__(
    self, x: Float[Array, "b m t v c"], train: bool
  ) -> Float[Array, "n v t c"]:
    """Returns features of b * m sequences, persons of an example adjacent."""
    b, m, t, v, c = x.shape
    norm = BatchNorm(use_running_average=not train, dtype=self.dtype, name="norm")
    if self.persons:
      x = norm(x.swapaxes(1, 2).reshape(b, t, -1)).reshape(b, t, m, v, c)
      return x.transpose(0, 2, 3, 1, 4).reshape(b * m, v, t, c)
    x = norm(x.reshape(b * m, t, -1)).reshape(b * m, t, v, c)
    return x.swapaxes(1, 2)
