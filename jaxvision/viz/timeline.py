"""What is found in a video over time, below what there is: bars, and kernels."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxvision.typing import Float
from jaxvision.viz import figures
from jaxvision.viz.timeline_rows import Bars, Kernels, best, checked, stack

if TYPE_CHECKING:
  import matplotlib.axes
  import matplotlib.figure

BAR, CURVE, SPACE = 1.0, 1.7, 0.45  # heights, of which a line of text is about one
LINE = 0.27  # inches of a height of 1
GROUND = "#F6F6F6"
HATCHES = ("", "///", "...")  # tell classes of one colour apart
FAINTEST = 0.2  # opacity of a score of 0
ENTRY = 0.2  # inches of a line of the legend
THINNEST = 0.003  # bar, as a part of the axis
LETTER = 0.0095  # width of a letter, as a part of the axis
_INSIDE = {"fontsize": 8, "va": "center", "clip_on": True, "parse_math": False}


class Video(NamedTuple):
  """The rows of a video, from top to bottom, and its duration."""

  rows: Sequence[Bars | Kernels]
  duration: float


class Lines(NamedTuple):
  """Rows as they are drawn; heights and tops in units of a line of bars.

  Attributes:
    rows: from top to bottom.
    number: the line of each bar of a row; None for curves.
    heights: of the rows.
    styles: {class that occurs: colour and hatch}.
  """

  rows: Sequence[Bars | Kernels]
  number: Sequence[np.ndarray | None]
  heights: Sequence[float]
  styles: Mapping[int, Mapping[str, str]]

  @property
  def total(self) -> float:
    """Height of all rows with the space between them."""
    return sum(self.heights) + SPACE * len(self.rows)


def draw_timeline(
  rows: Sequence[Bars | Kernels],
  path: Path,
  *,
  duration: float,
  title: str = "",
  classes: Sequence[str] = (),
  xlabel: str = "seconds",
  top: int = 12,
) -> Path:
  """Draws one video: rows of bars, coloured by class, and of Gaussian curves.

  Bars that overlap lie on several lines. Predictions are the more transparent, the
  lower their score is.

  Args:
    rows: from top to bottom.
    path: of the PNG.
    duration: end of the axis.
    title: of the figure.
    classes: names, in the order of the labels; without them the number is shown.
    xlabel: unit of the times.
    top: most predictions a row, those of the highest scores; the row says so.

  Raises:
    ValueError: no row, or one that cannot be drawn, see `checked`.
  """
  lines, height = lay_out(rows, duration=duration, classes=classes, top=top)
  figure, [[axes]] = figures.grid(1, 1, (9.0, height))
  draw_lines(axes, lines, duration=duration, xlabel=xlabel)
  figures.headline(figure, title)
  name_classes(figure, lines.styles, classes)
  return figures.save(figure, path)


def lay_out(
  rows: Sequence[Bars | Kernels],
  *,
  duration: float,
  classes: Sequence[str] = (),
  top: int = 12,
) -> tuple[Lines, float]:
  """Finds out what a timeline needs; arguments and errors as of `draw_timeline`.

  Returns:
    The rows for `draw_lines`, and the height of their panel in inches.
  """
  if not rows or not duration > 0:
    raise ValueError("a timeline needs a row and a duration above 0.")
  shown = [best(row, top) for row in map(checked, rows)]
  number = [stack(row.segments) if isinstance(row, Bars) else None for row in shown]
  heights = [CURVE if x is None else BAR * (1 + x.max(initial=0)) for x in number]
  lines = Lines(shown, number, heights, _styles(shown, classes))
  height = max(0.9 + LINE * lines.total, 0.3 + ENTRY * len(lines.styles))
  return lines, height


def draw_lines(
  axes: "matplotlib.axes.Axes", lines: Lines, *, duration: float, xlabel: str
) -> None:
  """Draws rows into a panel.

  Args:
    axes: the panel.
    lines: from `lay_out`.
    duration: end of the axis.
    xlabel: unit of the times.
  """
  total, heights = lines.total, lines.heights
  tops = total - np.cumsum([0, *(h + SPACE for h in heights[:-1])])
  axes.set_xlim(0, duration)
  axes.set_ylim(SPACE, total)
  each = zip(lines.rows, lines.number, tops, heights, strict=True)
  for row, number, upper, high in each:
    axes.axhspan(upper - high, upper, color=GROUND, linewidth=0)
    if isinstance(row, Bars):
      _draw_bars(axes, row, upper - BAR * (number + 0.5), lines.styles)
    else:
      _draw_kernels(axes, row, upper - high)
  figures.dress(axes, xlabel=xlabel)
  _name_rows(axes, [row.name for row in lines.rows], tops - np.array(heights) / 2)


def draw_timelines(
  videos: Mapping[str, Video],
  folder: Path,
  *,
  classes: Sequence[str] = (),
  count: int = 6,
  xlabel: str = "seconds",
) -> list[Path]:
  """Draws the first `count` videos, each into a PNG that is named like it.

  Args:
    videos: {name: video}.
    folder: of the figures.
    classes: see `draw_timeline`.
    count: most videos to draw.
    xlabel: unit of the times.

  Returns:
    The paths.
  """
  paths = []
  for number, (name, video) in enumerate(list(videos.items())[:count]):
    safe = re.sub(r"[^\w.-]+", "_", name)[-60:]
    path = folder / f"timeline_{number:02d}_{safe}.png"
    options = {"duration": video.duration, "title": name, "classes": classes}
    paths.append(draw_timeline(video.rows, path, xlabel=xlabel, **options))
  return paths


def name_classes(
  figure: "matplotlib.figure.Figure",
  styles: Mapping[int, Mapping[str, str]],
  classes: Sequence[str],
) -> None:
  """Names the colours of the classes beside all panels."""
  from matplotlib.patches import Patch

  name = lambda k: classes[k] if k < len(classes) else f"class {k}"
  patches = {name(k): Patch(**style, edgecolor="white") for k, style in styles.items()}
  if patches:
    figures.legend(figure, patches)


def _styles(
  rows: Sequence[Bars | Kernels], classes: Sequence[str]
) -> dict[int, dict[str, str]]:
  """{class that occurs: colour and hatch}; all known ones if they are few."""
  bars = [row for row in rows if isinstance(row, Bars) and row.label is not None]
  labels = sorted({k for row in bars for k in row.label.tolist()})
  if bars and len(classes) <= len(figures.PALETTE):  # one colour in all figures
    labels = sorted({*labels, *range(len(classes))})
  styles = {}
  for number, label in enumerate(labels):
    round_, colour = divmod(number, len(figures.PALETTE))
    hatch = HATCHES[round_ % len(HATCHES)]
    styles[label] = {"facecolor": figures.PALETTE[colour], "hatch": hatch}
  return styles


def _name_rows(
  axes: "matplotlib.axes.Axes", names: Sequence[str], middles: np.ndarray
) -> None:
  axes.set_yticks(middles, names, parse_math=False)
  axes.tick_params(axis="y", length=0)
  axes.spines["left"].set_visible(False)
  axes.grid(False, axis="y")


def _draw_bars(
  axes: "matplotlib.axes.Axes",
  row: Bars,
  middles: Float[np.ndarray, " n"],
  styles: Mapping[int, Mapping[str, str]],
) -> None:
  _, duration = axes.get_xlim()
  for i, (start, end) in enumerate(row.segments):
    style = {"facecolor": figures.MUTED, "hatch": ""}
    if row.label is not None:
      style = styles[int(row.label[i])]
    score = 1.0 if row.score is None else float(row.score[i])
    alpha = FAINTEST + (1 - FAINTEST) * score
    width = max(end - start, THINNEST * duration)
    axes.barh(
      middles[i], width, 0.8 * BAR, start, alpha=alpha, edgecolor="white", **style
    )
    text = f"{score:.2f}"
    if row.score is None or width < LETTER * duration * (len(text) + 1):
      continue
    dark = style["hatch"] or _is_light(style["facecolor"], alpha)
    box = {"facecolor": "white", "linewidth": 0, "pad": 0.8} if style["hatch"] else None
    options = {"color": figures.INK if dark else "white", "bbox": box, **_INSIDE}
    axes.text(start + width / 2, middles[i], text, ha="center", **options)


def _is_light(colour: str, alpha: float) -> bool:
  """Whether a colour on white is too light for white letters."""
  from matplotlib.colors import to_rgb

  blended = 1 - alpha + alpha * np.array(to_rgb(colour))
  return bool(blended @ (0.3, 0.59, 0.11) > 0.55)  # luma of television


def _draw_kernels(axes: "matplotlib.axes.Axes", row: Kernels, bottom: float) -> None:
  grid = np.linspace(*axes.get_xlim(), 600)
  for center, sigma in zip(row.centers, row.sigmas, strict=True):
    # all equally high: what they differ in is the width
    y = bottom + 0.92 * CURVE * np.exp(-(((grid - center) / sigma) ** 2) / 2)
    shown = y > bottom + 0.01 * CURVE  # tails would add up to a thick line
    x, y = grid[shown], y[shown]
    axes.plot(x, y, color=figures.PALETTE[0], linewidth=0.9, alpha=0.8)
    axes.fill_between(x, bottom, y, color=figures.PALETTE[0], alpha=0.06, linewidth=0)
