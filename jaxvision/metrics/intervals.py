"""Means over seeds with Student's t intervals, alone and paired."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import special


def summary(values: Sequence[float]) -> dict[str, object]:
  """Returns mean, sample standard deviation, half width of the 95 % interval, values.

  Args:
    values: one a seed; with a single one sd and ci95 are 0.
  """
  x = np.asarray(values, np.float64)
  sd = float(x.std(ddof=1)) if x.size > 1 else 0.0
  return {
    "mean": float(x.mean()),
    "sd": sd,
    "ci95": half_width(sd, x.size),
    "values": [float(v) for v in x],
  }


def half_width(sd: float, n: int, *, level: float = 0.95) -> float:
  """Half width of Student's t interval of a mean of `n` values; 0 for one value."""
  if n < 2:
    return 0.0
  return float(special.stdtrit(n - 1, 0.5 + level / 2)) * sd / math.sqrt(n)


class Difference(NamedTuple):
  """The mean difference of paired values and its 95 % interval."""

  mean: float
  low: float
  high: float
  values: tuple[float, ...]


def paired_difference(a: Sequence[float], b: Sequence[float]) -> Difference:
  """Returns a - b over pairs, one a seed.

  Raises:
    ValueError: the lengths differ, or there are fewer than two pairs.
  """
  if len(a) != len(b) or len(a) < 2:
    raise ValueError(f"need two or more pairs; got {len(a)} and {len(b)} values")
  row = summary([x - y for x, y in zip(a, b, strict=True)])
  mean, half = row["mean"], row["ci95"]
  return Difference(mean, mean - half, mean + half, tuple(row["values"]))
