"""NTU RGB+D: names of recordings, protocols, and the lists of missing skeletons.

Shahroudy et al., "NTU RGB+D" (CVPR 2016) and Liu et al., "NTU RGB+D 120" (PAMI 2019).
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from jaxvision.data.json_files import read_text
from jaxvision.errors import UserError

SUBJECTS_60 = frozenset(
  (1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 19, 25, 27, 28, 31, 34, 35, 38)
)
SUBJECTS_120 = SUBJECTS_60 | frozenset(
  (
    *(45, 46, 47, 49, 50, 52, 53, 54, 55, 56, 57, 58, 59, 70, 74, 78),
    *(80, 81, 82, 83, 84, 85, 86, 89, 91, 92, 93, 94, 95, 97, 98, 100, 103),
  )
)
CAMERAS = frozenset((2, 3))
CLASSES = {"ntu60": 60, "ntu120": 120}
PROTOCOLS = {"ntu60": ("xsub", "xview"), "ntu120": ("xsub", "xset")}
PATTERN = re.compile(r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})")


class RecordingName(NamedTuple):
  """What the name of a recording says; all numbers count from 1."""

  setup: int
  camera: int
  performer: int
  replication: int
  action: int


def parse_name(name: str) -> RecordingName:
  """Reads a name such as S001C002P003R002A013, with or without `.skeleton`.

  Raises:
    UserError: if it is no such name.
  """
  match = PATTERN.fullmatch(name.removesuffix(".skeleton"))
  numbers = RecordingName(*map(int, match.groups())) if match else None
  if numbers is None or min(numbers) < 1:
    raise UserError(
      f"{name} is no name of a recording of NTU RGB+D, such as S001C002P003R002A013:"
      " its numbers say which class it shows."
    )
  return numbers


def belongs(recording: RecordingName, dataset: str) -> bool:
  """Whether a recording's class is one of "ntu60" or "ntu120"."""
  return recording.action <= CLASSES[dataset]


def is_training(recording: RecordingName, dataset: str, protocol: str) -> bool:
  """Whether a protocol trains on a recording; it tests on all others.

  Args:
    recording: see `parse_name`.
    dataset: "ntu60" or "ntu120".
    protocol: "xsub" divides the performers, "xview" the cameras (of "ntu60"), "xset"
      the set-ups (of "ntu120").

  Raises:
    UserError: if the data set has no such protocol.
  """
  if protocol not in PROTOCOLS[dataset]:
    raise UserError(
      f"{dataset} has no protocol {protocol!r}: give {' or '.join(PROTOCOLS[dataset])}."
    )
  if protocol == "xsub":
    subjects = SUBJECTS_60 if dataset == "ntu60" else SUBJECTS_120
    return recording.performer in subjects
  if protocol == "xview":
    return recording.camera in CAMERAS
  return recording.setup % 2 == 0


def training_mask(
  names: Sequence[str], dataset: str, protocol: str
) -> Bool[np.ndarray, " n"]:
  """Which of n recordings are for training, see `is_training`."""
  flags = [is_training(parse_name(name), dataset, protocol) for name in names]
  return np.array(flags, bool)


def read_missing(path: str | Path) -> frozenset[str]:
  """Reads a list of recordings to leave out, such as the two that come with NTU.

  Args:
    path: text file with one name a line; other lines, such as a header, are skipped.

  Raises:
    UserError: if the file cannot be read or holds no name.
  """
  lines = (line.strip() for line in read_text(path).splitlines())
  stems = (line.removesuffix(".skeleton") for line in lines)
  names = frozenset(stem for stem in stems if PATTERN.fullmatch(stem))
  if not names:
    raise UserError(
      f"{path} holds no name of a recording, such as S001C002P005R002A008, on a line"
      " of its own: give the list of NTU RGB+D's missing skeletons."
    )
  return names
