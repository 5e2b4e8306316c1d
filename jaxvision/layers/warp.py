"""Linen form of the random warp."""

import flax.linen as nn

from jaxvision.errors import UserError
from jaxvision.ops import warp
from jaxvision.typing import Array, Float, PRNGKey


class RandomTransform(nn.Module):
  """Random affine warp of feature maps, TICNN's module; used as a dropout layer is.

  No parameters. Linen folds a module's path into its keys, so that layers at two places
  draw independently.

  Attributes:
    spec: distribution of the warp.
    deterministic: inference; given here or in the call.
    rng_collection: name of the PRNG stream.
  """

  spec: warp.WarpSpec
  deterministic: bool | None = None
  rng_collection: str = "dropout"

  @nn.compact
  def __call__(
    self,
    inputs: Float[Array, "b h w c"],
    deterministic: bool | None = None,
    rng: PRNGKey | None = None,
  ) -> Float[Array, "b h w c"]:
    """Warps `inputs`; a key is drawn (or `rng` used) only if not deterministic.

    Raises:
      UserError: what is here has other axes than [b, h, w, c].
    """
    if inputs.ndim != 4:
      name = "/".join(self.path)
      raise UserError(f"the warp at {name}: x has {inputs.ndim} axes; it needs maps.")
    deterministic = nn.merge_param("deterministic", self.deterministic, deterministic)
    if not deterministic and rng is None:
      rng = self.make_rng(self.rng_collection)
    return warp.random_transform(rng, inputs, self.spec, deterministic=deterministic)
