"""Distributions of random affine warps: parameters and their checks, no sampling."""

import dataclasses
import math
from numbers import Real

from jaxvision.ops.warp_sampling import check_sampling

# Limits of the authors' layer.
ANGLE_LIMIT = 180.0
SCALE_LIMITS = (0.1, 10.0)
SHIFT_LIMIT = 0.9  # of the image's size
DISTRIBUTIONS = ("uniform", "gaussian", "affine", "affine_gaussian")
GRANULARITIES = ("batch", "sample", "channel")


@dataclasses.dataclass(frozen=True)
class WarpSpec:
  """Distribution of a random warp; hashable, so it can be a static argument.

  Shen et al. (2016), TICNN, with the parameters of the authors' Caffe layer. A type
  (angle, scale, shift) that is None is left alone; without any type the warp is the
  identity. The paper's own ranges are not known; +-45 degrees, .8 to 1.2 and .15 are
  sensible.

  Attributes:
    angle: uniform: (low, high) in degrees, within +-180, positive counter-clockwise;
      gaussian: standard deviation, draws are clipped to +-180.
    scale: uniform: (low, high) above 0; gaussian: standard deviation around 1, draws
      are clipped to [.1, 10].
    shift: (down, right) as shares of height and width. Uniform: largest shift either
      way, in [0, 1]; gaussian: standard deviations, draws are clipped to +-.9.
    distribution: of the types, "uniform" or "gaussian"; or instead of types, noise on
      all six entries of the matrix, uniform in "affine", normal in "affine_gaussian".
    alternate: keep each type with probability 1/2; if there are several, or affine
      noise, then skip the whole warp with probability 1/2. So the identity comes with
      probability 1/2, 5/8, 9/16 (one, two, three types), 1/2 (affine).
    granularity: one draw a "batch" (authors), a "sample", or a "channel" (all images).
    border: "zero", "clamp" or "reflect", see `ops.warp.warp`.
    interpolation: "bilinear" or "nearest".
    noise: (low, high) of affine, (mean, std) of affine_gaussian noise. Translations are
      shares of height and width.

  Raises:
    ValueError: a value outside its range.
  """

  angle: tuple[Real, Real] | Real | None = None
  scale: tuple[Real, Real] | Real | None = None
  shift: tuple[Real, Real] | None = None
  distribution: str = "uniform"
  alternate: bool = False
  granularity: str = "batch"
  border: str = "zero"
  interpolation: str = "bilinear"
  noise: tuple[Real, Real] = (-0.3, 0.3)

  def __post_init__(self):
    """Checks all fields."""
    for name, known in (
      ("distribution", DISTRIBUTIONS),
      ("granularity", GRANULARITIES),
    ):
      if getattr(self, name) not in known:
        raise ValueError(
          f"{name} is {getattr(self, name)!r}; choose one of {', '.join(known)}."
        )
    check_sampling(self.border, self.interpolation)
    _CHECKS[self.distribution](self)

  @property
  def types(self) -> tuple[str, ...]:
    """Names of the enabled types."""
    names = ("angle", "scale", "shift")
    return tuple(name for name in names if getattr(self, name) is not None)

  @property
  def is_affine(self) -> bool:
    """Whether noise on the whole matrix replaces the types."""
    return self.distribution.startswith("affine")


def _check_pair(name: str, value: object, low: Real, high: Real) -> None:
  """`value` must be two numbers of [low, high]."""
  pair = isinstance(value, tuple) and len(value) == 2
  numbers = pair and all(isinstance(v, Real) and low <= v <= high for v in value)
  if not numbers or not all(map(math.isfinite, value)):
    raise ValueError(f"{name} is {value}; it is two numbers from {low} to {high}.")


def _check_range(name: str, value: object, low: Real, high: Real) -> None:
  _check_pair(name, value, low, high)
  if value[0] > value[1]:
    raise ValueError(f"{name} is {value}; the lower end comes first.")


def _check_std(name: str, value: object) -> None:
  if not (isinstance(value, Real) and 0 <= value < math.inf):
    raise ValueError(
      f"{name} is {value}; gaussian wants a standard deviation, finite and at least 0."
    )


def _check_uniform(spec: WarpSpec) -> None:
  if spec.angle is not None:
    _check_range("angle", spec.angle, -ANGLE_LIMIT, ANGLE_LIMIT)
  if spec.scale is not None:
    _check_range("scale", spec.scale, 0, math.inf)
    if spec.scale[0] == 0:
      raise ValueError(f"scale is {spec.scale}; an image of scale 0 is nothing.")
  if spec.shift is not None:
    _check_pair("shift", spec.shift, 0, 1)


def _check_gaussian(spec: WarpSpec) -> None:
  for name in ("angle", "scale"):
    if getattr(spec, name) is not None:
      _check_std(name, getattr(spec, name))
  if spec.shift is not None:
    _check_pair("shift", spec.shift, 0, math.inf)


def _check_affine(spec: WarpSpec) -> None:
  if spec.types:
    raise ValueError(
      f"{spec.types[0]} is set, but {spec.distribution} noise replaces it; drop one."
    )
  if spec.distribution == "affine":
    _check_range("noise", spec.noise, -math.inf, math.inf)
  else:
    _check_pair("noise", spec.noise, -math.inf, math.inf)
    _check_std("noise[1]", spec.noise[1])


_CHECKS = {
  "uniform": _check_uniform,
  "gaussian": _check_gaussian,
  "affine": _check_affine,
  "affine_gaussian": _check_affine,
}
