"""Losses on distances between features."""

import jax.numpy as jnp

from jaxvision.typing import Array, Float, Int

TINY = 1e-12  # under the root of a distance: the gradient at 0 would be infinite


def batch_hard_triplet(
  z: Float[Array, "b d"], labels: Int[Array, " b"], *, margin: float = 0.3
) -> Float[Array, " b"]:
  """Hinge on the farthest of the own class against the nearest of the others.

  Hermans, Beyer and Leibe (2017), "In Defense of the Triplet Loss for Person
  Re-Identification", equation 5; Euclidean distances, each feature an anchor. An anchor
  that is alone in its class has its own feature, at distance 0, as the farthest one;
  one without other classes has loss 0.

  Args:
    z: features, as they are.
    labels: their classes.
    margin: by which other classes are to be farther away.
  """
  z = z.astype(jnp.float32)
  distance = pairwise_distance(z)
  same = labels[:, None] == labels[None]
  farthest = jnp.max(jnp.where(same, distance, 0.0), axis=1)
  nearest = jnp.min(jnp.where(same, jnp.inf, distance), axis=1)
  loss = jnp.maximum(farthest - nearest + margin, 0.0)
  return jnp.where(same.all(1), 0.0, loss)


def pairwise_distance(z: Float[Array, "b d"]) -> Float[Array, "b b"]:
  """Euclidean distances among features, never below 1e-6, with a finite gradient.

  By |a|^2 + |b|^2 - 2 ab, which is only known to about 1e-3 of the features' length:
  less where an accelerator multiplied in bfloat16, hence the precision.
  """
  square = jnp.square(z).sum(1)
  product = jnp.matmul(z, z.T, precision="highest")
  distance = square[:, None] + square[None] - 2 * product
  return jnp.sqrt(jnp.maximum(distance, TINY))
