"""Mistakes in the config of temporal data, before any file is read."""

import ml_collections

from jaxvision.data.field_checks import check_choices, check_least, check_validation
from jaxvision.data.temporal_defaults import FRAMES_NAME, NAME
from jaxvision.data.temporal_known import KNOWN
from jaxvision.errors import UserError

COUNTS = ("length", "limit", "validation", "seed", "step", "width", "max_segments",
          "resident_bytes")  # fmt: skip
SIZES = ("stride",)
CHOICES = {
  "window": ("resize", "sliding"),
  "mode": ("linear", "bin_mean"),
  "layout": ("auto", "td", "dt"),
  "invalid": ("repair", "keep"),
}


def check(config: ml_collections.ConfigDict) -> None:
  """Checks the fields of `jaxvision.data.temporal_defaults.DEFAULTS`.

  Raises:
    UserError: naming the first field that is wrong.
  """
  check_least(config, COUNTS, 0)
  check_least(config, SIZES, 1)
  check_choices(config, CHOICES)
  if not 0 < config.keep <= 1:
    raise UserError(
      f"--config.data.keep={config.keep} is no share: give more than 0, at most 1."
    )
  check_validation(config, "videos")
  if config.first >= 0 and not config.step:
    raise UserError(
      f"--config.data.first={config.first} has no meaning without --config.data.step:"
      " set both, in seconds."
    )
  _check_source(config)


def _check_source(config: ml_collections.ConfigDict) -> None:
  """Both files, or the name of a data set that needs none."""
  if bool(config.features) != bool(config.annotations):
    has, lacks = ("features", "annotations")[:: 1 if config.features else -1]
    raise UserError(
      f"--config.data.{has} is set but --config.data.{lacks} is not: give both."
    )
  known = (NAME, *KNOWN, FRAMES_NAME)
  if not config.features and config.name not in known:
    raise UserError(
      f"--config.data.name={config.name!r} is unknown: give"
      f" {' or '.join(known)}, or files of your own by --config.data.features and"
      " --config.data.annotations."
    )
