"""Paired differences between the arms of an experiment, with their verdicts."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxvision.viz import figures

if TYPE_CHECKING:
  import matplotlib.axes

COLOURS = {
  "shown": figures.PALETTE[2],
  "not shown": figures.MUTED,
  "contradicted": figures.PALETTE[1],
}


class Row(NamedTuple):
  """One claim: the difference that it is about, and what became of it.

  Attributes:
    label: what is compared with what.
    mean: mean of the paired differences.
    low: lower end of its interval.
    high: upper end.
    values: the differences themselves, one a seed.
    verdict: "shown", "not shown" or "contradicted"; other texts are grey.
  """

  label: str
  mean: float
  low: float
  high: float
  values: Sequence[float]
  verdict: str


def draw_comparison(
  rows: Sequence[Row | tuple], path: Path, *, xlabel: str, title: str = ""
) -> Path:
  """Draws intervals of paired differences against zero, with the single seeds.

  Args:
    rows: from top to bottom; one unit for all, since they share the axis.
    path: of the PNG.
    xlabel: as "difference in test error (percentage points)".
    title: of the figure.

  Raises:
    ValueError: no row; NaN or infinity; a mean outside its interval.
  """
  if not rows:
    raise ValueError("rows is empty: nothing to draw.")
  figure, [[axes]] = figures.grid(1, 1, (8.5, 1.1 + 0.55 * len(rows)))
  checked = [_checked(Row(*row)) for row in rows]
  axes.axvline(0, color=figures.INK, linewidth=1)
  for y, row in enumerate(checked):
    _draw_row(axes, y, row)
  figures.dress(axes, xlabel=xlabel)
  figures.name_rows(axes, [row.label for row in checked])
  figures.headline(figure, title)
  return figures.save(figure, path)


def _checked(row: Row) -> Row:
  figures.finite(f"row {row.label!r}", [row.mean, row.low, row.high, *row.values])
  if not row.low <= row.mean <= row.high:
    raise ValueError(
      f"row {row.label!r}: the mean {row.mean} is not within [{row.low}, {row.high}]."
    )
  return row


def _draw_row(axes: "matplotlib.axes.Axes", y: int, row: Row) -> None:
  colour = COLOURS.get(row.verdict, figures.MUTED)
  # Seeds below the interval: on it, they would hide it.
  below = np.full(len(row.values), y + 0.24)
  axes.plot(row.values, below, "o", color=figures.MUTED, markersize=3.5, alpha=0.7)
  axes.plot([row.low, row.high], [y, y], color=colour, linewidth=3)
  axes.plot(row.mean, y, "D", color=colour, markersize=7)
  axes.text(
    1.02,
    y,
    row.verdict,
    color=colour,
    fontsize=figures.TEXT,
    va="center",
    parse_math=False,
    transform=axes.get_yaxis_transform(),
  )
