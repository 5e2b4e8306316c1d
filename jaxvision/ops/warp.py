"""Affine warps of images and feature maps, fixed or random.

Shen, Tian, He, Sun, Tao (2016), "Transform-Invariant Convolutional Neural Networks for
Image Classification and Search", ACM Multimedia: feature maps inside a network are
rotated, scaled and shifted at random in training, and left alone at inference.
"""

from numbers import Real

import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxvision.ops.affine import Pair, affine_coordinates, affine_matrix
from jaxvision.ops.random_warp import sample_affine
from jaxvision.ops.warp_sampling import warp
from jaxvision.ops.warp_spec import WarpSpec
from jaxvision.typing import Array, Float, PRNGKey

__all__ = [
  "WarpSpec",
  "affine_coordinates",
  "affine_matrix",
  "affine_warp",
  "random_transform",
  "sample_affine",
  "warp",
]


def affine_warp(
  x: Float[Array, "b h w c"],
  *,
  angle: ArrayLike = 0.0,
  scale: ArrayLike = 1.0,
  shift: Pair = (0.0, 0.0),
  border: str = "zero",
  interpolation: str = "bilinear",
) -> Float[Array, "b h w c"]:
  """Rotates, then scales, then shifts images about their centres.

  Linear in `x`; without a gradient to the parameters.

  Args:
    x: images or feature maps; the size remains.
    angle: degrees, counter-clockwise: a scalar or one value an image.
    scale: above 0; above 1 magnifies; a scalar or one value an image.
    shift: (down, right) in pixels, each a scalar or one value an image.
    border: "zero", "clamp" or "reflect", see `warp`.
    interpolation: "bilinear" or "nearest".

  Raises:
    ValueError: an unknown mode, a scale that is not positive, or as many values as
      there are no images.
  """
  if isinstance(scale, Real) and not scale > 0:
    raise ValueError(f"scale is {scale}; it must be above 0.")
  matrix = affine_matrix(angle, scale, shift).reshape(-1, 3, 3)
  coordinates = affine_coordinates(matrix, x.shape[1:3])
  return warp(x, coordinates, border=border, interpolation=interpolation)


def random_transform(
  key: PRNGKey | None,
  x: Float[Array, "b h w c"],
  spec: WarpSpec,
  *,
  deterministic: bool = False,
) -> Float[Array, "b h w c"]:
  """Warps feature maps by a fresh random affine map: the module of TICNN.

  The default granularity is the authors': one draw for the whole batch. They swap the
  ranges of horizontal and vertical shifts; we do not. Put it behind an activation,
  since what enters from outside is 0, and behind batch normalization.

  Args:
    key: may be None if `deterministic`. Two layers need two keys.
    x: feature maps or images.
    spec: distribution of the warp.
    deterministic: inference; returns `x`.

  Raises:
    ValueError: no key where one is needed.
  """
  if deterministic:
    return x
  if key is None:
    raise ValueError("key is None; only a deterministic transform needs no key.")
  counts = {"batch": 1, "sample": x.shape[0], "channel": x.shape[-1]}
  size = x.shape[1:3]
  matrix = sample_affine(key, spec, size, counts[spec.granularity])
  coordinates = affine_coordinates(matrix, size)
  per_channel = spec.granularity == "channel"
  if per_channel:  # channels become images, and images channels
    x = jnp.swapaxes(x, 0, -1)
  y = warp(x, coordinates, border=spec.border, interpolation=spec.interpolation)
  return jnp.swapaxes(y, 0, -1) if per_channel else y
