"""Kinetics-Skeleton: 2-D poses of OpenPose, one JSON file a clip (Yan et al., 2018).

    {"data": [{"frame_index": t, "skeleton": [{"pose": [x0, y0, x1, ...],
     "score": [s0, ...]}, ...]}, ...], "label": "abseiling", "label_index": 0}

with coordinates in [0, 1], x to the right and y down, in the folders `kinetics_train`
and `kinetics_val`; beside them `kinetics_train_label.json` and
`kinetics_val_label.json`,
{clip: {"has_skeleton": true, "label": "abseiling", "label_index": 0}}.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32

from jaxvision.data.json_files import read_json, refuse
from jaxvision.errors import UserError

JOINTS, FRAMES = 18, 300
READ, KEPT = 5, 2  # persons of a frame that are looked at; those that are kept
SPLITS = {"train": "kinetics_train", "val": "kinetics_val"}


def read_kinetics(path: str | Path) -> Float32[np.ndarray, "2 300 18 3"]:
  """Reads a clip.

  The image's centre becomes 0 and y points up; joints with score 0 become 0; in every
  frame the two of the first five persons with the highest sums of scores are kept, in
  that order, so that a slot need not be one person. Nothing else is normalized.

  Args:
    path: JSON file of one clip.

  Returns:
    (x, y, score) with x, y in [-0.5, 0.5]; frames and persons that are not there are 0.

  Raises:
    UserError: naming the file and the frame that is wrong, or that shows nobody.
  """
  content = read_json(path, refuse(path))
  frames = content.get("data") if isinstance(content, dict) else None
  if not isinstance(frames, list):
    raise UserError(f'{path} has no list "data" of frames: copy the file again.')
  poses = np.zeros((READ, FRAMES, JOINTS, 3))
  for t, frame in zip(_indices(frames, path), frames, strict=True):
    for slot, person in enumerate(_persons(frame, t, path)[:READ]):
      poses[slot, t] = _pose(person, t, path)
  if not poses.any():
    raise UserError(f"{path} shows no person in any frame: leave it out.")
  return _select(_centre(poses)).astype(np.float32)


def _indices(frames: list[Any], path: str | Path) -> list[int]:
  """Places of the frames; some versions of the data set count from 1 to 300."""
  indices = [f.get("frame_index") if isinstance(f, dict) else None for f in frames]
  for i, index in enumerate(indices):
    if isinstance(index, bool) or not isinstance(index, int):
      raise UserError(f'{path}: entry {i} has no whole "frame_index": copy it again.')
  if indices and min(indices) >= 1 and max(indices) == FRAMES:
    indices = [index - 1 for index in indices]
  for index in indices:
    if not 0 <= index < FRAMES:
      raise UserError(
        f"{path}: frame_index {index} is not within the {FRAMES} frames of a clip: cut"
        " the clip."
      )
  return indices


def _persons(frame: dict[str, Any], t: int, path: str | Path) -> list[Any]:
  persons = frame.get("skeleton")
  if not isinstance(persons, list):
    raise UserError(f'{path}: frame {t} has no list "skeleton": copy it again.')
  return persons


def _pose(person: Any, t: int, path: str | Path) -> np.ndarray:
  """(x, y, score) of the joints of one person, [v, 3]."""
  try:
    pose = np.array(person["pose"], np.float64).reshape(JOINTS, 2)
    score = np.array(person["score"], np.float64).reshape(JOINTS, 1)
  except (TypeError, ValueError, KeyError, OverflowError) as error:
    raise UserError(
      f'{path}: frame {t} has a person without {2 * JOINTS} numbers "pose" and {JOINTS}'
      ' numbers "score": copy the file again.'
    ) from error
  joints = np.concatenate((pose, score), -1)
  if not np.isfinite(joints).all():
    raise UserError(f"{path}: frame {t} holds NaN or infinity: leave the clip out.")
  return joints


def _centre(poses: np.ndarray) -> np.ndarray:
  x, y, score = np.moveaxis(poses, -1, 0)
  seen = score != 0
  return np.stack(((x - 0.5) * seen, (0.5 - y) * seen, score), -1)


def _select(poses: np.ndarray) -> np.ndarray:
  """In each frame the persons with the highest sums of scores."""
  total = poses[..., 2].sum(-1)
  order = np.argsort(-total, axis=0, kind="stable")[:KEPT]
  return np.take_along_axis(poses, order[..., None, None], axis=0)


class Entry(NamedTuple):
  """What the labels say of a clip."""

  label: int
  name: str
  has_skeleton: bool


def read_labels(folder: str | Path, split: str) -> dict[str, Entry]:
  """Reads the classes of the clips of "train" or "val".

  Args:
    folder: that holds `kinetics_train_label.json` and `kinetics_val_label.json`.
    split: "train" or "val".

  Returns:
    {clip: its class from 0, the class's name, and whether it shows anybody}.

  Raises:
    UserError: if the file is missing or an entry malformed.
  """
  path = Path(folder) / f"{SPLITS[split]}_label.json"
  content = read_json(path, refuse(path))
  if not isinstance(content, dict):
    raise UserError(f"{path} is no object of clips: copy the file again.")
  labels = {}
  for clip, entry in content.items():
    try:
      label, name, there = entry["label_index"], entry["label"], entry["has_skeleton"]
      if isinstance(label, bool) or not isinstance(label, int) or label < 0:
        raise TypeError(label)
    except (TypeError, KeyError) as error:
      raise UserError(
        f'{path}: clip {clip!r} lacks "has_skeleton", "label" or a "label_index" from'
        " 0: copy the file again."
      ) from error
    labels[clip] = Entry(label, str(name), bool(there))
  return labels
