"""Features of windows that are read from files when they are asked for."""

import concurrent.futures
import dataclasses
import os
import pathlib
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float32, Int64

from jaxvision import interruption
from jaxvision.data.feature_files import BROKEN
from jaxvision.data.feature_layout import agree
from jaxvision.data.features import Features, Layout, read_features, resize_features
from jaxvision.data.temporal_examples import Indices
from jaxvision.errors import UserError

AXES = {"auto": (1, 0), "td": (1,), "dt": (0,)}  # which may hold a step's numbers


@dataclasses.dataclass(frozen=True, eq=False)
class FileFeatures:
  """Features of n windows of files.

  Attributes:
    locations: of the files, see `read_features`.
    file: which of them each window is of.
    start: first step of each window in its file; -1 is the whole file, resized.
    size: (steps t, width d) of a window.
    layout: "td" or "dt".
    mode: of resizing.
    allow_pickle: whether Python objects may be loaded, which can run any code.
    end: step behind the last of each window, which is resized; None: windows that are
      no whole files have the size's steps.
  """

  locations: tuple[str, ...]
  file: Int64[np.ndarray, " n"]
  start: Int64[np.ndarray, " n"]
  size: tuple[int, int]
  layout: Layout
  mode: str
  allow_pickle: bool = False
  end: Int64[np.ndarray, " n"] | None = None

  @property
  def shape(self) -> tuple[int, ...]:
    """(windows n, steps t, width d)."""
    return (len(self.file), *self.size)

  def __getitem__(self, indices: Indices) -> Float32[np.ndarray, "b t d"]:
    """Reads windows; steps behind the end of a video are 0.

    Raises:
      UserError: naming the file, if it is damaged or of another width.
    """
    features = np.zeros((len(indices), *self.size), np.float32)
    files, starts = self.file[indices], self.start[indices]
    ends = np.full(len(indices), -1) if self.end is None else self.end[indices]
    for file in np.unique(files):
      location = self.locations[file]
      x = read_features(
        location,
        layout=self.layout,
        width=self.size[1],
        allow_pickle=self.allow_pickle,
      )
      for row in np.flatnonzero(files == file):
        piece = self._cut(x, int(starts[row]), int(ends[row]))
        features[row, : len(piece)] = piece
    return features

  def read(self) -> Float32[np.ndarray, "n t d"]:
    """Reads all windows into memory, each file once, on as many threads as cores."""
    features = np.empty(self.shape, np.float32)
    order = np.argsort(self.file, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(self.file[order])) + 1)

    def fill(rows: Indices) -> None:
      features[rows] = self[rows]

    pool = concurrent.futures.ThreadPoolExecutor(os.cpu_count())
    try:
      for _ in pool.map(fill, groups):
        interruption.check()
    finally:
      pool.shutdown(cancel_futures=True)
    return features

  def _cut(self, x: Features, start: int, end: int) -> Float32[np.ndarray, "s d"]:
    if end >= 0:
      return resize_features(x[start:end], self.size[0], mode=self.mode)
    if start < 0:
      return resize_features(x, self.size[0], mode=self.mode)
    return x[start : start + self.size[0]]


def read_shapes(
  locations: Iterable[str], *, allow_pickle: bool = False
) -> dict[str, tuple[int, int]]:
  """Reads the shapes of feature arrays as they lie; of .npy files the headers alone.

  Raises:
    UserError: naming the file, if it is damaged or empty.
  """
  shapes = {}
  for location in locations:
    interruption.check()
    shapes[location] = _header(location)
    if len(shapes[location]) != 2 or 0 in shapes[location]:
      x = read_features(location, layout="td", allow_pickle=allow_pickle)
      shapes[location] = x.shape
  return shapes


def find_layout(
  shapes: dict[str, tuple[int, int]], *, layout: str, width: int
) -> tuple[Layout, int]:
  """Which axis of the arrays is time, and how many numbers a step has.

  Args:
    shapes: {location: shape}, at least one.
    layout: "td" or "dt"; "auto" finds the axis whose length the arrays share.
    width: numbers a step; 0 takes that of most arrays.

  Returns:
    ("td" or "dt", width).

  Raises:
    UserError: naming a file of another width.
  """
  axes = AXES[layout]
  expected = width or agree(shapes, axes=axes).width
  # the first of equals
  axis = max(axes, key=lambda a: sum(s[a] == expected for s in shapes.values()))
  for location, shape in shapes.items():
    if shape[axis] != expected:
      source = f"--config.data.width={width}" if width else "that of most files"
      raise UserError(
        f"{location} has features of shape {shape}, but the width is {expected},"
        f" {source}, on axis {axis}: give one kind of features, or set"
        " --config.data.width and --config.data.layout."
      )
  return "td" if axis else "dt", expected


def sample(locations: Sequence[str], count: int) -> list[str]:
  """At most `count` of the locations, evenly spread."""
  rows = np.linspace(0, len(locations) - 1, min(count, len(locations)))
  return [locations[i] for i in rows.round().astype(int)]


def _header(location: str) -> tuple[int, ...]:
  """The shape in the header of a .npy file, () of anything else."""
  path = pathlib.Path(location).expanduser()
  if path.suffix != ".npy":
    return ()
  try:
    return np.load(path, mmap_mode="r", allow_pickle=False).shape
  except BROKEN:
    return ()  # reading it whole says what is wrong
