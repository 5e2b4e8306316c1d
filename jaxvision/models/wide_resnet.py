"""Wide residual networks (Zagoruyko & Komodakis, BMVC 2016)."""

import functools
from collections.abc import Sequence
from typing import Any

import flax.linen as nn

from jaxvision.errors import UserError
from jaxvision.layers.tap import Tap
from jaxvision.models import parts
from jaxvision.models.parts import Stage
from jaxvision.models.residual import PreActivationBlock
from jaxvision.typing import Array, Float


class WideResNet(nn.Module):
  """WRN-depth-widen: three stages of pre-activation blocks on 32x32 images.

  Places: "input", "stage1/block0/relu1", "stage1/block0/relu2", ..., "relu" (the
  feature that is distilled), "pool", "logits". Dropout within the blocks is inserted
  behind "stage./block./relu2".

  Attributes:
    depth: 6 n + 4, of n blocks a stage.
    widen: stages have 16, 32 and 64 times as many channels.
    classes: width of the layer "logits"; 0 returns the pooled features.
    bias: whether the logits have one.
    mean: of the pixels, subtracted inside; see `parts.standardize`.
    std: of the pixels, divided by inside.
    remat: computes activations within blocks anew in the backward pass.
    dtype: of the computation, as "bfloat16"; parameters and logits are float32.
  """

  depth: int = 28
  widen: int = 10
  classes: int = 10
  bias: bool = True
  mean: Sequence[float] = ()
  std: Sequence[float] = ()
  remat: bool = False
  dtype: Any = None

  @nn.compact
  def __call__(
    self, x: Float[Array, "b h w c"], train: bool = False
  ) -> Float[Array, "b classes"]:
    """Returns logits."""
    blocks, rest = divmod(self.depth - 4, 6)
    if rest or blocks < 1:
      raise UserError(
        f"config.model.depth is {self.depth}; a wide ResNet has 6 n + 4 layers, as 28."
      )
    x = parts.standardize(Tap(name="input")(x), self.mean, self.std)
    x = parts.conv(16, 3, dtype=self.dtype, name="conv1")(x)
    for i in range(3):
      block = functools.partial(
        parts.rematerialized(PreActivationBlock, self.remat),
        width=16 * self.widen * 2**i,
        dtype=self.dtype,
      )
      x = Stage(block, blocks, stride=min(i + 1, 2), name=f"stage{i + 1}")(x, train)
    x = parts.norm(train, dtype=self.dtype, name="norm")(x)
    x = Tap(name="relu")(nn.relu(x))
    x = parts.pooled(x, train)
    return parts.logits(x, self.classes, bias=self.bias, dtype=self.dtype)
