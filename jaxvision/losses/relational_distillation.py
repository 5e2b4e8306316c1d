"""Distillation of relations among the examples of a batch: scalar losses."""

import jax
import jax.numpy as jnp
import optax

from jaxvision.ops import alignment
from jaxvision.ops.feature_maps import l2_normalize_flat
from jaxvision.typing import Array, Float

Features = Float[Array, "b ..."]


def cka_distance(a: Features, b: Features) -> Float[Array, ""]:
  """1 - linear CKA of flattened features, in [0, 1].

  Weak where features outnumber the examples of a batch: then all of them align.
  """
  return 1.0 - alignment.alignment(*(alignment.linear_gram(_flat(x)) for x in (a, b)))


def similarity_preserving(student: Features, teacher: Features) -> Float[Array, ""]:
  """Mean square of the difference of row-normalised Gram matrices.

  Tung & Mori (2019), equation 4.
  """
  own, target = (_unit_rows(_flat(x)) for x in (student, _fixed(teacher)))
  return jnp.mean((own - target) ** 2)


def _unit_rows(x: Float[Array, "b d"]) -> Float[Array, "b b"]:
  return l2_normalize_flat(x @ x.T)


def relational(
  student: Features,
  teacher: Features,
  *,
  distance_weight: float = 25.0,
  angle_weight: float = 50.0,
) -> Float[Array, ""]:
  """Relational knowledge distillation: distances of pairs and angles of triplets.

  Park et al. (2019), equations 5 and 9. Distances are divided by their mean over
  distinct pairs, errors are Huber's; both means run over all pairs and all triplets.

  Args:
    student: features, of any width.
    teacher: features; no gradient.
    distance_weight: of the distances.
    angle_weight: of the angles.
  """
  own, target = _flat(student), _flat(_fixed(teacher))
  distances = optax.huber_loss(_relative_distances(own), _relative_distances(target))
  angles = optax.huber_loss(_angles(own), _angles(target))
  return distance_weight * distances.mean() + angle_weight * angles.mean()


def _relative_distances(x: Float[Array, "b d"]) -> Float[Array, "b b"]:
  square = jnp.sum((x[:, None] - x[None]) ** 2, axis=-1)
  apart = square > 1e-12
  distance = jnp.where(apart, jnp.sqrt(jnp.where(apart, square, 1.0)), 0.0)
  return distance * jnp.maximum(apart.sum(), 1) / jnp.maximum(distance.sum(), 1e-12)


def _angles(x: Float[Array, "b d"]) -> Float[Array, "b b b"]:
  """Cosines at each example between the directions to any two others."""
  directions = x[None] - x[:, None]
  unit = jax.vmap(l2_normalize_flat)(directions)
  return jnp.einsum("ijd,ikd->ijk", unit, unit)


def probabilistic_transfer(
  student: Features, teacher: Features, *, eps: float = 1e-7
) -> Float[Array, ""]:
  """Mean of p log(p / q), of which examples are near each other by the cosine.

  Passalis & Tefas (2018), equation 9, as a mean over all pairs.
  """
  q, p = (_nearness(_flat(x)) for x in (student, _fixed(teacher)))
  return jnp.mean(p * jnp.log((p + eps) / (q + eps)))


def _nearness(x: Float[Array, "b d"]) -> Float[Array, "b b"]:
  unit = l2_normalize_flat(x)
  near = (unit @ unit.T + 1) / 2
  return near / near.sum(axis=1, keepdims=True)


def _flat(x: Array) -> Float[Array, "b d"]:
  return x.reshape(x.shape[0], -1).astype(jnp.float32)


def _fixed(x: Array) -> Array:
  return jax.lax.stop_gradient(x)
