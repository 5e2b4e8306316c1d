"""The recordings in a folder: NTU's `.skeleton` files or Kinetics-Skeleton's JSON."""

import collections
from pathlib import Path
from typing import NamedTuple

from jaxvision.data import kinetics_skeletons
from jaxvision.data.ntu_classes import NTU_CLASSES
from jaxvision.data.skeleton_shards import Recording, Shard
from jaxvision.data.skeleton_splits import parse_name
from jaxvision.errors import UserError


class Source(NamedTuple):
  """What a folder holds.

  Attributes:
    kind: "ntu" or "kinetics".
    classes: names, in the order of the labels.
    recordings: sorted by their names.
    skipped: {name: why} of files that belong to no class.
  """

  kind: str
  classes: tuple[str, ...]
  recordings: tuple[Recording, ...]
  skipped: dict[str, str]


def find_source(folder: str | Path) -> Source:
  """Lists the recordings below a folder; reads none.

  Args:
    folder: of NTU's `.skeleton` files, at any depth; or of Kinetics-Skeleton, with
      `kinetics_train`, `kinetics_val` and the two files of labels.

  Raises:
    UserError: if there are none, or two of one name.
  """
  folder = Path(folder).expanduser()
  if not folder.is_dir():
    raise UserError(f"there is no folder {folder}: give --source=FOLDER.")
  if any((folder / name).is_dir() for name in kinetics_skeletons.SPLITS.values()):
    source = _find_kinetics(folder)
  else:
    source = _find_ntu(folder)
  if not source.recordings:
    why = next(iter(source.skipped.values()), "it holds no .skeleton file")
    raise UserError(
      f"{folder} has nothing to convert ({why.rstrip('.')}): give the folder of NTU's"
      " .skeleton files, or that of kinetics_train and kinetics_val."
    )
  names = collections.Counter(recording.name for recording in source.recordings)
  name, count = names.most_common(1)[0]
  if count > 1:
    raise UserError(f"{folder} has {name!r} {count} times: keep one of the files.")
  return source


def cut_shards(source: Source, target: Path, size: int) -> tuple[Shard, ...]:
  """Shares the recordings out among shards.

  Args:
    source: with n recordings.
    target: folder of the shards.
    size: recordings in a shard.
  """
  return tuple(
    Shard(
      target / f"shard-{i:05d}.array_record",
      source.kind,
      source.recordings[i * size : (i + 1) * size],
    )
    for i in range(-(-len(source.recordings) // size))
  )


def _find_ntu(folder: Path) -> Source:
  recordings, skipped = [], {}
  for path in sorted(folder.rglob("*.skeleton"), key=lambda path: path.name):
    try:
      label = parse_name(path.stem).action - 1
      if label >= len(NTU_CLASSES):
        raise UserError(f"{path.name} is of action {label + 1}, and there are 120.")
      recordings.append(Recording(str(path), path.stem, label))
    except UserError as error:
      skipped[path.stem] = str(error)
  return Source("ntu", NTU_CLASSES, tuple(recordings), skipped)


def _find_kinetics(folder: Path) -> Source:
  recordings, skipped, names = [], {}, {}
  for split, subfolder in kinetics_skeletons.SPLITS.items():
    if not (folder / subfolder).is_dir():
      raise UserError(f"{folder} lacks the folder {subfolder}: put it there.")
    labels = kinetics_skeletons.read_labels(folder, split)
    names |= {entry.label: entry.name for entry in labels.values()}
    for path in sorted((folder / subfolder).glob("*.json")):
      entry = labels.get(path.stem)
      if entry and entry.has_skeleton:
        recordings.append(Recording(str(path), path.stem, entry.label, split))
      else:
        skipped[path.stem] = (
          f"{path} has no skeleton, or no entry in {subfolder}_label.json."
        )
  return Source("kinetics", _classes(names), tuple(recordings), skipped)


def _classes(names: dict[int, str]) -> tuple[str, ...]:
  count = max(names, default=-1) + 1
  return tuple(names.get(label, str(label)) for label in range(count))
