"""Partially supervised temporal data: `load_partial(config.data)`.

Source classes have untrimmed videos with annotated actions; target classes have trimmed
clips (moments) for training, and untrimmed videos only to be tested on. Files of the
user's own need two sources, `features` with `annotations` and `moments.features` with
`moments.annotations`, or one of untrimmed videos whose classes are split.
"""

import ml_collections

from jaxvision.data.clips import abstract_clips, cut_clips
from jaxvision.data.field_checks import check_least
from jaxvision.data.generated_actions import STREAMS, TEST_SEED
from jaxvision.data.generated_moments import (
  generate_moments,
  generate_windows,
  make_task,
)
from jaxvision.data.generated_windows import ACTIONS, LEAST_STEPS
from jaxvision.data.partial_examples import PartialDataset, clip_steps
from jaxvision.data.partial_known import is_known, plan_known_partial
from jaxvision.data.temporal_checks import check
from jaxvision.data.temporal_defaults import NAME
from jaxvision.data.temporal_examples import (
  TemporalDataset,
  abstract_examples,
  window_steps,
)
from jaxvision.errors import UserError

SIZES = ("source", "target", "val", "test")
MOMENTS, SOURCE = 3, 4  # streams of random numbers, beside those of the splits


def load_partial(config: ml_collections.ConfigDict) -> PartialDataset:
  """Loads a partially supervised data set.

  Args:
    config: the fields of `temporal_defaults.DEFAULTS` and `partial_defaults.PARTIAL`.

  Raises:
    UserError: naming the field, the file, the class or the video that is wrong.
  """
  _check_files(config)
  if config.features:
    from jaxvision.data.partial_files import load_partial_files

    return load_partial_files(config)
  if config.name != NAME:
    raise UserError(
      f"--config.data.name={config.name} needs files: set --config.data.features and"
      " --config.data.annotations."
    )
  return _generated(config)


def abstract_partial(config: ml_collections.ConfigDict) -> PartialDataset:
  """Shapes, classes and sizes of a data set, for a plan; as `load_partial`."""
  _check_files(config)
  if config.features:
    from jaxvision.data.partial_files import load_partial_files

    return load_partial_files(config, read=False)
  if is_known(config):
    return plan_known_partial(config)
  _check(config)
  sizes, steps = config.generated, window_steps(config)
  shape = (steps, sizes.width)
  windows = lambda name: abstract_examples(sizes[name], shape, ACTIONS)
  splits = {"train": windows("target"), "val": windows("val"), "test": windows("test")}
  return PartialDataset(
    TemporalDataset(NAME, "", _names(config, "target"), splits),
    _names(config, "source"),
    windows("source"),
    abstract_clips(sizes.moments, (clip_steps(config, steps), sizes.width)),
    abstract_clips(sizes.source, shape),
  )


def expected_files(config: ml_collections.ConfigDict) -> tuple[str, ...]:
  """One sentence for each kind of files: which are expected where."""
  if not config.features and config.name == NAME:
    return ("generated: no files; they are drawn from --config.data.seed",)
  lines = []
  for key, what in (
    ("", "untrimmed videos of the source classes"),
    ("target.", "untrimmed videos of the target classes; not given: the same files"),
    ("moments.", "trimmed clips of them; not given: cut out of the target videos"),
  ):
    section = config[key.rstrip(".")] if key else config
    features = section.features or f"--config.data.{key}features=FOLDER"
    annotations = section.annotations or f"--config.data.{key}annotations=FILE"
    lines.append(f"{features}, {annotations}: features and JSON of {what}")
  return tuple(lines)


def _generated(config: ml_collections.ConfigDict) -> PartialDataset:
  """The generated task; test windows are the same for all seeds."""
  _check(config)
  sizes, steps = config.generated, window_steps(config)
  first = sizes.source_classes
  classes = {
    "source": range(first),
    "target": range(first, first + sizes.target_classes),
  }
  task = make_task(classes["target"].stop, sizes.width)

  def windows(size: str, kind: str, seed: tuple[int, int]):
    options = {"prefix": f"{size}_", "length": steps, "noise": sizes.noise}
    return generate_windows(task, classes[kind], sizes[size], seed=seed, **options)

  seed = config.seed
  splits = {
    "train": windows("target", "target", (seed, STREAMS["train"])),
    "val": windows("val", "target", (seed, STREAMS["val"])),
    "test": windows("test", "target", (TEST_SEED, STREAMS["test"])),
  }
  moments = generate_moments(
    task,
    classes["target"],
    sizes.moments,
    seed=(seed, MOMENTS),
    length=clip_steps(config, steps),
    noise=sizes.moment_noise,
  )
  source = windows("source", "source", (seed, SOURCE))
  return PartialDataset(
    TemporalDataset(NAME, "", _names(config, "target"), splits),
    _names(config, "source"),
    source,
    moments,
    cut_clips(source, length=steps, least=config.foreground.least),
  )


def _names(config: ml_collections.ConfigDict, kind: str) -> tuple[str, ...]:
  return tuple(f"{kind} {k}" for k in range(config.generated[f"{kind}_classes"]))


def _check_files(config: ml_collections.ConfigDict) -> None:
  """The fields of all temporal data, and features with annotations or neither."""
  check(config)
  for name in ("target", "moments"):
    own = config[name]
    if bool(own.features) != bool(own.annotations):
      has, lacks = ("features", "annotations")[:: 1 if own.features else -1]
      raise UserError(
        f"--config.data.{name}.{has} is set but --config.data.{name}.{lacks} is not:"
        " give both."
      )
    if own.features and not config.features:
      raise UserError(
        f"--config.data.{name}.features is set, but no source: set"
        " --config.data.features and --config.data.annotations, too."
      )


def _check(config: ml_collections.ConfigDict) -> None:
  keys = (*SIZES, "moments", "width", "source_classes", "target_classes")
  check_least(config.generated, keys, 1, at="data.generated")
  if window_steps(config) < LEAST_STEPS:
    raise UserError(
      f"--config.data.length={config.length} is too short for generated actions: give"
      f" {LEAST_STEPS} steps or more."
    )
