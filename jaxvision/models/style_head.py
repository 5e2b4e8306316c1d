"""CausalAdv's style head: labels from style (Zhang et al., 2022)."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jaxvision.layers.normalization import BatchNorm
from jaxvision.models import parts
from jaxvision.ops.style import unit_features
from jaxvision.typing import Array, Float


class StyleHead(nn.Module):
  """Dense(d / 2), norm, ReLU, dense(d), ReLU, logits; 268,554 parameters at d = 512.

  Submodules are "dense1", "norm1", "dense2", "logits".

  Attributes:
    classes: width of the layer "logits".
    dtype: of the computation, as "bfloat16"; parameters and what is returned are
      float32.
  """

  classes: int
  dtype: Any = None

  @nn.compact
  def __call__(
    self, x: Float[Array, "b d"], train: bool = False
  ) -> tuple[Float[Array, "b classes"], Float[Array, "b d"]]:
    """Returns logits, and the unit features in front of them."""
    size = x.shape[-1]
    dense = lambda width, name: nn.Dense(
      width, kernel_init=parts.HE, dtype=self.dtype, name=name
    )
    x = dense(size // 2, "dense1")(x)
    x = BatchNorm(use_running_average=not train, dtype=self.dtype, name="norm1")(x)
    x = nn.relu(dense(size, "dense2")(nn.relu(x)))
    logits = parts.logits(x, self.classes, dtype=self.dtype)
    return logits, unit_features(x.astype(jnp.float32))
