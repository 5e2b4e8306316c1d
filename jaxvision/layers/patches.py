"""Linen form of patch reordering."""

import flax.linen as nn

from jaxvision.errors import UserError
from jaxvision.ops.patches import patch_reorder
from jaxvision.typing import Array, Float


class PatchReorder(nn.Module):
  """Reorders the patches of feature maps by falling energy; no variables, no noise.

  Its place is the last feature map before the dense layers: a convolution or pooling
  behind it sees the seams between patches.

  Attributes:
    n: patches per side at each level.
    levels: of the pyramid.
    energy: "l2" or "l1".
    shared: whether all channels move alike.
    remainder: "topleft" or "center"; all as in `ops.patches.patch_reorder`.
  """

  n: int = 2
  levels: int = 1
  energy: str = "l2"
  shared: bool = False
  remainder: str = "topleft"

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    """Reorders `x`, in training and inference alike.

    Raises:
      UserError: a field out of range, or maps with fewer than n**levels pixels a side.
    """
    name = "/".join(self.path)
    if x.ndim != 4:
      raise UserError(
        f"patch reordering at {name}: x has {x.ndim} axes; it needs maps."
      )
    try:
      return patch_reorder(
        x,
        n=self.n,
        levels=self.levels,
        energy=self.energy,
        shared=self.shared,
        remainder=self.remainder,
      )
    except ValueError as error:
      raise UserError(f"patch reordering at {name}: {error}") from error
