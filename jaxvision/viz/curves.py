"""Curves: what `metrics.jsonl` says of a training, and any y against x."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from jaxvision.errors import UserError
from jaxvision.viz import figures

if TYPE_CHECKING:
  import matplotlib.axes

Curve = tuple[ArrayLike, ArrayLike]
Panels = dict[str, dict[str, dict[int, float]]]  # metric -> split -> step -> value

_KEYS = ("stage", "step", "split")
_FEW = 30  # points that are worth a marker each


def draw_training(jsonl: Path, folder: Path) -> list[Path]:
  """Draws one figure a stage, `training_<stage>.png`, with one panel a metric.

  Training and validation share a panel where both have the metric. Values that are not
  finite are gaps, and the panel's title counts them.

  Args:
    jsonl: one JSON object a line: {"stage", "step", "split", metric: value, ...}. The
      last line may be cut short, as a kill leaves it; of lines of the same step the
      last one counts.
    folder: where the figures go.

  Returns:
    Paths of the figures; none if there is no file or nothing in it.

  Raises:
    UserError: another line than the last is broken.
  """
  rows = _read(jsonl)
  splits = list(dict.fromkeys(["train", "val", *(row["split"] for row in rows)]))
  paths = []
  for stage, metrics in _by_stage(rows).items():
    figure, axes = figures.panels(len(metrics))
    handles = {}
    for panel, (metric, values) in zip(axes, metrics.items(), strict=True):
      for split in sorted(values, key=splits.index):
        curve = _gapped(values[split])
        handles[split] = _plot(panel, *curve, splits.index(split))
      gaps = sum(not math.isfinite(y) for v in values.values() for y in v.values())
      title = f"{gaps} not finite" if gaps else ""
      figures.dress(panel, title=title, xlabel="step", ylabel=metric)
      panel.xaxis.get_major_locator().set_params(integer=True)
    figures.headline(figure, f"stage {stage}")
    figures.legend(figure, {s: handles[s] for s in splits if s in handles})
    paths.append(figures.save(figure, folder / f"training_{stage}.png"))
  return paths


def draw_curves(
  series: Mapping[str, Curve],
  path: Path,
  *,
  xlabel: str,
  ylabel: str,
  title: str = "",
) -> Path:
  """Draws one panel of labelled curves.

  Args:
    series: {label: (x[n], y[n])}; a curve of one point is a marker.
    path: of the PNG.
    xlabel: with its unit.
    ylabel: with its unit.
    title: of the panel.

  Raises:
    ValueError: no curve, an empty one, x and y of different lengths, NaN or infinity.
  """
  if not series:
    raise ValueError("series is empty: nothing to draw.")
  figure, [[axes]] = figures.grid(1, 1, (6.5, 3.8))
  handles = {}
  for index, (label, (x, y)) in enumerate(series.items()):
    x, y = figures.finite(f"x of {label!r}", x), figures.finite(f"y of {label!r}", y)
    if x.ndim != 1 or x.shape != y.shape:
      raise ValueError(f"{label!r} has x of shape {x.shape} and y of {y.shape}.")
    handles[label] = _plot(axes, x, y, index)
  figures.dress(axes, title=title, xlabel=xlabel, ylabel=ylabel)
  figures.legend(figure, handles)
  return figures.save(figure, path)


def _plot(
  axes: "matplotlib.axes.Axes", x: np.ndarray, y: np.ndarray, index: int
) -> Any:
  colours = len(figures.PALETTE)
  (line,) = axes.plot(
    x,
    y,
    color=figures.PALETTE[index % colours],
    linestyle=figures.STYLES[index // colours % len(figures.STYLES)],
    linewidth=1.6,
    marker="o" if len(x) <= _FEW else "",
    markersize=3.5,
  )
  return line


def _read(jsonl: Path) -> list[dict[str, Any]]:
  if not jsonl.exists():
    return []
  rows = []
  lines = jsonl.read_text().splitlines()
  for number, line in enumerate(lines, 1):
    row = _row(line)
    if row is not None:
      rows.append(row)
    elif number < len(lines):  # only a kill in mid-write may leave half a line
      raise UserError(
        f"{jsonl} line {number} is no JSON object with stage, step and split: remove it"
      )
  return rows


def _row(line: str) -> dict[str, Any] | None:
  try:
    row = json.loads(line)
  except json.JSONDecodeError:
    return None
  complete = isinstance(row, dict) and all(key in row for key in _KEYS)
  return row if complete else None


def _by_stage(rows: Sequence[Mapping[str, Any]]) -> dict[str, Panels]:
  stages: dict[str, Panels] = {}
  for row in rows:
    for metric, value in row.items():
      number = isinstance(value, int | float) and not isinstance(value, bool)
      if number and metric not in _KEYS:
        panel = stages.setdefault(row["stage"], {}).setdefault(metric, {})
        panel.setdefault(row["split"], {})[row["step"]] = value
  return stages


def _gapped(values: Mapping[int, float]) -> tuple[np.ndarray, np.ndarray]:
  """Sorted steps and values; infinity would spoil the axis, NaN is left blank."""
  steps = sorted(values)
  y = np.array([values[step] for step in steps], np.float64)
  return np.array(steps), np.where(np.isfinite(y), y, np.nan)
