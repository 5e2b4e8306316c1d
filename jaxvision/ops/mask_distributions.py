"""Distributions of multiplicative masks: parameters and closed forms, no sampling."""

import dataclasses
import math
from numbers import Real

import jax.numpy as jnp
from jax.scipy import stats

from jaxvision.typing import Array, Float


@dataclasses.dataclass(frozen=True)
class MaskSpec:
  """Distribution of one mask variable; hashable, so it can be a static argument.

  Shen et al. (2018), "Continuous Dropout"; parameters and defaults are those of the
  authors' Caffe layer. Fields of the other kinds are ignored.

  Attributes:
    kind: "bernoulli" (0 or 1), "uniform" on [low, high), or "gaussian".
    rate: bernoulli: probability of 0, in [0, 1).
    low: uniform: lower end.
    high: uniform: upper end, above `low`; `low + high` must not be 0.
    mean: gaussian: mean before clipping.
    std: gaussian: standard deviation before clipping; 0 is no noise.
    clip: gaussian: clip draws to [0, 1], as the authors do. Otherwise a plain normal.

  Raises:
    ValueError: a value outside its range, or a mask of mean 0: no rescaling undoes it.
  """

  kind: str = "bernoulli"
  rate: Real = 0.5
  low: Real = 0.0
  high: Real = 1.0
  mean: Real = 0.5
  std: Real = 0.25
  clip: bool = True

  def __post_init__(self):
    """Checks the fields of the kind."""
    if self.kind not in _CHECKS:
      raise ValueError(f"kind is {self.kind!r}; choose one of {', '.join(_CHECKS)}.")
    _CHECKS[self.kind](self)


def _check_bernoulli(spec: MaskSpec) -> None:
  if not 0 <= spec.rate < 1:
    raise ValueError(f"rate is {spec.rate}; a drop rate lies in [0, 1).")


def _check_uniform(spec: MaskSpec) -> None:
  low, high = spec.low, spec.high
  if not -math.inf < low < high < math.inf:
    raise ValueError(f"low is {low} and high is {high}; low must be below high.")
  if low + high == 0:
    raise ValueError(f"low is {low} and high is {high}: a mask of mean 0.")


def _check_gaussian(spec: MaskSpec) -> None:
  if not 0 <= spec.std < math.inf:
    raise ValueError(f"std is {spec.std}; it must be finite and at least 0.")
  if not math.isfinite(spec.mean):
    raise ValueError(f"mean is {spec.mean}; it must be finite.")
  if spec.mean == 0 and not spec.clip:
    raise ValueError(f"mean is {spec.mean} without clipping: a mask of mean 0.")


_CHECKS = {
  "bernoulli": _check_bernoulli,
  "uniform": _check_uniform,
  "gaussian": _check_gaussian,
}


def mask_moments(spec: MaskSpec) -> tuple[float, float]:
  """Mean and variance of a mask variable, exact (for a clipped normal: after it)."""
  if spec.kind == "bernoulli":
    return 1.0 - spec.rate, spec.rate * (1.0 - spec.rate)
  if spec.kind == "uniform":
    return (spec.low + spec.high) / 2.0, (spec.high - spec.low) ** 2 / 12.0
  if spec.clip:
    return _clipped_normal_moments(spec.mean, spec.std)
  return float(spec.mean), float(spec.std) ** 2


def _clipped_normal_moments(mean: Real, std: Real) -> tuple[float, float]:
  below, above = _clipped_tails(mean, std)
  if std == 0:
    return min(max(float(mean), 0.0), 1.0), 0.0
  a, b = -mean / std, (1.0 - mean) / std
  # Moments about `mean`: a narrow normal loses no digits in their difference.
  first = std * (_pdf(a) - _pdf(b)) - mean * below + (1.0 - mean) * above
  inner = 1.0 - below - above + a * _pdf(a) - b * _pdf(b)
  second = std**2 * inner + mean**2 * below + (1.0 - mean) ** 2 * above
  return mean + first, max(second - first**2, 0.0)


def _clipped_tails(mean: Real, std: Real) -> tuple[float, float]:
  """P(m = 0) and P(m = 1) of a normal clipped to [0, 1]."""
  if std == 0:
    return float(mean <= 0), float(mean >= 1)
  return _cdf(-mean / std), _cdf((mean - 1.0) / std)


def _pdf(z: Real) -> float:
  return math.exp(-z * z / 2.0) / math.sqrt(2.0 * math.pi)


def _cdf(z: Real) -> float:
  return 0.5 * math.erfc(-z / math.sqrt(2.0))


def noise_strength(spec: MaskSpec) -> float:
  """Variance of the rescaled mask m / E m: rho = Var(m) / E(m)^2.

  At equal rho all masks act alike on a linear unit under squared loss; compare kinds of
  masks at equal rho, or "continuous" is mixed up with "weaker".
  """
  mean, variance = mask_moments(spec)
  if mean == 0:
    raise ValueError(f"{spec} has mean 0; its noise strength is infinite.")
  return variance / mean**2


def matched_bernoulli(spec: MaskSpec) -> MaskSpec:
  """The binary mask of equal noise strength: it keeps with q = 1 / (1 + rho)."""
  rho = noise_strength(spec)
  return MaskSpec("bernoulli", rate=rho / (1.0 + rho))


def mask_density(spec: MaskSpec, grid: Float[Array, "*g"]) -> Float[Array, "*g"]:
  """Density of the continuous part of a mask; `mask_atoms` holds the rest of it."""
  if spec.kind == "uniform":
    inside = (grid >= spec.low) & (grid <= spec.high)
    return jnp.where(inside, 1.0 / (spec.high - spec.low), 0.0).astype(grid.dtype)
  if spec.kind == "bernoulli" or spec.std == 0:
    return jnp.zeros_like(grid)
  density = stats.norm.pdf(grid, spec.mean, spec.std)
  if spec.clip:
    density = jnp.where((grid >= 0) & (grid <= 1), density, 0.0)
  return density.astype(grid.dtype)


def mask_atoms(spec: MaskSpec) -> tuple[tuple[float, float], ...]:
  """The single values of positive probability, as (value, probability) pairs."""
  if spec.kind == "bernoulli":
    return (0.0, float(spec.rate)), (1.0, 1.0 - spec.rate)
  if spec.kind == "uniform":
    return ()
  if spec.std == 0:
    value = min(max(spec.mean, 0.0), 1.0) if spec.clip else spec.mean
    return ((float(value), 1.0),)
  if not spec.clip:
    return ()
  below, above = _clipped_tails(spec.mean, spec.std)
  return (0.0, below), (1.0, above)
