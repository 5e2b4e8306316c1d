"""TI-pooling: the small network on warped copies of its input."""

import itertools
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxvision.errors import UserError
from jaxvision.layers.tap import Tap
from jaxvision.models import parts
from jaxvision.models.cnn import CNN
from jaxvision.ops.affine import affine_coordinates, affine_matrix
from jaxvision.ops.warp_sampling import warp
from jaxvision.typing import Array, Float


class TIPooling(CNN):
  """`CNN` whose dense features are the largest ones over warped copies of the image.

  Laptev, Savinov, Buhmann, Pollefeys (2016), "TI-POOLING: transformation-invariant
  pooling for feature learning in Convolutional Neural Networks". Outputs do not change
  under a transform that permutes the copies: with the default, quarter turns of square
  images, and nearly so the other turns of the set, but for interpolation and corners.

  Fields and parameters are the CNN's. Copies are in the batch, next to each other, at
  all places between "input" and the maximum, the tap "ti_pool"; there random transforms
  draw anew for each copy, and batch norm counts them all.

  Attributes:
    angles: of the copies, in degrees, counter-clockwise; the authors' 24 by default.
    scales: of the copies, above 0; there is a copy for each pair of angle and scale.
    pool_behind: "dense": the maximum is behind the dense layer and its ReLU, as in the
      authors' code; "stages": in front of it, which is cheaper.
  """

  angles: Sequence[float] = tuple(range(0, 360, 15))
  scales: Sequence[float] = (1.0,)
  pool_behind: str = "dense"

  @nn.compact
  def __call__(
    self, x: Float[Array, "b h w c"], train: bool = False
  ) -> Float[Array, "b classes"]:
    """Returns logits."""
    x = self._stages(self._copies(self._input(x)), train)
    if self.pool_behind == "dense":
      return self._logits(self._pool(self._hidden(x, train)))
    return self._logits(self._hidden(self._pool(x), train))

  def _check(self, x: Array) -> None:
    super()._check(x)
    parts.choose("pool_behind", self.pool_behind, ("dense", "stages"))
    if not self.angles:
      raise UserError("config.model.angles is empty; give one or more, in degrees.")
    if not self.scales or not all(scale > 0 for scale in self.scales):
      raise UserError(
        f"config.model.scales is {tuple(self.scales)}; give one or more above 0."
      )

  def _copies(self, x: Float[Array, "b h w c"]) -> Float[Array, "bk h w c"]:
    """Warped copies; those of an image are neighbours, so the batch can be sharded."""
    pairs = jnp.array([*itertools.product(self.angles, self.scales)], jnp.float32)
    coordinates = affine_coordinates(affine_matrix(*pairs.T), x.shape[1:3])
    copies = jax.vmap(lambda q: warp(x, q[None]), out_axes=1)(coordinates)
    return copies.reshape(-1, *x.shape[1:])

  def _pool(self, x: Array) -> Array:
    copies = len(self.angles) * len(self.scales)
    x = x.reshape(-1, copies, *x.shape[1:])
    return Tap(name="ti_pool")(x.max(axis=1))
