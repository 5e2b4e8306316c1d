"""One shard of a converted data set: some recordings in one ArrayRecord file.

A record is the clip of one recording as `.npy`, float32 [m, t, v, c] with as many
persons and frames as there are. `<shard>.json` beside it says which recordings they
are, and which are skipped and why. It is written last: with it, the shard is complete.
"""

import contextlib
import dataclasses
import io
import json
import os
from pathlib import Path

import numpy as np
from array_record.python import array_record_module
from jaxtyping import Float32

from jaxvision import files
from jaxvision.data.kinetics_skeletons import read_kinetics
from jaxvision.data.skeleton_files import SLOTS, read_skeleton, select_bodies
from jaxvision.errors import UserError

VERSION = 1  # of the records: a shard of another version is written anew
READERS = {
  "ntu": lambda path: select_bodies(read_skeleton(path), SLOTS),
  "kinetics": read_kinetics,
}


@dataclasses.dataclass(frozen=True)
class Recording:
  """A file that is to be converted.

  Attributes:
    path: of the file.
    name: of the recording.
    label: class from 0.
    split: "train" or "val", or "" where protocols divide them.
  """

  path: str
  name: str
  label: int
  split: str = ""


@dataclasses.dataclass(frozen=True)
class Shard:
  """What a shard holds, or is to hold.

  Attributes:
    path: of its ArrayRecord file.
    kind: of the recordings, "ntu" or "kinetics".
    recordings: in order.
  """

  path: Path
  kind: str
  recordings: tuple[Recording, ...]

  @property
  def manifest(self) -> Path:
    """The JSON file beside it."""
    return self.path.with_suffix(".json")


def write_shard(shard: Shard) -> dict:
  """Converts the recordings of a shard.

  Args:
    shard: what to convert. Recordings that cannot be read are left out.

  Returns:
    Its manifest: {"version", "kind", "sources": {name: [bytes, label, split]}, "file",
    "names", "labels", "splits", "skipped": {name: why}}; the lists are of the records.
  """
  manifest = {**_identity(shard), "file": shard.path.name}
  rows, skipped = [], {}
  part = shard.path.with_name(f".{shard.path.name}.{os.getpid()}.part")
  try:
    # groups of one record: any record is read alone
    with contextlib.closing(
      array_record_module.ArrayRecordWriter(str(part), "group_size:1")
    ) as writer:
      for recording in shard.recordings:
        try:
          clip = READERS[shard.kind](recording.path)
        except UserError as error:
          skipped[recording.name] = str(error)
          continue
        writer.write(encode(trim(clip)))
        rows.append(recording)
    part.replace(shard.path)
  finally:
    part.unlink(missing_ok=True)
  manifest["names"] = [r.name for r in rows]
  manifest["labels"] = [r.label for r in rows]
  manifest["splits"] = [r.split for r in rows]
  manifest["skipped"] = skipped
  files.write_json(shard.manifest, manifest)
  return manifest


def finished(shard: Shard) -> dict | None:
  """The manifest of a shard that was converted from the same files, or None."""
  try:
    manifest = json.loads(shard.manifest.read_text())
    same = all(manifest[key] == value for key, value in _identity(shard).items())
  except (OSError, ValueError, KeyError, TypeError):
    return None
  return manifest if same and shard.path.exists() else None


def _identity(shard: Shard) -> dict:
  """What a shard is made of; sizes tell a file that has been mended since."""
  sources = {r.name: [_size(r.path), r.label, r.split] for r in shard.recordings}
  return {"version": VERSION, "kind": shard.kind, "sources": sources}


def _size(path: str) -> int:
  try:
    return os.path.getsize(path)
  except OSError:  # its reader says what is wrong
    return -1


def trim(clip: np.ndarray) -> Float32[np.ndarray, "m t v c"]:
  """A clip without absent persons and without empty frames at its end."""
  there = clip.any((2, 3))
  frames = int(np.flatnonzero(there.any(0)).max(initial=-1)) + 1
  return clip[there.any(1), :frames].astype(np.float32)


def encode(clip: Float32[np.ndarray, "m t v c"]) -> bytes:
  """A clip as the bytes of an .npy file, which knows its shape."""
  buffer = io.BytesIO()
  np.save(buffer, clip, allow_pickle=False)
  return buffer.getvalue()


def decode(record: bytes) -> Float32[np.ndarray, "m t v c"]:
  """The clip of a record."""
  return np.load(io.BytesIO(record), allow_pickle=False)
