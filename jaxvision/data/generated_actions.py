"""Generated videos with actions to be found: a small experiment without any file.

A window shows background scenes, one to three actions and two distractors. An action
has three phases, each a fixed vector that fades into the next one; a distractor shows
the middle of an action alone, and is none: whoever finds actions must see that they
begin and end. Lengths are drawn over more than four octaves, which is what a detector
with one scale a layer is bad at.

What is fixed here and was not before: an action hides the scene; a distractor is as
long as the middle of an action would be, and nothing overlaps it; begins and ends are
whole steps; lengths that do not fit into a window together are drawn again, so that
windows of three actions have shorter ones.
"""

import ml_collections
import numpy as np

from jaxvision.data.field_checks import check_least
from jaxvision.data.generated_windows import (
  ACTIONS,
  LEAST_STEPS,
  GeneratedActions,
  generate_actions,
)
from jaxvision.data.temporal_defaults import NAME
from jaxvision.data.temporal_examples import (
  TemporalDataset,
  TemporalExamples,
  Windows,
  abstract_examples,
  no_segments,
  window_steps,
)
from jaxvision.errors import UserError
from jaxvision.metrics.segments import Segments

__all__ = [
  "GeneratedActions", "abstract_dataset", "generate_actions", "generated_dataset",
  "window_examples",
]  # fmt: skip

STREAMS = {"train": 0, "val": 1, "test": 2}  # independent random numbers of one seed
TEST_SEED = 0  # not the run's seed, or runs with different seeds were not comparable


def generated_dataset(config: ml_collections.ConfigDict) -> TemporalDataset:
  """Generates the three splits of the data set "generated".

  Training and validation windows follow from `config.seed`; the test windows are the
  same for all seeds, so that runs with different seeds can be compared.

  Args:
    config: the fields of `jaxvision.data.temporal_defaults.DEFAULTS`.

  Raises:
    UserError: if a size is not positive or the windows are too short.
  """
  _check(config)
  splits = {}
  for split, stream in STREAMS.items():
    seed = TEST_SEED if split == "test" else config.seed
    windows = generate_actions(
      config.generated[split],
      seed=(seed, stream),
      length=window_steps(config),
      width=config.generated.width,
      classes=config.generated.classes,
      noise=config.generated.noise,
    )
    # all are drawn first: a smaller set is a part of the larger one
    kept = GeneratedActions(*(x[: _kept(config, split)] for x in windows))
    splits[split] = window_examples(kept, f"{split}_")
  return TemporalDataset(NAME, "", _classes(config), splits)


def abstract_dataset(config: ml_collections.ConfigDict) -> TemporalDataset:
  """Shapes and classes of `generated_dataset`, without its numbers."""
  _check(config)
  shape = (window_steps(config), config.generated.width)
  splits = {
    split: abstract_examples(_kept(config, split), shape, ACTIONS) for split in STREAMS
  }
  return TemporalDataset(NAME, "", _classes(config), splits)


def _classes(config: ml_collections.ConfigDict) -> tuple[str, ...]:
  return tuple(f"action {k}" for k in range(config.generated.classes))


def _kept(config: ml_collections.ConfigDict, split: str) -> int:
  count = config.generated[split]
  return min(config.limit or count, count) if split == "train" else count


def window_examples(windows: GeneratedActions, prefix: str) -> TemporalExamples:
  """Makes examples of generated windows: each a video of its own, one second a step.

  Args:
    windows: features and what is in them.
    prefix: of the names of the videos.
  """
  count, length, _ = windows.features.shape
  row, slot = np.nonzero(windows.valid)
  times = windows.segments[row, slot].astype(np.float64)
  label = windows.label[row, slot].astype(np.int64)
  ends = np.full(count, float(length))
  return TemporalExamples(
    windows.features,
    (windows.segments / length).astype(np.float32),
    windows.label,
    windows.valid,
    Windows(np.arange(count), np.zeros(count), ends, ends),
    Segments(row, label, times[:, 0], times[:, 1]),
    no_segments(),
    tuple(f"{prefix}{i:05d}" for i in range(count)),
  )


def _check(config: ml_collections.ConfigDict) -> None:
  fields, at = config.generated, "data.generated"
  check_least(fields, (*STREAMS, "width", "classes"), 1, at=at)
  check_least(fields, ["noise"], 0, at=at)
  if window_steps(config) < LEAST_STEPS:
    raise UserError(
      f"--config.data.length={config.length} is too short for generated actions: give"
      f" {LEAST_STEPS} steps or more."
    )
