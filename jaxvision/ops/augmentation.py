"""Random crops, turns and flips of images: the usual augmentation, on the device."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxvision.ops.affine import affine_coordinates, affine_matrix
from jaxvision.ops.warp_sampling import warp
from jaxvision.typing import Array, Float, PRNGKey, UInt8

ASPECT = (3 / 4, 4 / 3)  # width to height of what `random_window` cuts out
Images = Float[Array, "b h w c"] | UInt8[Array, "b h w c"]
Cropped = Float[Array, "b i j c"] | UInt8[Array, "b i j c"]


class Augmentation(NamedTuple):
  """What `augment` does to images, in this order.

  Attributes:
    pad: pixels put around each image before it is cropped.
    mode: of the padding, as of `jnp.pad`: "reflect", "constant" (0) or "edge".
    crop: side of the square that is cut out; 0 is the size that the image had.
    area: (least, most) share of the image's area in a window of any aspect ratio,
      resized to what `crop` says, instead of a window of that size; () is off.
    flip: whether to mirror half of the images, left to right.
    rotate: largest angle in degrees, either way; 0 is off.
  """

  pad: int = 0
  mode: str = "reflect"
  crop: int = 0
  area: tuple[float, ...] = ()
  flip: bool = False
  rotate: float = 0.0


def augment(key: PRNGKey, x: Images, spec: Augmentation) -> Cropped:
  """Augments images, each at random on its own; uint8 stay so unless interpolated.

  Args:
    key: random key.
    x: images; floats in [0, 1] if they are interpolated.
    spec: what to do.
  """
  crop, flip, rotate = jax.random.split(key, 3)
  if spec.area:
    size = (spec.crop or x.shape[1], spec.crop or x.shape[2])
    x = random_window(crop, x, size=size, area=spec.area)
  else:
    x = random_crop(crop, x, pad=spec.pad, mode=spec.mode, size=spec.crop)
  x = random_flip(flip, x) if spec.flip else x
  return random_rotation(rotate, x, degrees=spec.rotate) if spec.rotate else x


def center_crop(x: Images, size: int) -> Cropped:
  """Cuts the middle out: what an evaluation sees; a size of 0 returns `x`.

  Raises:
    ValueError: a size above that of the images.
  """
  if not size:
    return x
  _check_size(size, x)
  top, left = ((n - size) // 2 for n in x.shape[1:3])
  return x[:, top : top + size, left : left + size]


def random_crop(
  key: PRNGKey, x: Images, *, pad: int = 0, mode: str = "reflect", size: int = 0
) -> Cropped:
  """Pads each image on all sides and cuts a window out at random, all equally likely.

  Args:
    key: of the windows.
    x: images.
    pad: pixels.
    mode: of `jnp.pad`.
    size: side of a square window, at most that of a padded image; 0 is the old size.

  Raises:
    ValueError: a window that is larger.
  """
  window = (size, size) if size else x.shape[1:3]
  if not pad and window == x.shape[1:3]:
    return x
  if pad:
    x = jnp.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)), mode=mode)
  _check_size(size, x)
  room = jnp.array(x.shape[1:3]) - jnp.array(window)
  offsets = jax.random.randint(key, (len(x), 2), 0, room + 1)

  def crop(image: Array, offset: Array) -> Array:
    return lax.dynamic_slice(image, (*offset, 0), (*window, image.shape[-1]))

  return jax.vmap(crop)(x, offsets)


def _check_size(size: int, x: Array) -> None:
  if size > min(x.shape[1:3]):
    height, width = x.shape[1:3]
    raise ValueError(f"a window of {size} pixels is cut from {height}x{width} images.")


def random_window(
  key: PRNGKey,
  x: Float[Array, "b h w c"],
  *,
  size: tuple[int, int],
  area: tuple[float, ...],
  aspect: tuple[float, float] = ASPECT,
) -> Float[Array, "b i j c"]:
  """Resizes a random window of each image, as networks for ImageNet are trained.

  Szegedy et al. (2015), "Going Deeper with Convolutions", section 6: the area uniform,
  the logarithm of the aspect ratio, too. A side that would be longer than the image's
  is cut to it; other libraries draw anew. Bilinear, with antialiasing.

  Args:
    key: of the windows.
    x: images.
    size: (height, width) of what comes out.
    area: (least, most) share of the image's area.
    aspect: (least, most) ratio of width to height.
  """
  area_key, aspect_key, place_key = jax.random.split(key, 3)
  n, whole = len(x), jnp.array(x.shape[1:3], jnp.float32)
  share = jax.random.uniform(area_key, (n,), minval=area[0], maxval=area[1])
  low, high = map(math.log, aspect)
  ratio = jnp.exp(jax.random.uniform(aspect_key, (n,), minval=low, maxval=high))
  pixels = share * whole.prod()
  sides = jnp.stack([jnp.sqrt(pixels / ratio), jnp.sqrt(pixels * ratio)], -1)
  sides = jnp.minimum(sides, whole)
  start = jax.random.uniform(place_key, (n, 2)) * (whole - sides)

  def resize(image: Array, start: Array, side: Array) -> Array:
    scale = jnp.array(size) / side
    shape = (*size, image.shape[-1])
    return jax.image.scale_and_translate(
      image, shape, (0, 1), scale, -start * scale, method="linear"
    )

  return jax.vmap(resize)(x, start, sides)


def random_rotation(
  key: PRNGKey, x: Float[Array, "b h w c"], *, degrees: float
) -> Float[Array, "b h w c"]:
  """Turns each image about its middle, bilinearly; zero comes in from outside.

  Args:
    key: of the angles, uniform.
    x: images.
    degrees: largest angle, either way.
  """
  angle = jax.random.uniform(key, (len(x),), minval=-degrees, maxval=degrees)
  return warp(x, affine_coordinates(affine_matrix(angle), x.shape[1:3]))


def random_flip(key: PRNGKey, x: Images) -> Images:
  """Mirrors each image left to right with probability 1/2."""
  flipped = jax.random.bernoulli(key, 0.5, (len(x), 1, 1, 1))
  return jnp.where(flipped, x[:, :, ::-1], x)
