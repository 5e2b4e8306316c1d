"""Temporal action localisation data: `load_temporal(config.data)`.

Features of the user's own need two fields, `features` and `annotations`; classes, the
width of the features and the subsets follow from the files. Without them, actions are
generated: their features (`jaxvision.data.generated_actions`), or frames of which a
network makes features (`jaxvision.data.frame_dataset`).
"""

import ml_collections

from jaxvision.data.generated_actions import abstract_dataset, generated_dataset
from jaxvision.data.temporal_checks import check
from jaxvision.data.temporal_defaults import DEFAULTS, FRAMES_NAME, NAME
from jaxvision.data.temporal_examples import (
  Batch,
  TemporalDataset,
  TemporalExamples,
  Windows,
)
from jaxvision.data.temporal_known import KNOWN, plan_known
from jaxvision.errors import UserError

__all__ = [
  "DEFAULTS", "Batch", "TemporalDataset", "TemporalExamples", "Windows",
  "abstract_temporal", "expected_files", "load_temporal",
]  # fmt: skip


def load_temporal(config: ml_collections.ConfigDict) -> TemporalDataset:
  """Loads a data set of temporal action localisation.

  A window is `length` steps: a whole video, resized, or a piece of it. The last piece
  ends with its video; a video that is shorter than a window is followed by zeros.

  Args:
    config: the fields of `DEFAULTS`.

  Returns:
    The data set with the splits "train", "val" and "test". Splits up to
    `resident_bytes` are in memory, larger ones read files when windows are asked for.

  Raises:
    UserError: naming the field, the file or the video that is wrong.
  """
  check(config)
  if _has_files(config):
    from jaxvision.data.temporal_files import load_files

    return load_files(config)
  if config.name == FRAMES_NAME:
    from jaxvision.data.frame_dataset import frames_dataset

    return frames_dataset(config)
  if config.name != NAME:
    raise UserError(
      f"--config.data.name={config.name} needs files: set --config.data.features and"
      " --config.data.annotations."
    )
  return generated_dataset(config)


def abstract_temporal(config: ml_collections.ConfigDict) -> TemporalDataset:
  """Shapes, classes and sizes of a data set, for a plan.

  Args:
    config: the fields of `DEFAULTS`.

  Returns:
    What `load_temporal` would return, without features. The user's annotations are
    read, and shapes of features. The well-known data sets of `temporal_known` need no
    files, but there the number of sliding windows is not known, as the note says.

  Raises:
    UserError: naming the field, the file or the video that is wrong.
  """
  check(config)
  if _has_files(config):
    from jaxvision.data.temporal_files import load_files

    return load_files(config, read=False)
  if config.name in KNOWN:
    return plan_known(config)
  if config.name == FRAMES_NAME:
    from jaxvision.data.frame_dataset import abstract_frames

    return abstract_frames(config)
  return abstract_dataset(config)


def expected_files(config: ml_collections.ConfigDict) -> tuple[str, ...]:
  """One sentence for each kind of files: which are expected where.

  Args:
    config: the fields of `DEFAULTS`.
  """
  if not _has_files(config) and config.name == FRAMES_NAME:
    from jaxvision.data import frame_dataset

    return frame_dataset.expected_files(config)
  if not _has_files(config) and config.name == NAME:
    return ("generated: no files; they are drawn from --config.data.seed",)
  features = config.features or "--config.data.features=FOLDER"
  annotations = config.annotations or "--config.data.annotations=FILE"
  return (
    f"{features}: one .npy, .npz, .csv or .h5 file a video, [time, width], named"
    f" {config.prefix}VIDEO or v_VIDEO; or one .npz or .h5 file of all videos",
    f"{annotations}: JSON in the form of ActivityNet or BMN, or THUMOS14's folder of"
    " <class>_val.txt and <class>_test.txt",
  )


def _has_files(config: ml_collections.ConfigDict) -> bool:
  return bool(config.features or config.annotations)
