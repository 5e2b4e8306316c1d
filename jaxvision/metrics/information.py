"""Information in nats that a feature can keep about a class when it hides the domain.

The argument of domain-class correlation decomposition (Yang and Tian, 2021) against
domain-adversarial training, made exact for discrete toys. With class y, domain d and a
feature z that does not depend on d: I(z; y) = I(z; y | d) - I(z; d | y) <= H(y | d).
The paper's own statement was not seen.
"""

from collections.abc import Iterator

import numpy as np

from jaxvision.typing import Array, Float

INDEPENDENT = 1e-9  # nats of information below which nothing is shared
Joint = Float[np.ndarray | Array, "i j"]


def entropy(p: Float[np.ndarray | Array, "..."]) -> float:
  """H(p) of a distribution of any shape; probabilities of 0 count nothing."""
  p = np.asarray(p, np.float64).ravel()
  p = p[p > 0]
  return float(-(p * np.log(p)).sum())


def mutual_information(joint: Joint) -> float:
  """I of the two variables of a joint distribution."""
  joint = np.asarray(joint, np.float64)
  return entropy(joint.sum(0)) + entropy(joint.sum(1)) - entropy(joint)


def mutual_information_bound(joint: Joint) -> float:
  """Most that a feature can tell of the class and nothing of the domain: H(y | d).

  Where the class determines the domain that is H(y) - H(d): log K less than the class
  has, of K balanced domains.

  Args:
    joint: probabilities of [class, domain].

  Raises:
    ValueError: they are negative or do not sum to 1.
  """
  joint = _checked(joint)
  return entropy(joint) - entropy(joint.sum(0))


def invariant_information(joint: Joint) -> float:
  """The most that is reached by a deterministic feature of the class, by trying all.

  All partitions of the classes, as many as Bell's numbers: 4140 of 8 classes.

  Args:
    joint: probabilities of [class, domain].

  Returns:
    max I(z; y) over z = f(y) with I(z; d) = 0; 0 if only constants are invariant.

  Raises:
    ValueError: as `mutual_information_bound`.
  """
  joint = _checked(joint)
  best = 0.0
  for part in _partitions(len(joint)):
    merged = np.zeros((max(part) + 1, joint.shape[1]))
    np.add.at(merged, list(part), joint)
    if mutual_information(merged) < INDEPENDENT:
      best = max(best, entropy(merged.sum(1)))  # I(z; y) = H(z), as y determines z
  return best


def _partitions(n: int) -> Iterator[tuple[int, ...]]:
  """All partitions of n things as group numbers, new ones in order of appearance."""
  if not n:
    yield ()
    return
  for part in _partitions(n - 1):
    for group in range(max(part, default=-1) + 2):
      yield (*part, group)


def _checked(joint: Joint) -> np.ndarray:
  joint = np.asarray(joint, np.float64)
  if (joint < 0).any() or not np.isclose(joint.sum(), 1.0):
    raise ValueError(f"joint sums to {joint.sum():g}; probabilities sum to 1.")
  return joint
