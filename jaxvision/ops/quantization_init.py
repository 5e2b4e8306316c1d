"""Initial scales and thresholds of a quantizer, fitted to a tensor."""

import itertools
from collections.abc import Sequence
from numbers import Real
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxvision.ops.clustering import kmeans_1d
from jaxvision.typing import Array, Float

METHODS = ("kmeans", "linear", "paper")
# The paper's central thresholds: "5 % of [-1, 1] maps to 0".
CENTRAL = 0.05


class Quantizer(NamedTuple):
  """What one layer's quantizer holds: output scale, input scale, thresholds."""

  alpha: Float[Array, ""]
  beta: Float[Array, ""]
  biases: Float[Array, " n"]  # in units of beta * x


def check_levels(levels: Sequence[Real]) -> None:
  """Raises a ValueError unless there are two or more levels, and they increase."""
  pairs = itertools.pairwise(levels)
  if len(levels) < 2 or not all(a < b for a, b in pairs):
    raise ValueError(f"levels are {tuple(levels)}; give two or more, increasing.")


def init_quantizer(
  x: Float[Array, "*s"],
  levels: Sequence[Real],
  *,
  method: str = "kmeans",
  central: Real | None = None,
) -> Quantizer:
  """Fits a quantizer to a pre-trained layer's weights or to a sample of activations.

  The paper's start: beta = (5 p / 4) / q with p = max|Y| and q = max|x|, so the largest
  |beta x| is 1.25 p; alpha = 1 / beta. No gradient flows through it. A tensor of zeros
  has no scale: its beta is infinite.

  Args:
    x: the tensor.
    levels: n + 1 increasing numbers.
    method: of the thresholds: "kmeans", "linear" or "paper", see `initial_biases`.
    central: where the two central thresholds go, as +-central, whatever the method
      says; the paper's choice is .05. None keeps the method's.

  Raises:
    ValueError: levels that do not increase, an unknown method, fewer values than
      levels, or `central` with levels that have no two central thresholds.
  """
  check_levels(levels)
  wide = jnp.promote_types(x.dtype, jnp.float32)
  x = jax.lax.stop_gradient(x).astype(wide)
  beta = 1.25 * max(abs(level) for level in levels) / jnp.max(jnp.abs(x))
  biases = initial_biases(beta * x, levels, method=method, central=central)
  return Quantizer(1.0 / beta, beta, biases)


def initial_biases(
  scaled: Float[Array, "*s"],
  levels: Sequence[Real],
  *,
  method: str,
  central: Real | None = None,
) -> Float[Array, " n"]:
  """Chooses n thresholds for n + 1 levels.

  Args:
    scaled: the values beta * x.
    levels: n + 1 increasing numbers.
    method: "kmeans": mid-points of the centres of n + 1 clusters. "linear": mid-points
      of the levels. "paper": 0 for two levels around 0; k-means with the
      central thresholds at +-.05 for other weights; for activations k-means, but .05
      for two levels (the authors' released configuration).
    central: replaces the two central thresholds by +-central.
  """
  if method not in METHODS:
    raise ValueError(f"method is {method!r}; choose one of {', '.join(METHODS)}.")
  if method == "linear":
    biases = (np.asarray(levels[1:]) + np.asarray(levels[:-1])) / 2.0
  elif method == "paper" and len(levels) == 2:
    biases = np.asarray([0.0 if levels[0] < 0 else CENTRAL])
  else:
    centres = kmeans_1d(scaled, len(levels))
    biases = (centres[1:] + centres[:-1]) / 2.0
  biases = jnp.asarray(biases, scaled.dtype)
  if central is None and method == "paper" and _has_central_pair(levels):
    central = CENTRAL
  return biases if central is None else _with_central(biases, levels, central)


def _has_central_pair(levels: Sequence[Real]) -> bool:
  """Whether an odd number of levels lies around a level 0 in the middle."""
  return len(levels) % 2 == 1 and levels[len(levels) // 2] == 0


def _with_central(biases: Array, levels: Sequence[Real], central: Real) -> Array:
  if not _has_central_pair(levels):
    raise ValueError(
      f"central is {central}, but the levels {tuple(levels)} have no 0 in their middle."
    )
  middle = len(biases) // 2
  replaced = biases.at[middle - 1].set(-central).at[middle].set(central)
  return jnp.sort(replaced)  # a neighbour may have lain between 0 and +-central
