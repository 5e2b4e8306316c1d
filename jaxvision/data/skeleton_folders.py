"""A converted folder, or a file of pyskl, as a data set with its splits."""

import dataclasses

import ml_collections
import numpy as np
from jaxtyping import Int64

from jaxvision.data.skeleton_defaults import NAME
from jaxvision.data.skeleton_examples import (
  AbstractClips,
  SkeletonDataset,
  SkeletonExamples,
)
from jaxvision.data.skeleton_known import KNOWN
from jaxvision.data.skeleton_pickles import PoseClips, read_poses
from jaxvision.data.skeleton_records import JOINTS, Index, read_index
from jaxvision.data.skeleton_splits import (
  PROTOCOLS,
  belongs,
  parse_name,
  read_missing,
  training_mask,
)
from jaxvision.data.splits import ORDER, validation_size
from jaxvision.errors import UserError

Rows = Int64[np.ndarray, "_"]
SKELETONS = {25: "ntu", 18: "openpose", 17: "coco"}  # by the number of joints


def load_files(
  config: ml_collections.ConfigDict, *, read: bool = True
) -> SkeletonDataset:
  """Loads what `config.folder` names.

  Args:
    config: the fields of `jaxvision.data.skeleton_defaults.DEFAULTS`.
    read: False reads no clips, for a plan.

  Returns:
    The data set; splits up to `config.resident_bytes` are in memory.

  Raises:
    UserError: naming the file or the field that is wrong.
  """
  if config.folder.endswith(".pkl"):
    dataset = _load_poses(config)
  else:
    dataset = _load_records(config, read_index(config.folder), read)
  if not read:
    return dataset._replace(
      splits={name: _abstract(e) for name, e in dataset.splits.items()}
    )
  splits = {
    name: e.read() if e.nbytes <= config.resident_bytes else e
    for name, e in dataset.splits.items()
  }
  return dataset._replace(splits=splits)


def _load_records(
  config: ml_collections.ConfigDict, index: Index, read: bool
) -> SkeletonDataset:
  shape = (config.persons, config.length, JOINTS[index.kind], 3)
  if index.kind == "ntu":
    name, train, test = _divide_ntu(config, index)
    classes = KNOWN[name].classes
  else:
    name, classes = _name(config, "kinetics"), index.classes
    split = np.array(index.splits)
    train, test = np.flatnonzero(split == "train"), np.flatnonzero(split == "val")
  splits = {}
  for part, rows in _hold_out(config, train, test).items():
    clips = index.clips(rows, shape) if read else AbstractClips((len(rows), *shape))
    names = tuple(index.names[i] for i in rows)
    splits[part] = SkeletonExamples(clips, index.label[rows], names)
  note = f"{index.skipped} recordings could not be converted" * (index.skipped > 0)
  return SkeletonDataset(name, note, classes, splits, SKELETONS[shape[2]])


def _divide_ntu(
  config: ml_collections.ConfigDict, index: Index
) -> tuple[str, Rows, Rows]:
  """(name, training rows, test rows) by the protocol, without missing recordings."""
  later = any(parse_name(name).action > 60 for name in index.names)
  name = config.name if config.name in PROTOCOLS else "ntu120" if later else "ntu60"
  missing = read_missing(config.missing) if config.missing else frozenset()
  rows = [
    i
    for i, recording in enumerate(index.names)
    if recording not in missing and belongs(parse_name(recording), name)
  ]
  kept = np.array(rows, np.int64)
  train = training_mask([index.names[i] for i in rows], name, config.protocol)
  return name, kept[train], kept[~train]


def _load_poses(config: ml_collections.ConfigDict) -> SkeletonDataset:
  """Clips of pyskl: they are in memory anyway."""
  poses = read_poses(config.folder, allow_pickle=config.allow_pickle)
  joints, coordinates = poses.clips[0].shape[2:]
  if joints not in SKELETONS:
    raise UserError(
      f"{poses.path} has skeletons of {joints} joints; only those of 25 (NTU), 18"
      " (OpenPose) and 17 (COCO) are known."
    )
  shape = (config.persons, config.length, joints, coordinates)
  rows = (poses.rows(config.protocol, split) for split in ("train", "test"))
  splits = {}
  for part, members in _hold_out(config, *rows).items():
    clips = PoseClips(tuple(poses.clips[i] for i in members), shape)
    names = tuple(poses.names[i] for i in members)
    splits[part] = SkeletonExamples(clips, poses.label[members], names)
  count = int(poses.label.max()) + 1
  known = KNOWN.get(config.name)
  fits = known is not None and len(known.classes) == count
  classes = known.classes if fits else tuple(map(str, range(count)))
  name = _name(config, poses.path.stem)
  return SkeletonDataset(name, "", classes, splits, SKELETONS[joints])


def _hold_out(
  config: ml_collections.ConfigDict, train: Rows, test: Rows
) -> dict[str, Rows]:
  """Holds validation clips out of the training clips, and limits the latter."""
  held = validation_size(len(train), config.validation)
  order = np.random.default_rng((config.seed, ORDER)).permutation(train)
  kept = order[held:][: config.limit or None]
  if not len(kept):
    raise UserError(
      f"{config.folder} has no clip to train on by --config.data.protocol="
      f"{config.protocol} and --config.data.validation={config.validation:g}: choose"
      " others."
    )
  return {"train": np.sort(kept), "val": np.sort(order[:held]), "test": test}


def _abstract(examples: SkeletonExamples) -> SkeletonExamples:
  clips = AbstractClips((len(examples), *examples.shape))
  return dataclasses.replace(examples, skeleton=clips)


def _name(config: ml_collections.ConfigDict, found: str) -> str:
  return found if config.name == NAME else config.name
