"""Parts of one-stage temporal detectors: trunk, anchor pyramid, prediction head.

GTAN (Long et al., CVPR 2019) and its authors' later AherNet (ECCV 2020) share them.
GTAN's own code was never published; sizes and paddings are those of AherNet's.
"""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxvision.errors import UserError
from jaxvision.layers.convolution import Conv
from jaxvision.layers.tap import Tap
from jaxvision.ops.detections import DetectionOutputs
from jaxvision.typing import Array, Float

BASE_WIDTHS = (2048, 1024)
ANCHOR_WIDTHS = (256, 256, 512, 512, 1024, 1024, 2048, 2048)
XAVIER = nn.initializers.xavier_uniform()


class TemporalBase(nn.Module):
  """Convolutions over time with ReLU, then max-pooling: 512 steps become 255.

  Submodules are "conv1", ...; the taps "relu1", ..., "pool".

  Attributes:
    widths: channels of the convolutions.
    dtype: of the computation, as "bfloat16".
  """

  widths: Sequence[int] = BASE_WIDTHS
  dtype: Any = None

  @nn.compact
  def __call__(self, x: Float[Array, "b t d"]) -> Float[Array, "b s c"]:
    """Returns features of (t - 3) // 2 + 1 steps."""
    if x.shape[1] < 3:
      raise UserError(
        f"the input has {x.shape[1]} steps and the pooling needs 3; "
        "give longer windows of features."
      )
    for i, width in enumerate(self.widths, start=1):
      conv = Conv(width, (3,), kernel_init=XAVIER, dtype=self.dtype, name=f"conv{i}")
      x = Tap(name=f"relu{i}")(nn.relu(conv(x)))
    return Tap(name="pool")(_max_pool(x))


def _max_pool(x: Array) -> Array:
  """Maxima of windows of 3 at stride 2, without padding.

  Three slices instead of `nn.max_pool`, whose gradient XLA's CPU backend computes one
  element at a time. Equal maxima share the gradient here.
  """
  last = 2 * ((x.shape[1] - 3) // 2) + 1
  return jnp.maximum(jnp.maximum(x[:, :last:2], x[:, 1 : last + 1 : 2]), x[:, 2::2])


class AnchorPyramid(nn.Module):
  """Convolutions of stride 2 with ReLU, one a layer: 255 steps become 128, 64, ..., 1.

  Padding is TensorFlow's "SAME": (0, 1) on even lengths, (1, 1) on odd ones. Submodules
  are "anchor1", ...; the taps "relu1", ...

  Attributes:
    widths: channels of the layers.
    dtype: of the computation, as "bfloat16".
  """

  widths: Sequence[int] = ANCHOR_WIDTHS
  dtype: Any = None

  @nn.compact
  def __call__(self, x: Float[Array, "b t d"]) -> tuple[Float[Array, "b _ _"], ...]:
    """Returns the features of every layer, the finest first."""
    layers = []
    for j, width in enumerate(self.widths, start=1):
      conv = Conv(
        width, (3,), (2,), kernel_init=XAVIER, dtype=self.dtype, name=f"anchor{j}"
      )
      x = Tap(name=f"relu{j}")(nn.relu(conv(x)))
      layers.append(x)
    return tuple(layers)


class TemporalBackbone(nn.Module):
  """`TemporalBase` "base", then `AnchorPyramid` "pyramid".

  Attributes:
    base_widths: channels of the convolutions before the pooling.
    anchor_widths: channels of the pyramid.
    dtype: of the computation, as "bfloat16".
  """

  base_widths: Sequence[int] = BASE_WIDTHS
  anchor_widths: Sequence[int] = ANCHOR_WIDTHS
  dtype: Any = None

  @nn.compact
  def __call__(self, x: Float[Array, "b t d"]) -> tuple[Float[Array, "b _ _"], ...]:
    """Returns the features of every layer, the finest first."""
    x = TemporalBase(self.base_widths, self.dtype, name="base")(x)
    return AnchorPyramid(self.anchor_widths, self.dtype, name="pyramid")(x)


class PredictionHead(nn.Module):
  """Predicts classes, offsets and overlaps of the anchors of one layer.

  Parallel convolutions "class", "offset" and "overlap"; their kernel of 3 is AherNet's.

  Attributes:
    classes: number of action classes; the logits have one more, background, first.
    ratios: number of anchors a cell.
    kernel: cells that a prediction sees, an odd number.
    dtype: of the computation; predictions are float32.
  """

  classes: int
  ratios: int = 3
  kernel: int = 3
  dtype: Any = None

  @nn.compact
  def __call__(
    self, x: Float[Array, "b t d"], neighbors: bool = True
  ) -> tuple[Float[Array, "b n k"], Float[Array, "b n 2"], Float[Array, "b n"]]:
    """Predicts from features; n is t * ratios, the ratios of a cell adjacent.

    Args:
      x: features of the cells, in the order of time.
      neighbors: whether the features of adjacent rows are those of adjacent cells. If
        not, as for merged kernels, every row stands in for its own neighbors.

    Returns:
      Logits, offsets of (center, width), and overlaps in (0, 1).
    """
    if self.kernel % 2 == 0:
      raise UserError(f"config.model.head_kernel is {self.kernel}; choose an odd one.")
    b, t, d = x.shape
    if neighbors:
      x = jnp.pad(x, ((0, 0), (self.kernel // 2,) * 2, (0, 0)))
    else:
      x = jnp.repeat(x.reshape(b * t, 1, d), self.kernel, axis=1)

    def predict(name: str, outputs: int) -> Float[Array, "b n k"]:
      conv = Conv(
        self.ratios * outputs,
        (self.kernel,),
        padding="VALID",
        kernel_init=XAVIER,
        dtype=self.dtype,
        name=name,
      )
      return conv(x).reshape(b, t * self.ratios, outputs).astype(jnp.float32)

    overlap = jax.nn.sigmoid(predict("overlap", 1)[..., 0])
    return predict("class", self.classes + 1), predict("offset", 2), overlap


def join_layers(layers: Sequence[tuple[Array, ...]]) -> DetectionOutputs:
  """Joins the layers' (logits, offsets, overlap, anchors, valid), the finest first."""
  joined = [jnp.concatenate(parts, axis=1) for parts in zip(*layers, strict=True)]
  sizes = [logits.shape[1] for logits, *_ in layers]
  number = np.repeat(np.arange(1, len(sizes) + 1, dtype=np.int32), sizes)
  return DetectionOutputs(*joined, layer=jnp.asarray(number))
