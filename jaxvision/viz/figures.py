"""What all figures share: one plain style, grids of panels, whole files.

Only `matplotlib.figure.Figure` objects are made, so nobody's pyplot state or backend
changes; and matplotlib is imported when the first figure is, since that takes a second.
"""

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from jaxvision import files

if TYPE_CHECKING:
  import matplotlib.axes
  import matplotlib.figure

# Okabe and Ito's colours, which most colour-blind readers tell apart; purple stands
# for their yellow, which is faint on white.
PALETTE = (
  "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#5D4E9E",
)  # fmt: skip
STYLES = ("-", "--", ":")
INK, MUTED, LIGHT = "#222222", "#767676", "#E4E4E4"
DIVERGING = "RdBu_r"  # red is positive, blue is negative, white is 0
TITLE, TEXT, SMALL = 11, 10, 9  # font sizes in points
# Names of files and classes may hold a "$", which is not the start of a formula.
_PLAIN = {"fontsize": TEXT, "color": INK, "parse_math": False}
DPI = 120


def grid(
  rows: int, columns: int, size: tuple[float, float] = (4.0, 2.8)
) -> tuple["matplotlib.figure.Figure", np.ndarray]:
  """Makes a figure of panels; `size` is (width, height) of one panel in inches.

  Returns:
    The figure, and its axes as an array of shape [rows, columns].
  """
  from matplotlib.backends.backend_agg import FigureCanvasAgg
  from matplotlib.figure import Figure

  figure = Figure((columns * size[0], rows * size[1]), layout="constrained")
  FigureCanvasAgg(figure)
  figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)
  return figure, figure.subplots(rows, columns, squeeze=False)


def panels(
  count: int, *, columns: int = 3, size: tuple[float, float] = (4.0, 2.8)
) -> tuple["matplotlib.figure.Figure", list["matplotlib.axes.Axes"]]:
  """Makes a figure of `count` panels in rows of at most `columns`."""
  columns = min(count, columns)
  figure, axes = grid(math.ceil(count / columns), columns, size)
  flat = list(axes.flat)
  for unused in flat[count:]:
    unused.remove()
  return figure, flat[:count]


def entitle(axes: "matplotlib.axes.Axes", title: str) -> None:
  """Sets the title of a panel, as plain text."""
  axes.set_title(title, loc="left", **_PLAIN)


def dress(
  axes: "matplotlib.axes.Axes", *, title: str = "", xlabel: str = "", ylabel: str = ""
) -> None:
  """Labels a panel and gives it a light grid and no frame."""
  entitle(axes, title)
  axes.set_xlabel(xlabel, **_PLAIN)
  axes.set_ylabel(ylabel, **_PLAIN)
  axes.tick_params(labelsize=SMALL, labelcolor=INK, color=MUTED, length=3)
  axes.spines[["top", "right"]].set_visible(False)
  axes.spines[["left", "bottom"]].set_color(MUTED)
  axes.grid(color=LIGHT, linewidth=0.8)
  axes.set_axisbelow(True)


def name_rows(axes: "matplotlib.axes.Axes", names: Sequence[str]) -> None:
  """Names the rows 0, 1, ... of a panel, the first one at the top."""
  axes.set_yticks(range(len(names)), names, parse_math=False)
  axes.set_ylim(len(names) - 0.4, -0.6)
  axes.grid(False, axis="y")


def bare(axes: "matplotlib.axes.Axes", *, title: str = "") -> None:
  """Strips a panel that shows an image: pixels need no ticks."""
  entitle(axes, title)
  axes.set_xticks([])
  axes.set_yticks([])
  axes.spines[:].set_visible(False)


def headline(figure: "matplotlib.figure.Figure", title: str) -> None:
  """Sets the title of a whole figure, or none."""
  if title:
    figure.suptitle(title, x=0.01, ha="left", **(_PLAIN | {"fontsize": TITLE}))


def legend(figure: "matplotlib.figure.Figure", handles: Mapping[str, Any]) -> None:
  """Widens a figure by one legend right of all panels, where it can cover no data."""
  longest = max(len(line) for label in handles for line in label.split("\n"))
  width = 0.6 + longest * SMALL / 120  # a letter is about 0.6 as wide as high
  figure.set_figwidth(figure.get_figwidth() + width)
  box = figure.legend(
    list(handles.values()),
    list(handles),
    loc="outside right upper",
    fontsize=SMALL,
    labelcolor=INK,
    frameon=False,
  )
  for text in box.get_texts():
    text.set_parse_math(False)


def save(figure: "matplotlib.figure.Figure", path: Path) -> Path:
  """Writes a PNG so that a kill leaves the old file or the new one, nothing else."""
  drawn = io.BytesIO()
  figure.savefig(drawn, format="png", dpi=DPI, facecolor="white")
  files.write_bytes(path, drawn.getvalue())
  return path


def finite(name: str, values: ArrayLike) -> np.ndarray:
  """Returns `values` as float64.

  Raises:
    ValueError: there are none, or one is NaN or infinite: it would leave a hole that
      no reader of the figure could see.
  """
  x = np.asarray(values, np.float64)
  if x.size == 0:
    raise ValueError(f"{name} is empty: nothing to draw.")
  if not np.isfinite(x).all():
    raise ValueError(f"{name} holds NaN or infinity.")
  return x
