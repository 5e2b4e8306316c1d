"""pyskl's `.pkl` files of skeletons (Duan et al., 2022): only if pickles are allowed.

{"split": {"xsub_train": [names], "xsub_val": [names], ...},
 "annotations": [{"frame_dir": name, "label": 0, "keypoint": [m, t, v, c],
                  "keypoint_score": [m, t, v], "img_shape": (height, width)}, ...]}

3-D poses have no scores and are in metres; 2-D poses are in pixels.
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int32

from jaxvision.data.feature_objects import damaged, read_pickle
from jaxvision.data.skeleton_examples import Indices, Shape, fit
from jaxvision.errors import UserError

TESTS = ("val", "test")  # pyskl tests on what it calls val


@dataclasses.dataclass(frozen=True, eq=False)
class Poses:
  """The content of a file.

  Attributes:
    path: of the file.
    names: of the recordings.
    label: class from 0.
    clips: float32 [m, t, v, c], of different lengths.
    splits: {name: names of the recordings}.
  """

  path: Path
  names: tuple[str, ...]
  label: Int32[np.ndarray, " n"]
  clips: tuple[np.ndarray, ...]
  splits: dict[str, list[str]]

  def rows(self, protocol: str, split: str) -> np.ndarray:
    """Numbers of the recordings of "train" or "test".

    Raises:
      UserError: if the file has no such split.
    """
    parts = ("train",) if split == "train" else TESTS
    wanted = [part for p in parts for part in (f"{protocol}_{p}", p)]
    found = next((name for name in wanted if name in self.splits), None)
    if found is None:
      names = ", ".join(sorted(self.splits))
      raise UserError(
        f"{self.path} has no split {wanted[0]!r}, but {names or 'none'}: set"
        " --config.data.protocol."
      )
    members = set(self.splits[found])
    return np.array([i for i, n in enumerate(self.names) if n in members], np.int64)


@dataclasses.dataclass(frozen=True, eq=False)
class PoseClips:
  """Clips of one shape, filled when they are asked for: most are short."""

  clips: tuple[np.ndarray, ...]
  size: Shape

  @property
  def shape(self) -> tuple[int, ...]:
    """(clips n, persons m, frames t, joints v, coordinates c)."""
    return (len(self.clips), *self.size)

  def __getitem__(self, indices: Indices) -> np.ndarray:
    """Cuts or fills the clips at `indices`."""
    return np.stack([fit(self.clips[i], *self.size[:2]) for i in indices])


def read_poses(path: str | Path, *, allow_pickle: bool) -> Poses:
  """Reads a file of pyskl.

  Args:
    path: the `.pkl` file.
    allow_pickle: whether the user trusts it: a pickle can run any code.

  Raises:
    UserError: if it is not allowed, or the file has another form.
  """
  file = Path(path).expanduser()
  if not file.is_file():
    raise UserError(f"there is no file {file}: set --config.data.folder.")
  content = read_pickle(file, allow_pickle=allow_pickle)
  try:
    annotations, splits = content["annotations"], dict(content["split"])
    names = tuple(str(a["frame_dir"]) for a in annotations)
    label = np.array([int(a["label"]) for a in annotations], np.int32)
    clips = tuple(_clip(annotation) for annotation in annotations)
  except (KeyError, TypeError, ValueError) as error:
    raise damaged(file, error) from error
  shapes = {clip.shape[2:] for clip in clips}
  if len(shapes) != 1:
    raise UserError(f"{file} has clips of {len(shapes)} kinds of skeletons: give one.")
  return Poses(file, names, label, clips, splits)


def _clip(annotation: dict[str, Any]) -> Float32[np.ndarray, "m t v c"]:
  """Metres, or (x, y, score) with the image's centre at 0 and its edges at 0.5."""
  points = np.asarray(annotation["keypoint"], np.float32)
  if points.ndim != 4:
    raise ValueError(f"keypoint of shape {points.shape}")
  if "keypoint_score" not in annotation:
    return points
  score = np.asarray(annotation["keypoint_score"], np.float32)[..., None]
  height, width = annotation["img_shape"]
  x, y = points[..., :1] / width - 0.5, 0.5 - points[..., 1:2] / height
  return np.concatenate((x * (score != 0), y * (score != 0), score), -1)
