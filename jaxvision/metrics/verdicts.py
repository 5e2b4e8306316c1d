"""What an interval says of a claim."""

from jaxvision.metrics.intervals import Difference

SHOWN, NOT_SHOWN, CONTRADICTED = "shown", "not shown", "contradicted"
DIRECTIONS = ("lower", "higher")


def verdict(difference: Difference, direction: str, *, by: float = 0.0) -> str:
  """Judges the claim that a difference is below -by ("lower") or above by ("higher").

  The whole interval has to agree, so that a difference as large as chance makes it is
  never evidence, neither for a claim nor against it.

  Args:
    difference: mean of arm - other arm with its interval, see `paired_difference`.
    direction: "lower" or "higher": where the arm is said to be.
    by: margin, not negative, in the unit of the metric.

  Returns:
    "shown" if the whole interval is beyond the margin on the claimed side,
    "contradicted" if all of it is on the other side of the margin, or "not shown".

  Raises:
    ValueError: another direction, or a negative margin.
  """
  if direction not in DIRECTIONS:
    raise ValueError(f"direction is {direction!r}; choose lower or higher")
  if by < 0:
    raise ValueError(f"by is {by}; a margin is not negative")
  low, high = difference.low, difference.high
  if direction == "lower":
    low, high = -high, -low
  if low > by:
    return SHOWN
  return CONTRADICTED if high < by else NOT_SHOWN
