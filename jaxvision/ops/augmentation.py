"""Random crops and flips of images, the usual augmentation of CIFAR and ImageNet."""

import jax
import jax.numpy as jnp

from jaxvision.typing import Array, Float, PRNGKey


def random_crop(
  key: PRNGKey, x: Float[Array, "b h w c"], *, pad: int, mode: str = "reflect"
) -> Float[Array, "b h w c"]:
  """Pads each image by `pad` pixels on all sides and cuts its old size out at random.

  Args:
    key: of the offsets, uniform over the (2 pad + 1)^2.
    x: images.
    pad: pixels; 0 returns `x`.
    mode: of `jnp.pad`.
  """
  if not pad:
    return x
  wide = jnp.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)), mode=mode)
  offsets = jax.random.randint(key, (len(x), 2), 0, 2 * pad + 1)

  def crop(image: Array, offset: Array) -> Array:
    return jax.lax.dynamic_slice(image, (*offset, 0), x.shape[1:])

  return jax.vmap(crop)(wide, offsets)


def random_flip(key: PRNGKey, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
  """Mirrors each image left to right with probability 1/2."""
  flipped = jax.random.bernoulli(key, 0.5, (len(x), 1, 1, 1))
  return jnp.where(flipped, x[:, :, ::-1], x)
