"""What re-identification puts behind a trunk: neck, classifier, domain head.

Modules of their own and not parts of the trunk, since features that were moved to
another domain go through them as well.
"""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn

from jaxvision.models import parts
from jaxvision.typing import Array, Float


class Neck(nn.Module):
  """Batch normalization without bias between metric and classifier.

  Luo et al. (2019), "Bag of Tricks and a Strong Baseline for Deep Person
  Re-identification", section 3.7; its output is the feature to search with.

  Attributes:
    dtype: of the computation.
  """

  dtype: Any = None

  @nn.compact
  def __call__(self, x: Float[Array, "b d"], train: bool = False) -> Array:
    """Returns features of the same shape."""
    return parts.norm(train, name="norm", use_bias=False, dtype=self.dtype)(x)


class Classifier(nn.Module):
  """Logits of identities.

  Attributes:
    classes: how many.
    bias: whether there is one; behind a neck usually not.
    dtype: of the computation; logits are float32.
  """

  classes: int
  bias: bool = False
  dtype: Any = None

  @nn.compact
  def __call__(self, x: Float[Array, "b d"]) -> Float[Array, "b classes"]:
    """Returns logits."""
    init = nn.initializers.normal(0.001)
    fields = {"bias": self.bias, "init": init, "dtype": self.dtype}
    return parts.logits(x, self.classes, **fields)


class DomainHead(nn.Module):
  """An MLP that tells the domain of a feature.

  Submodules are "dense1", ..., "logits".

  Attributes:
    domains: how many.
    widths: of the hidden layers.
    dtype: of the computation; logits are float32.
  """

  domains: int
  widths: Sequence[int] = (64,)
  dtype: Any = None

  @nn.compact
  def __call__(self, x: Float[Array, "b d"]) -> Float[Array, "b domains"]:
    """Returns logits."""
    for i, width in enumerate(self.widths, start=1):
      dense = nn.Dense(width, kernel_init=parts.HE, dtype=self.dtype, name=f"dense{i}")
      x = nn.relu(dense(x))
    return parts.logits(x, self.domains, dtype=self.dtype)
