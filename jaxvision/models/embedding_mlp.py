"""Multi-layer perceptron that embeds vectors, as of generated people."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn

from jaxvision.layers.tap import Tap
from jaxvision.models import parts
from jaxvision.typing import Array, Float


class EmbeddingMLP(nn.Module):
  """Dense layers with norm and ReLU, and a linear one: 64-128-128-32 by default.

  Places: "input", "dense1", "norm1", "relu1", ..., "embedding", "logits".

  Attributes:
    hidden: widths of the hidden layers.
    width: of the embedding.
    classes: width of the layer "logits"; 0 returns the embedding.
    bias: whether the logits have one.
    dtype: of the computation, as "bfloat16"; parameters and what is returned are
      float32.
  """

  hidden: Sequence[int] = (128, 128)
  width: int = 32
  classes: int = 0
  bias: bool = True
  dtype: Any = None

  @nn.compact
  def __call__(
    self, x: Float[Array, "b d"], train: bool = False
  ) -> Float[Array, "b n"]:
    """Returns embeddings, or logits if there are classes."""
    dense = lambda width, name: nn.Dense(
      width, kernel_init=parts.HE, dtype=self.dtype, name=name
    )
    x = Tap(name="input")(x)
    for i, width in enumerate(self.hidden, start=1):
      x = dense(width, f"dense{i}")(x)
      x = parts.norm(train, dtype=self.dtype, name=f"norm{i}")(x)
      x = Tap(name=f"relu{i}")(nn.relu(x))
    x = dense(self.width, "embedding")(x)
    return parts.logits(x, self.classes, bias=self.bias, dtype=self.dtype)
