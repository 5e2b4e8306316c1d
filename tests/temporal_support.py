"""Folders of features with annotations, for the tests of temporal data."""

import json

import numpy as np
from ml_collections import ConfigDict

from jaxvision.data import temporal

WIDTH = 3


def config(**fields):
  result = ConfigDict(temporal.DEFAULTS)
  result.update({"length": 8, **fields})
  return result


def video(subset, *segments, duration=10.0):
  """An entry of ActivityNet's JSON; segments are (start, end, label)."""
  annotations = [{"segment": [a, b], "label": label} for a, b, label in segments]
  return {"subset": subset, "duration": duration, "annotations": annotations}


DATABASE = {
  "a": video("training", (2, 4, "run"), (5, 10, "jump")),
  "b": video("training", (0, 1, "run")),
  "c": video("validation", (1, 2, "jump"), (3, 4, "jump"), (6, 9, "run")),
  "d": video("testing"),
}


def ramp(steps, number=0):
  """Features that tell the step: its middle, on the axis of steps, and the number."""
  time = np.arange(steps, dtype=np.float32) + 0.5
  return np.stack((time, np.full(steps, number), -time), -1).astype(np.float32)


def write(folder, database=None, *, steps=20, prefix="", skip=()):
  """Writes features, in files of different lengths if `steps` is a list.

  Returns:
    The two fields of a config that the data set needs.
  """
  database = DATABASE if database is None else database
  features, annotations = folder / "features", folder / "truth.json"
  features.mkdir(exist_ok=True)
  steps = steps if isinstance(steps, list) else [steps] * len(database)
  for number, (name, count) in enumerate(zip(database, steps, strict=True)):
    if name not in skip:
      np.save(features / f"{prefix}{name}.npy", ramp(count, number))
  annotations.write_text(json.dumps({"version": "x", "database": database}))
  return {"features": str(features), "annotations": str(annotations)}


def targets(split, row):
  """[(start, end, label)] of one window."""
  there = split.valid[row]
  return [
    (*segment, label)
    for segment, label in zip(
      split.segments[row][there].tolist(), split.label[row][there].tolist(), strict=True
    )
  ]


def load(folder, database=None, *, steps=20, prefix="", skip=(), **fields):
  files = write(folder, database, steps=steps, prefix=prefix, skip=skip)
  return temporal.load_temporal(config(**files, **fields))


def names(split):
  return [split.videos[i] for i in split.windows.video]
