"""Files of features that a temporal detector predicts on: whole videos, or windows."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from ml_collections import ConfigDict

from jaxvision.data.feature_windows import sliding_windows
from jaxvision.data.features import read_features, resize_features
from jaxvision.data.temporal import TemporalExamples
from jaxvision.files import input_files
from jaxvision.typing import Array

FEATURES = (".npy", ".npz", ".csv", ".h5", ".hdf5")
_NAME = re.compile(r"(.*)@(\d+)/(\d+)")


class Piece(NamedTuple):
  """What of a video one input of the network is.

  Attributes:
    video: its name.
    first: step of the features that the window begins with.
    steps: number of the features' steps; 0 stands for a whole video, resized.
  """

  video: str
  first: int = 0
  steps: int = 0

  @property
  def name(self) -> str:
    """The name of the input, from which `Piece.parse` makes the piece again."""
    return f"{self.video}@{self.first}/{self.steps}" if self.steps else self.video

  @classmethod
  def parse(cls, name: str) -> "Piece":
    """Reads a name that `reader` gave."""
    match = _NAME.fullmatch(name)
    return cls(match[1], int(match[2]), int(match[3])) if match else cls(name)


def reader(
  train: TemporalExamples, config: ConfigDict
) -> Callable[[Sequence[str]], Iterator[tuple[str, Array]]]:
  """Returns a method's `read`: files of features, as windows like those of training.

  Args:
    train: tells steps and width of a window.
    config: `config.data`; `window` decides between whole videos and sliding windows.
  """
  length, width = train.shape

  def read(paths: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
    for path in input_files(paths, FEATURES, below=False):
      features = read_features(str(path), layout=config.layout, width=width)
      if config.window == "resize":
        whole = resize_features(features, length, mode=config.mode)
        yield Piece(path.stem).name, np.asarray(whole)
        continue
      steps = len(features)
      for window in sliding_windows(steps, size=length, stride=config.stride):
        first = int(window.start)
        piece = np.zeros((length, width), np.float32)
        cut = features[first : first + length]
        piece[: len(cut)] = cut
        yield Piece(path.stem, first, steps).name, piece

  return read
