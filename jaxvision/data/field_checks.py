"""Mistakes in the fields of `config.data` that all kinds of data check alike."""

from collections.abc import Iterable, Mapping, Sequence

import ml_collections

from jaxvision.errors import UserError


def check_least(
  fields: ml_collections.ConfigDict,
  keys: Iterable[str],
  least: int,
  *,
  at: str = "data",
) -> None:
  """Checks that numbers are not below the least one, 0 or 1.

  Args:
    fields: holds the numbers.
    keys: their names.
    least: allowed.
    at: where the fields are in the config.

  Raises:
    UserError: naming the first field that is too small.
  """
  for key in keys:
    if fields[key] < least:
      wrong = " is negative" if least == 0 else ""
      raise UserError(
        f"--config.{at}.{key}={fields[key]}{wrong}: give {least} or more."
      )


def check_choices(
  fields: ml_collections.ConfigDict, choices: Mapping[str, Sequence[str]]
) -> None:
  """Checks fields of few known values: {name: values}.

  Raises:
    UserError: naming the first field that has another.
  """
  for key, known in choices.items():
    if fields[key] not in known:
      raise UserError(
        f"--config.data.{key}={fields[key]!r} is unknown: give {' or '.join(known)}."
      )


def check_validation(fields: ml_collections.ConfigDict, examples: str) -> None:
  """Checks the size of the validation split: a number of `examples`, or a share.

  Raises:
    UserError: it is neither.
  """
  size = fields.validation
  if size >= 1 and size != int(size):
    raise UserError(
      f"--config.data.validation={size} is neither a whole number of {examples} nor a"
      " fraction below 1."
    )
