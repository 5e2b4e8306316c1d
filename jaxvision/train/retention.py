"""Which checkpoints of a stage are kept: the latest few, and the best."""

import math
from collections.abc import Mapping, Sequence
from typing import Any


class LatestAndBest:
  """Orbax preservation policy: the latest few, and the best by `scores`.

  Orbax can keep the best itself, but only of metrics that are saved with the state;
  here a state that is already saved may be evaluated later.
  """

  def __init__(self, latest: int, scores: Mapping[int, float]):
    """Reads `scores` ({step: score}) anew at every save."""
    self._latest, self._scores = latest, scores

  def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> list[bool]:
    """Tells for each checkpoint, oldest first, whether it stays."""
    del context
    steps = [info.step for info in checkpoints]
    kept = {*steps[-self._latest :], best_of(self._scores, steps)}
    return [step in kept for step in steps]


def best_of(scores: Mapping[int, float], steps: Sequence[int]) -> int | None:
  """Returns the step with the largest score, the earliest of equals; NaN is none."""
  scored = [s for s in sorted(steps) if not math.isnan(scores.get(s, math.nan))]
  return max(scored, key=scores.__getitem__, default=None)
