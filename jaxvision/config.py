"""The config fields that all methods share, and what of a config shapes training.

A config file (`configs/<method>.py`) starts from `base`, adds the method's own numbers
and ends with `finish`, which applies the variant and locks the result.
"""

import hashlib
import json
from collections.abc import Mapping

from ml_collections import ConfigDict

from jaxvision.config_fields import (  # noqa: F401, configs import this module alone
  ATTACK,
  IMAGENET,
  IMAGENET_PIXELS,
  OPTIMIZER,
  RETRIEVAL,
  SCHEDULE,
  SHARED,
)
from jaxvision.data import images as image_sets
from jaxvision.data import partial_defaults as partial_sets
from jaxvision.data import reid_defaults as reid_sets
from jaxvision.data import skeleton_defaults as skeleton_sets
from jaxvision.data import temporal_defaults as temporal_sets
from jaxvision.errors import UserError

# Keys that may change between two runs over one work directory.
NOT_TRAINING = (
  "variant", "seeds", "per_dispatch", "mesh", "checkpoint", "eval", "log", "attack",
  "onnx", "data.folder", "data.distort.test", "data.resident_bytes", "data.targets",
  "data.splits", "data.features", "data.annotations", "data.target.features",
  "data.target.annotations", "data.moments.features", "data.moments.annotations",
  "suppression", "metric", "retrieval", "robust", "robustness", "quantize.integers",
)  # fmt: skip


def base(method: str) -> ConfigDict:
  """Returns the shared fields, unlocked, for a config file to add its own to."""
  config = ConfigDict(SHARED)
  config.method = method
  return config


def images(**fields: object) -> ConfigDict:
  """Returns the fields of an image data set, some of them changed."""
  config = ConfigDict(image_sets.DEFAULTS)
  config.update(fields)
  return config


def actions(**fields: object) -> ConfigDict:
  """Returns the fields of a data set of actions in time, some of them changed."""
  config = ConfigDict(temporal_sets.DEFAULTS)
  config.update(fields)
  return config


def partial_actions(**fields: object) -> ConfigDict:
  """Returns the fields of actions of which some classes have trimmed clips only."""
  config = actions()
  with config.ignore_type():
    config.update(partial_sets.PARTIAL)
  del config.frames
  config.generated = ConfigDict(partial_sets.PARTIAL["generated"])
  config.update(fields)
  return config


def skeletons(**fields: object) -> ConfigDict:
  """Returns the fields of a data set of skeletons, some of them changed."""
  config = ConfigDict(skeleton_sets.DEFAULTS)
  config.update(fields)
  return config


def people(**fields: object) -> ConfigDict:
  """Returns the fields of data for re-identification, some of them changed."""
  config = ConfigDict(reid_sets.DEFAULTS)
  config.update(fields)
  return config


def finish(
  config: ConfigDict, variant: str, variants: Mapping[str, Mapping[str, object]]
) -> ConfigDict:
  """Applies variants, "a" or "a,b" in this order, and locks the config.

  Args:
    config: from `base`, with the method's own fields.
    variant: what stands behind the colon of `--config=FILE:VARIANT`.
    variants: {name: {"dotted.key": value}}.

  Raises:
    UserError: no such variant.
  """
  for name in filter(None, variant.split(",")):
    if name not in variants:
      raise UserError(
        f"{config.method} has no variant {name!r}; it has {', '.join(variants)}."
      )
    for key, value in variants[name].items():
      _set(config, key, value)
  config.variant = variant
  return config.lock()


def _set(config: ConfigDict, key: str, value: object) -> None:
  """Sets an existing dotted key; a mapping replaces all below it."""
  parent, _, last = key.rpartition(".")
  for name in filter(None, parent.split(".")):
    config = config.get(name, {})
  if last not in config:
    raise UserError(f"a variant sets config.{key}, which the config lacks.")
  with config.ignore_type():  # a variant may give a number where the default has a pair
    config[last] = ConfigDict(value) if isinstance(value, Mapping) else value


def flat(config: ConfigDict) -> dict[str, object]:
  """Returns {"dotted.key": value} of all leaves."""
  leaves = {}
  for key, value in config.items():
    if isinstance(value, ConfigDict):
      leaves.update({f"{key}.{k}": v for k, v in flat(value).items()})
    else:
      leaves[key] = value
  return leaves


def fingerprint(config: ConfigDict, **facts: object) -> dict[str, str]:
  """Returns {key: value} of all that shapes training; a checkpoint carries it.

  Args:
    config: of the run.
    **facts: what else shapes training, such as the name of the data set found.
  """
  shaping = {
    f"config.{key}": value
    for key, value in flat(config).items()
    if not any(key == k or key.startswith(f"{k}.") for k in NOT_TRAINING)
  }
  return {key: json.dumps(v, default=str) for key, v in {**shaping, **facts}.items()}


def digest(marks: Mapping[str, str]) -> str:
  """Returns twelve hex digits of a fingerprint."""
  text = json.dumps(dict(marks), sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()[:12]
