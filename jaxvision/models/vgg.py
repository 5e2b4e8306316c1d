"""VGG networks (Simonyan & Zisserman, ICLR 2015)."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn

from jaxvision.errors import UserError
from jaxvision.layers.tap import Tap
from jaxvision.models import parts
from jaxvision.ops.pooling import max_pool
from jaxvision.typing import Array, Float

# 3x3 convolutions of the five stages, by depth.
DEPTHS = {
  11: (1, 1, 2, 2, 2),
  13: (2, 2, 2, 2, 2),
  16: (2, 2, 3, 3, 3),
  19: (2, 2, 4, 4, 4),
}
STAGES = 5


class VGG(nn.Module):
  """Five stages of 3x3 convolutions and 2x2 max-pooling, two dense layers, logits.

  VGG16 has 138,357,544 parameters at 224 pixels, as torchvision's.

  Places: "input", "relu1_1", "relu1_2", "pool1", ..., "pool5", "relu6", "relu7",
  "logits". Dropout is not part of it: insert it behind "relu6" and "relu7".

  Attributes:
    depth: one of `DEPTHS`.
    classes: width of the layer "logits"; 0 returns the last hidden layer.
    norm: "none" or "batch".
    width: channels of the first stage; each has twice those before it, up to 8 times.
    dense_width: units of the layers "dense6" and "dense7".
    flatten: the dense layers see all positions; otherwise their mean, "pool", which
      fits images of any size (the form for 32x32).
    mean: of the pixels, subtracted inside; see `parts.standardize`.
    std: of the pixels, divided by inside.
    dtype: of the computation, as "bfloat16"; parameters and logits are float32.
  """

  depth: int = 16
  classes: int = 1000
  norm: str = "none"
  width: int = 64
  dense_width: int = 4096
  flatten: bool = True
  mean: Sequence[float] = ()
  std: Sequence[float] = ()
  dtype: Any = None

  @nn.compact
  def __call__(
    self, x: Float[Array, "b h w c"], train: bool = False
  ) -> Float[Array, "b classes"]:
    """Returns logits."""
    self._check(x)
    x = parts.standardize(Tap(name="input")(x), self.mean, self.std)
    for i, layers in enumerate(DEPTHS[self.depth], start=1):
      for j in range(1, layers + 1):
        x = self._convolve(x, f"{i}_{j}", self.width * min(2 ** (i - 1), 8), train)
      x = Tap(name=f"pool{i}")(max_pool(x, 2))
    x = x.reshape(x.shape[0], -1) if self.flatten else parts.pooled(x, train)
    small = nn.initializers.normal(0.01)
    for i in (6, 7):
      name = f"dense{i}"
      x = nn.Dense(self.dense_width, kernel_init=small, dtype=self.dtype, name=name)(x)
      x = Tap(name=f"relu{i}")(nn.relu(x))
    return parts.logits(x, self.classes, init=small, dtype=self.dtype)

  def _convolve(self, x: Array, place: str, width: int, train: bool) -> Array:
    x = parts.conv(width, 3, bias=True, dtype=self.dtype, name=f"conv{place}")(x)
    if self.norm == "batch":
      x = parts.norm(train, dtype=self.dtype, name=f"norm{place}")(x)
    return Tap(name=f"relu{place}")(nn.relu(x))

  def _check(self, x: Array) -> None:
    parts.choose("depth", self.depth, tuple(DEPTHS))
    parts.choose("norm", self.norm, ("none", "batch"))
    least = 2**STAGES
    if min(x.shape[1:3]) < least:
      raise UserError(
        f"VGG needs images of {least}x{least} pixels or more; these have "
        f"{x.shape[1]}x{x.shape[2]}."
      )
