"""Verdicts: which side of zero, or of a margin, a whole interval is on."""

import pytest

from jaxvision.metrics import verdicts
from jaxvision.metrics.intervals import Difference


class TestVerdict:
  @pytest.mark.parametrize(
    ("low", "high", "direction", "by", "expected"),
    [
      (-0.3, -0.1, "lower", 0.0, "shown"),
      (-0.3, -0.1, "higher", 0.0, "contradicted"),
      (0.1, 0.3, "lower", 0.0, "contradicted"),
      (0.1, 0.3, "higher", 0.0, "shown"),
      (-0.1, 0.3, "lower", 0.0, "not shown"),
      (-0.3, 0.1, "higher", 0.0, "not shown"),
      (-0.3, 0.0, "lower", 0.0, "not shown"),  # touches zero
      (0.0, 0.3, "lower", 0.0, "not shown"),
      (0.0, 0.0, "lower", 0.0, "not shown"),
      (-0.3, -0.1, "lower", 0.05, "shown"),
      (-0.3, -0.1, "lower", 0.2, "not shown"),
      (-0.3, -0.1, "lower", 0.4, "contradicted"),  # lower, but not by so much
      (0.1, 0.3, "higher", 0.05, "shown"),
      (0.1, 0.3, "higher", 0.2, "not shown"),
      (0.1, 0.3, "higher", 0.4, "contradicted"),
      (-0.1, 0.1, "lower", 0.2, "contradicted"),
      (float("nan"), float("nan"), "lower", 0.0, "not shown"),
    ],
  )
  def test_whole_interval_decides(self, low, high, direction, by, expected):
    difference = Difference((low + high) / 2, low, high, (low, high))
    assert verdicts.verdict(difference, direction, by=by) == expected

  @pytest.mark.parametrize(("direction", "by"), [("down", 0.0), ("lower", -0.1)])
  def test_rejects_what_has_no_meaning(self, direction, by):
    with pytest.raises(ValueError, match=r"direction|margin"):
      verdicts.verdict(Difference(0.0, -1.0, 1.0, ()), direction, by=by)
