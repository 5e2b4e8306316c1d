"""Knowledge distillation: soft targets, factors, inheritance and exploration.

A loss returns one value an example, unless its authors' form is no mean of such values:
then it is a scalar. The teacher's side comes second and gets no gradient.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxvision.losses.feature_distillation import (
  activation_boundary,
  attention_map,
  attention_transfer,
  fitnet,
  overhaul,
  overhaul_margin,
  reconstruction,
  stage_weights,
)
from jaxvision.losses.relational_distillation import cka_distance
from jaxvision.ops.feature_maps import l2_normalize_flat
from jaxvision.typing import Array, Float

__all__ = [
  "DISTANCES",
  "Opposition",
  "absolute_cosine",
  "activation_boundary",
  "attention_map",
  "attention_transfer",
  "cka_distance",
  "cosine_distance",
  "factor_distance",
  "factor_transfer",
  "fitnet",
  "inheritance_exploration",
  "overhaul",
  "overhaul_margin",
  "reconstruction",
  "soft_target_kl",
  "stage_weights",
]

Loss = Float[Array, "*b"]


def soft_target_kl(
  student: Float[Array, "b k"], teacher: Float[Array, "b k"], *, temperature: float
) -> Float[Array, " b"]:
  """T^2 KL(softmax(teacher / T) || softmax(student / T)) in nats.

  Hinton et al. (2015), section 2: T^2 keeps the gradient's size as T changes. At T = 1
  it is the term of deep mutual learning (Zhang et al., 2018, equation 4).

  Args:
    student: logits.
    teacher: logits; no gradient.
    temperature: T > 0.
  """
  teacher = jax.lax.stop_gradient(teacher.astype(jnp.float32))
  target = jax.nn.log_softmax(teacher / temperature)
  own = jax.nn.log_softmax(student.astype(jnp.float32) / temperature)
  return temperature**2 * jnp.sum(jnp.exp(target) * (target - own), axis=-1)


def factor_distance(
  a: Float[Array, "b ..."],
  b: Float[Array, "b ..."],
  *,
  p: int = 1,
  reduction: str = "mean",
) -> Loss:
  """Distance of two factors, each example scaled to length 1: ||n(a) - n(b)||_p.

  Huang et al. (2021), section 3. Their code divides by the number of features, and a
  weight of 50 belongs to that: two random unit vectors of D = 2048 features are
  (2 / sqrt(pi)) / sqrt(D) = 0.0249 apart, opposite ones at most 2 / sqrt(D).

  Args:
    a: features, batch first.
    b: features of the same shape; pass `stop_gradient` of a teacher's.
    p: order of the norm.
    reduction: "mean" is (mean |.|^p)^(1/p): for p = 1 one value an example, otherwise
      over batch and features together, as in the authors' code, so a scalar. "sum" is
      the p-norm of each example.

  Raises:
    ValueError: another reduction.
  """
  difference = jnp.abs(l2_normalize_flat(a) - l2_normalize_flat(b))
  if reduction == "sum":
    return _root(jnp.sum(difference**p, axis=1), p)
  if reduction != "mean":
    raise ValueError(f"reduction is {reduction!r}; choose mean or sum.")
  if p == 1:
    return difference.mean(axis=1)
  return _root(jnp.mean(difference**p), p)


def _root(x: Array, p: int) -> Array:
  """x^(1/p) with gradient 0, not infinity, at 0."""
  if p == 1:
    return x
  return jnp.where(x > 0, jnp.where(x > 0, x, 1.0) ** (1 / p), 0.0)


def cosine_distance(
  a: Float[Array, "b ..."], b: Float[Array, "b ..."]
) -> Float[Array, " b"]:
  """1 - cos of the angle between two factors, in [0, 2]."""
  return 1.0 - _cosine(a, b)


def absolute_cosine(
  a: Float[Array, "b ..."], b: Float[Array, "b ..."]
) -> Float[Array, " b"]:
  """|cos| of the angle between two factors: least where they are orthogonal."""
  return jnp.abs(_cosine(a, b))


def _cosine(a: Array, b: Array) -> Array:
  return jnp.sum(l2_normalize_flat(a) * l2_normalize_flat(b), axis=1)


def factor_transfer(
  student: Float[Array, "b ..."], teacher: Float[Array, "b ..."], *, p: int = 1
) -> Float[Array, " b"]:
  """Factor transfer: the distance of a translator's factor to a paraphraser's.

  Kim et al. (2018), equation 3. For p = 1 the mean over features, as in the authors'
  code; for p = 2 the norm of each example, as in torchdistill.
  """
  teacher = jax.lax.stop_gradient(teacher)
  reduction = "mean" if p == 1 else "sum"
  return factor_distance(student, teacher, p=p, reduction=reduction)


class Opposition(NamedTuple):
  """Two losses that work against each other.

  Attributes:
    inherit: least where both factors agree.
    explore: least where they differ most.
  """

  inherit: Callable[..., Loss]
  explore: Callable[..., Loss]


def _norm(p: int, reduction: str = "mean") -> Opposition:
  def distance(a: Array, b: Array) -> Array:
    return factor_distance(a, b, p=p, reduction=reduction)

  return Opposition(distance, lambda a, b: -distance(a, b))


# Section 4 of the paper compares them; L1 is best. The authors' cosine form explores
# by orthogonality, not by opposition.
DISTANCES = {
  "l1": _norm(1),
  "l2": _norm(2),
  "l1_sum": _norm(1, "sum"),
  "l2_sum": _norm(2, "sum"),
  "cosine": Opposition(cosine_distance, absolute_cosine),
  "cka": Opposition(cka_distance, lambda a, b: 1.0 - cka_distance(a, b)),
}


def inheritance_exploration(
  inherited: Float[Array, "b ..."],
  explored: Float[Array, "b ..."],
  teacher: Float[Array, "b ..."],
  *,
  inherit_weight: float | Float[Array, ""],
  explore_weight: float | Float[Array, ""],
  distance: str = "l1",
  both_inherit: bool = False,
) -> Loss:
  """Pulls one half of the student towards the teacher, pushes the other away from it.

  Huang et al. (2021), equations 3 to 5: inherit_weight D(inherited, teacher) -
  explore_weight D(explored, teacher). Bounded from below, as D is bounded.

  Args:
    inherited: factor of the inheritance half.
    explored: factor of the exploration half.
    teacher: factor of the teacher; no gradient.
    inherit_weight: 50 in the paper, for "l1".
    explore_weight: 50 in the paper, for "l1".
    distance: one of `DISTANCES`.
    both_inherit: pulls the exploration half too: the control with as many encoders.

  Returns:
    One value an example; of "l2" and "cka" a scalar.
  """
  teacher = jax.lax.stop_gradient(teacher)
  inherit, explore = DISTANCES[distance]
  second = inherit if both_inherit else explore
  pulled = inherit_weight * inherit(inherited, teacher)
  return pulled + explore_weight * second(explored, teacher)
