"""Mistakes in the config of skeleton data, before any file is read."""

import ml_collections

from jaxvision.data.field_checks import check_choices, check_least, check_validation
from jaxvision.data.skeleton_defaults import NAME
from jaxvision.data.skeleton_known import KNOWN
from jaxvision.data.skeleton_splits import PROTOCOLS
from jaxvision.errors import UserError

COUNTS = ("limit", "validation", "seed", "resident_bytes")
SIZES = ("length", "persons")
CHOICES = {
  "normalize": ("auto", "none", "frame", "clip"),
  "stream": ("joint", "bone", "joint_motion", "bone_motion"),
}


def check(config: ml_collections.ConfigDict) -> None:
  """Checks the fields of `jaxvision.data.skeleton_defaults.DEFAULTS`.

  Raises:
    UserError: naming the first field that is wrong.
  """
  check_least(config, COUNTS, 0)
  check_least(config, SIZES, 1)
  check_choices(config, CHOICES)
  check_validation(config, "clips")
  _check_augmentation(config)
  _check_source(config)


def _check_augmentation(config: ml_collections.ConfigDict) -> None:
  augment = config.augment
  if not 0 <= augment.window <= config.length:
    raise UserError(
      f"--config.data.augment.window={augment.window} is not within the"
      f" {config.length} frames of --config.data.length."
    )
  if augment.rotate < 0:
    raise UserError(
      f"--config.data.augment.rotate={augment.rotate} is negative: give radians."
    )
  if not 0 <= augment.flip <= 1:
    raise UserError(
      f"--config.data.augment.flip={augment.flip} is no probability: give 0 to 1."
    )


def _check_source(config: ml_collections.ConfigDict) -> None:
  """A folder, or the name of a data set that needs none; NTU's protocol."""
  known = (NAME, *KNOWN)
  if not config.folder and config.name not in known:
    raise UserError(
      f"--config.data.name={config.name!r} is unknown: give {' or '.join(known)}, or"
      " clips of your own by --config.data.folder=FOLDER."
    )
  protocols = PROTOCOLS.get(config.name)
  if protocols and config.protocol not in protocols:
    raise UserError(
      f"--config.data.protocol={config.protocol!r} is no protocol of {config.name}:"
      f" give {' or '.join(protocols)}."
    )
