"""Skeleton action recognition data: `load_skeletons(config.data)`.

Recordings of the user's own, NTU RGB+D or Kinetics-Skeleton, are converted once by
`python -m jaxvision.data.skeleton_convert`; without them, clips are generated
(`jaxvision.data.generated_skeletons`).
"""

from pathlib import Path

import ml_collections
import numpy as np
from jaxtyping import Float32

from jaxvision.data.generated_skeletons import abstract_dataset, generated_dataset
from jaxvision.data.kinetics_skeletons import read_kinetics
from jaxvision.data.skeleton_checks import check
from jaxvision.data.skeleton_defaults import DEFAULTS, NAME
from jaxvision.data.skeleton_examples import (
  Batch,
  SkeletonDataset,
  SkeletonExamples,
  fit,
)
from jaxvision.data.skeleton_files import read_skeleton, select_bodies
from jaxvision.data.skeleton_known import KNOWN, plan_known
from jaxvision.errors import UserError

__all__ = [
  "DEFAULTS", "Batch", "SkeletonDataset", "SkeletonExamples", "abstract_skeletons",
  "expected_files", "load_skeletons", "read_clip",
]  # fmt: skip


def load_skeletons(config: ml_collections.ConfigDict) -> SkeletonDataset:
  """Loads a data set of skeletons.

  Args:
    config: the fields of `DEFAULTS`.

  Returns:
    The data set with the splits "train", "val" and "test", neither normalized nor
    augmented: both are done on the device, as `normalize` and `config.augment` say.
    Splits up to `resident_bytes` are in memory, larger ones are read when clips are
    asked for.

  Raises:
    UserError: naming the field or the file that is wrong.
  """
  check(config)
  if config.folder:
    return _normalized(config, _load_files(config))
  if config.name != NAME:
    raise UserError(
      f"--config.data.name={config.name} needs files: convert them with python -m"
      " jaxvision.data.skeleton_convert and set --config.data.folder."
    )
  return _normalized(config, generated_dataset(config))


def abstract_skeletons(config: ml_collections.ConfigDict) -> SkeletonDataset:
  """Shapes, classes and sizes of a data set, for a plan.

  Args:
    config: the fields of `DEFAULTS`.

  Returns:
    What `load_skeletons` would return, without clips. Of a folder its index is read;
    the well-known data sets of `skeleton_known` need no files.

  Raises:
    UserError: naming the field or the file that is wrong.
  """
  check(config)
  if config.folder:
    return _normalized(config, _load_files(config, read=False))
  if config.name in KNOWN:
    return _normalized(config, plan_known(config))
  return _normalized(config, abstract_dataset(config))


def expected_files(config: ml_collections.ConfigDict) -> tuple[str, ...]:
  """One sentence for each kind of files: which are expected where.

  Args:
    config: the fields of `DEFAULTS`.
  """
  if not config.folder and config.name == NAME:
    return ("generated: no files; they are drawn from --config.data.seed",)
  folder = config.folder or "--config.data.folder=FOLDER"
  sentences = [
    f"{folder}: written by python -m jaxvision.data.skeleton_convert --source=SOURCE"
    " --target=FOLDER, where SOURCE holds NTU's SsssCcccPpppRrrrAaaa.skeleton files, or"
    " kinetics_train, kinetics_val and their two _label.json files; or pyskl's .pkl"
    " with --config.data.allow_pickle=True"
  ]
  if config.name in ("ntu60", "ntu120"):
    missing = config.missing or "--config.data.missing=FILE"
    sentences.append(f"{missing}: the list of NTU's missing skeletons, a name a line")
  return tuple(sentences)


def read_clip(
  path: str | Path, *, persons: int = 2, length: int = 300
) -> Float32[np.ndarray, "m t v 3"]:
  """Reads one recording, such as for a prediction.

  Args:
    path: NTU's `.skeleton`, or Kinetics-Skeleton's JSON.
    persons: m, those that move most (of Kinetics: with the highest scores).
    length: frames t; longer recordings are cut, shorter ones followed by zeros.

  Raises:
    UserError: if the file is missing, damaged or of another kind.
  """
  path = Path(path).expanduser()
  if path.suffix == ".skeleton":
    clip = select_bodies(read_skeleton(path), persons).astype(np.float32)
  elif path.suffix == ".json":
    clip = read_kinetics(path)
  else:
    raise UserError(
      f"{path} is neither a .skeleton nor a .json file: give one of them."
    )
  return fit(clip, persons, length)


def _load_files(
  config: ml_collections.ConfigDict, *, read: bool = True
) -> SkeletonDataset:
  from jaxvision.data import skeleton_folders  # ArrayRecord, only if needed

  return skeleton_folders.load_files(config, read=read)


def _normalized(
  config: ml_collections.ConfigDict, dataset: SkeletonDataset
) -> SkeletonDataset:
  """Says how clips are normalized: only NTU's own recordings come as they were made."""
  if config.normalize not in ("auto", "none") and dataset.skeleton != "ntu":
    raise UserError(
      f"--config.data.normalize={config.normalize} needs NTU's 25 joints, which"
      f" {dataset.name} has not: set it to auto or none."
    )
  if config.normalize != "auto":
    return dataset._replace(normalize=config.normalize)
  own = dataset.skeleton == "ntu" and dataset.name in KNOWN
  return dataset._replace(normalize="frame" if own else "none")
