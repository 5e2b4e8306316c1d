"""Feature losses that inheritance and exploration is compared with.

Features are channels-last; those of the teacher come second and get no gradient. All
return one value an example.
"""

import jax
import jax.numpy as jnp

from jaxvision.ops.feature_maps import l2_normalize_flat, same_resolution
from jaxvision.typing import Array, Float

SCALE = 1e-3  # by which the authors of AB and of OFD divide their sums


def attention_map(x: Float[Array, "b ... c"]) -> Float[Array, "b p"]:
  """n(mean over channels of f^2): where a layer responds, as a unit vector.

  Zagoruyko & Komodakis (2017), section 3.1. The sum over channels gives the same.
  """
  return l2_normalize_flat(jnp.mean(x.astype(jnp.float32) ** 2, axis=-1))


def attention_transfer(
  student: Float[Array, "b ... c"],
  teacher: Float[Array, "b ... d"],
  *,
  form: str = "code",
) -> Float[Array, " b"]:
  """Difference of attention maps, the finer one pooled to the other's resolution.

  Zagoruyko & Komodakis (2017), equation 2.

  Args:
    student: a feature map.
    teacher: a feature map; other channels and another resolution are welcome.
    form: "code" is the mean square, as released (weight 1000 and more); "paper" the
      Euclidean norm; "l1" the mean absolute difference (RepDistiller's "FT").

  Raises:
    ValueError: another form.
  """
  maps = same_resolution(student, jax.lax.stop_gradient(teacher))
  difference = attention_map(maps[0]) - attention_map(maps[1])
  if form == "l1":
    return jnp.abs(difference).mean(axis=1)
  square = difference**2
  if form == "code":
    return square.mean(axis=1)
  if form != "paper":
    raise ValueError(f"form is {form!r}; choose code, paper or l1.")
  total = square.sum(axis=1)
  return jnp.where(total > 0, jnp.sqrt(jnp.where(total > 0, total, 1.0)), 0.0)


def reconstruction(
  output: Float[Array, "b ..."], target: Float[Array, "b ..."], *, p: int = 1
) -> Float[Array, "*b"]:
  """Error of an auto-encoder: mean |.| an example, or for p = 2 the root mean square.

  Huang et al. (2021): their code takes p = 1, and its p = 2 is the root over batch and
  features together, a scalar; the paper is said to have the square.
  """
  difference = (output - jax.lax.stop_gradient(target)).astype(jnp.float32)
  if p == 1:
    return _flat(jnp.abs(difference)).mean(axis=1)
  return jnp.mean(jnp.abs(difference) ** p) ** (1 / p)


def fitnet(
  student: Float[Array, "b ..."], teacher: Float[Array, "b ..."]
) -> Float[Array, " b"]:
  """Mean square of the difference of features, the student's after a regressor.

  Romero et al. (2015), equation 3, with a mean for the sum.
  """
  difference = (student - jax.lax.stop_gradient(teacher)).astype(jnp.float32)
  return jnp.mean(_flat(difference) ** 2, axis=1)


def activation_boundary(
  student: Float[Array, "b ..."],
  teacher: Float[Array, "b ..."],
  *,
  margin: float = 1.0,
  scale: float = 3 * SCALE,
) -> Float[Array, " b"]:
  """Squared hinge that makes the student's units fire where the teacher's do.

  Heo et al. (2019a), equation 6, of features before the activation: (s + m)^2 where
  the teacher is silent and s > -m, (s - m)^2 where it fires and s <= m.

  Args:
    student: features after a connector, before the ReLU.
    teacher: features before the ReLU.
    margin: m.
    scale: factor of the sum over units; RepDistiller's by default.
  """
  s = _flat(student.astype(jnp.float32))
  fires = _flat(jax.lax.stop_gradient(teacher)) > 0
  silent = jnp.where(~fires & (s > -margin), (s + margin) ** 2, 0.0)
  firing = jnp.where(fires & (s <= margin), (s - margin) ** 2, 0.0)
  return scale * jnp.sum(silent + firing, axis=1)


def overhaul_margin(
  gamma: Float[Array, " c"], beta: Float[Array, " c"]
) -> Float[Array, " c"]:
  """Mean of the negative part of a channel that follows N(beta, gamma^2).

  Heo et al. (2019b), "A Comprehensive Overhaul of Feature Distillation", equation 4:
  m - s phi(m / s) / Phi(-m / s) with s = |gamma|, m = beta of the batch norm. Where
  hardly anything is negative (Phi <= 0.001) it is -3 s, as in the authors' code.

  Args:
    gamma: scale of the teacher's last batch norm.
    beta: its bias.
  """
  s = jnp.maximum(jnp.abs(gamma), jnp.finfo(jnp.float32).tiny)
  ratio = beta / s
  share = jax.scipy.stats.norm.cdf(-ratio)
  often = share > 1e-3
  density = jnp.exp(-(ratio**2) / 2) / jnp.sqrt(2 * jnp.pi)
  return jnp.where(often, beta - s * density / jnp.where(often, share, 1.0), -3 * s)


def overhaul(
  student: Float[Array, "b ... c"],
  teacher: Float[Array, "b ... c"],
  *,
  margin: Float[Array, " c"],
  scale: float = SCALE,
) -> Float[Array, " b"]:
  """Partial squared distance to the teacher's margin ReLU.

  Heo et al. (2019b), equations 3 and 5: the target is t = max(f_T, margin); units with
  s <= t <= 0 are right already and left alone.

  Args:
    student: features after a connector, before the ReLU.
    teacher: features before the ReLU.
    margin: of `overhaul_margin`.
    scale: factor of the sum over units.
  """
  s = student.astype(jnp.float32)
  t = jnp.maximum(jax.lax.stop_gradient(teacher).astype(jnp.float32), margin)
  counted = (s > t) | (t > 0)
  return scale * jnp.sum(_flat(jnp.where(counted, (s - t) ** 2, 0.0)), axis=1)


def stage_weights(stages: int) -> tuple[float, ...]:
  """2^-(J - 1 - j): AB and OFD halve the weight with each stage towards the input."""
  return tuple(2.0 ** (j - stages + 1) for j in range(stages))


def _flat(x: Array) -> Float[Array, "b d"]:
  return x.reshape(x.shape[0], -1)
