"""Ranked lists of retrieval: each query beside what it found."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Shaped

from jaxvision.typing import Array, Bool, Float
from jaxvision.viz import figures

if TYPE_CHECKING:
  import matplotlib.axes
  import matplotlib.figure

RIGHT, WRONG = figures.PALETTE[2], figures.PALETTE[1]  # green; vermilion, as red
ROUNDING = 1e-4  # interpolated images leave [0, 1] by so much at most
SHOWN = 8  # queries, at most
_SIDE, _TEXT = 1.15, 0.25  # inches: of a square image with its margins, of its labels


def draw_rank_lists(
  queries: Shaped[np.ndarray | Array, "q h w c"],
  ranked: Shaped[np.ndarray | Array, "q k h w c"],
  correct: Bool[np.ndarray | Array, "q k"] | None,
  distances: Float[np.ndarray | Array, "q k"],
  path: Path,
  *,
  names: Sequence[str] = (),
  title: str = "",
  count: int = SHOWN,
) -> Path:
  """Draws queries on the left and their results by rank, framed by right and wrong.

  Right results have a solid green frame, wrong ones a dashed red one.

  Args:
    queries: images; uint8, or float in [0, 1]; 1 or 3 channels.
    ranked: the k results of each query, the nearest first; sizes of the queries.
    correct: whether each result is a match; None where nobody knows, without frames.
    distances: of the results, ascending; written below them.
    path: of the PNG.
    names: of the queries, written beside them, cut where they are too long.
    title: of the figure.
    count: most queries to draw, the first ones; the title says how many there are.

  Raises:
    ValueError: no query or result, sizes that do not match, images that are none,
      distances that do not ascend.
  """
  names = names or [""] * len(queries)
  distance = figures.finite("distances", distances)
  known = distance if correct is None else correct
  if not len(queries) == len(ranked) == len(known) == len(distance) == len(names):
    raise ValueError("queries, ranked, correct, distances and names differ in length.")
  if (np.diff(distance, axis=1) < 0).any():
    raise ValueError("distances must ascend along the ranks of each query.")
  shown = min(len(queries), count)
  left, right = (_pixels(x[:shown]) for x in (queries, ranked))
  size = _panel(*left.shape[1:3])
  figure, axes = figures.grid(shown, 1 + distance.shape[1], size)
  for row, panels in enumerate(axes):
    _draw_query(panels[0], left[row], names[row], inches=size[1], headed=not row)
    frames = None if correct is None else correct[row]
    _draw_results(panels[1:], right[row], frames, distance[row], numbered=not row)
  if shown < len(queries):
    title = f"{title}, " * bool(title) + f"first {shown} of {len(queries)} queries"
  figures.headline(figure, title)
  if correct is not None:
    _explain(figure)
  return figures.save(figure, path)


def _draw_results(
  panels: Sequence["matplotlib.axes.Axes"],
  images: np.ndarray,
  correct: Bool[np.ndarray | Array, " k"] | None,
  distance: Float[np.ndarray, " k"],
  *,
  numbered: bool,
) -> None:
  for rank, panel in enumerate(panels):
    _draw_image(panel, images[rank], title=f"{rank + 1}" if numbered else "")
    if correct is not None:
      _frame(panel, bool(correct[rank]))
    label = f"{distance[rank]:.3g}"
    panel.set_xlabel(label, fontsize=figures.SMALL, color=figures.MUTED)


def _panel(height: int, width: int) -> tuple[float, float]:
  """(width, height) in inches of a panel: of one area whatever the images' shape."""
  stretch = min(max(math.sqrt(height / width), 0.5), 2.0)
  return _SIDE / stretch, _SIDE * stretch + _TEXT


def _pixels(images: Shaped[np.ndarray | Array, "..."]) -> np.ndarray:
  """Images as floats in [0, 1] without the axis of a lone channel."""
  x = np.asarray(images)
  if x.shape[-1] not in (1, 3):
    raise ValueError(f"images have {x.shape[-1]} channels; only 1 or 3 can be drawn.")
  x = figures.finite("images", x / 255 if x.dtype == np.uint8 else x)
  if x.min() < -ROUNDING or x.max() > 1 + ROUNDING:
    raise ValueError("images have values outside [0, 1].")
  return x[..., 0] if x.shape[-1] == 1 else x


def _draw_image(axes: "matplotlib.axes.Axes", image: np.ndarray, *, title: str) -> None:
  axes.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
  figures.bare(axes, title=title)


def _draw_query(
  axes: "matplotlib.axes.Axes",
  image: np.ndarray,
  name: str,
  *,
  inches: float,
  headed: bool,
) -> None:
  """Draws an image with its name beside it, upright; rows are `inches` apart."""
  _draw_image(axes, image, title="query" if headed else "")
  letters = int(inches * 120 / figures.SMALL)  # one is about 0.6 as wide as high
  name = name if len(name) <= letters else f"{name[: letters - 3]}..."
  axes.set_ylabel(name, fontsize=figures.SMALL, color=figures.MUTED, parse_math=False)


def _frame(axes: "matplotlib.axes.Axes", right: bool) -> None:
  axes.spines[:].set_visible(True)
  axes.spines[:].set_capstyle("butt")  # the default fills the gaps of thick dashes
  axes.spines[:].set(**_style(right))


def _style(right: bool) -> dict[str, Any]:
  """Of a frame: the dashes tell right from wrong to those who see no green."""
  dashes = "-" if right else (0, (2, 1))
  return {"color": RIGHT if right else WRONG, "linewidth": 3, "linestyle": dashes}


def _explain(figure: "matplotlib.figure.Figure") -> None:
  from matplotlib.lines import Line2D

  names = {"right": True, "wrong": False}
  lines = {name: Line2D([], [], **_style(right)) for name, right in names.items()}
  figures.legend(figure, lines)
