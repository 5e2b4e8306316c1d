"""Global descriptors of images: features of a trained network, for retrieval."""

import functools
from collections.abc import Iterable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxvision import interruption
from jaxvision.errors import UserError
from jaxvision.layers import insertion
from jaxvision.methods.common import image_data
from jaxvision.typing import Array, Float, PyTree

POOLINGS = ("average", "flatten")


def descriptors(
  model: nn.Module | insertion.Inserted,
  variables: PyTree,
  batches: Iterable[Mapping[str, np.ndarray | Array]],
  tap: str,
  *,
  normalize: bool = True,
  pooling: str = "average",
) -> Float[np.ndarray, "n d"]:
  """Describes images by what a trained network has at a place, without noise.

  How the retrieval experiments of TICNN take their descriptors is not known; an L2
  normalised layer is usual, and then Euclidean and cosine distances rank alike.

  Args:
    model: called as `model(image, train=False)`; hashable, as `models.build` makes it.
      It is compiled once for all calls with one model, place and shape.
    variables: of the model.
    batches: with "image", uint8 or float in [0, 1], and, as in `padded_batches`,
      "mask", which is 0 where a row is padding. On a mesh of several processes, arrays
      that are placed on it.
    tap: path of the place, of a Tap or of any layer.
    normalize: whether to scale descriptors to length 1; those of length 0 remain.
    pooling: "average" over all axes between batch and channels, or "flatten".

  Returns:
    Descriptors in float32, in the order of the images.

  Raises:
    UserError: no such place or pooling, or no image.
  """
  if pooling not in POOLINGS:
    raise UserError(f"pooling is {pooling!r}; choose {' or '.join(POOLINGS)}.")
  parts = []
  for batch in batches:
    interruption.check()
    found = jax.device_get(
      _describe(model, tap, normalize, pooling, variables, batch["image"])
    )
    parts.append(found[np.asarray(batch["mask"]) > 0] if "mask" in batch else found)
  if not sum(map(len, parts)):
    raise UserError("there are no images to describe: give at least one.")
  return np.concatenate(parts)


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _describe(
  model: nn.Module | insertion.Inserted,
  tap: str,
  normalize: bool,
  pooling: str,
  variables: PyTree,
  image: Array,
) -> Float[Array, "b d"]:
  x = image_data.as_float(image)
  _, found = insertion.features(model, variables, x, [tap])
  feature = found[tap].astype(jnp.float32)
  if pooling == "average":
    feature = feature.mean(range(1, feature.ndim - 1))
  feature = feature.reshape(len(feature), -1)
  if normalize:
    length = jnp.linalg.norm(feature, axis=1, keepdims=True)
    feature = feature / jnp.where(length > 0, length, 1)
  return feature
