"""A converted data set: what `jaxvision.data.skeleton_convert` has written."""

import dataclasses
import json
from pathlib import Path

import numpy as np
from array_record.python import array_record_data_source
from jaxtyping import Int, Int32

from jaxvision.data.kinetics_skeletons import JOINTS as KINETICS_JOINTS
from jaxvision.data.skeleton_conversion import INDEX
from jaxvision.data.skeleton_examples import Indices, Shape, fit
from jaxvision.data.skeleton_files import JOINTS as NTU_JOINTS
from jaxvision.data.skeleton_shards import VERSION, decode
from jaxvision.errors import UserError

JOINTS = {"ntu": NTU_JOINTS, "kinetics": KINETICS_JOINTS}
COMMAND = "python -m jaxvision.data.skeleton_convert --source=RECORDINGS --target="


@dataclasses.dataclass(frozen=True, eq=False)
class Index:
  """All records of a data set, in the order in which they lie.

  Attributes:
    folder: of the data set.
    kind: "ntu" or "kinetics".
    classes: names, in the order of the labels.
    files: of the shards.
    names: of the recordings.
    label: class from 0.
    splits: "train" or "val" of each record; "" where protocols divide them.
    skipped: number of recordings that the conversion left out.
  """

  folder: Path
  kind: str
  classes: tuple[str, ...]
  files: tuple[Path, ...]
  names: tuple[str, ...]
  label: Int32[np.ndarray, " n"]
  splits: tuple[str, ...]
  skipped: int

  def clips(self, rows: Int[np.ndarray, " n"], shape: Shape) -> "RecordClips":
    """The records at `rows` as clips of one shape; opens files, reads no record.

    Raises:
      UserError: if a shard is missing or damaged.
    """
    try:
      source = array_record_data_source.ArrayRecordDataSource(
        [str(file) for file in self.files]
      )
      count = len(source)
    except (RuntimeError, OSError, ValueError) as error:
      raise _damaged(self.folder, error) from error
    if count != len(self.names):
      raise _damaged(self.folder, f"{count} records, {len(self.names)} in the index")
    return RecordClips(source, self.folder, rows, shape)


@dataclasses.dataclass(frozen=True, eq=False)
class RecordClips:
  """Clips that are read when they are asked for; may be called from several threads."""

  source: array_record_data_source.ArrayRecordDataSource
  folder: Path
  rows: Int[np.ndarray, " n"]
  size: Shape

  @property
  def shape(self) -> tuple[int, ...]:
    """(clips n, persons m, frames t, joints v, coordinates c)."""
    return (len(self.rows), *self.size)

  def __getitem__(self, indices: Indices) -> np.ndarray:
    """Reads clips and cuts or fills them.

    Raises:
      UserError: if a record is damaged.
    """
    clips = np.empty((len(indices), *self.size), np.float32)
    try:
      records = self.source.__getitems__(self.rows[indices].tolist())
      for i, record in enumerate(records):
        clips[i] = fit(decode(record), *self.size[:2])
    except (RuntimeError, OSError, ValueError) as error:
      raise _damaged(self.folder, error) from error
    return clips


def read_index(folder: str | Path) -> Index:
  """Reads what a converted data set holds.

  Args:
    folder: the target of the conversion.

  Raises:
    UserError: if it is none, or the conversion has not been finished.
  """
  folder = Path(folder).expanduser()
  path = folder / INDEX
  if not path.is_file():
    raise UserError(
      f"{folder} holds no {INDEX}, so is not converted: run {COMMAND}OTHER and set"
      " --config.data.folder=OTHER."
    )
  try:
    content = json.loads(path.read_text())
    if content["version"] != VERSION:
      raise UserError(f"{path} is of another version: run {COMMAND}{folder}.")
    shards = content["shards"]
    names, labels, splits = (
      [value for shard in shards for value in shard[key]]
      for key in ("names", "labels", "splits")
    )
    return Index(
      folder,
      content["kind"],
      tuple(content["classes"]),
      tuple(folder / shard["file"] for shard in shards),
      tuple(names),
      np.array(labels, np.int32),
      tuple(splits),
      content["skipped"],
    )
  except (OSError, ValueError, KeyError, TypeError) as error:
    raise _damaged(folder, error) from error


def _damaged(folder: Path, why: object) -> UserError:
  reason = (str(why).splitlines() or [type(why).__name__])[0].rstrip(".")
  return UserError(f"{folder} is damaged ({reason}): run {COMMAND}{folder}.")
