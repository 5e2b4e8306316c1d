"""The data set "frames": from pixels to features, on which detectors are trained.

Garments of images become windows of frames (`frame_actions`), and those become features
by a small network (`frame_features`). The windows of each split show images of that
split only: test windows show test images, validation windows show training images that
were held out, also from the network's training.
"""

import functools

import ml_collections
import numpy as np
from jaxtyping import Float32, Int32, UInt8

from jaxvision import interruption
from jaxvision.data import images
from jaxvision.data.examples import Examples, ImageDataset
from jaxvision.data.field_checks import check_least
from jaxvision.data.frame_actions import FrameActions, lay_out, render
from jaxvision.data.frame_features import Backbone, Garments, extract, train_backbone
from jaxvision.data.frame_pixels import SIDE
from jaxvision.data.generated_actions import (
  STREAMS,
  TEST_SEED,
  GeneratedActions,
  window_examples,
)
from jaxvision.data.generated_windows import ACTIONS, LEAST_STEPS
from jaxvision.data.temporal_defaults import FRAMES_NAME
from jaxvision.data.temporal_examples import (
  TemporalDataset,
  abstract_examples,
  window_steps,
)
from jaxvision.errors import UserError

COUNTS = (*STREAMS, "width", "backbone_steps")
ALL_RESIDENT = 2**40  # bytes: images are always read into memory


def frames_dataset(config: ml_collections.ConfigDict) -> TemporalDataset:
  """Makes the three splits of the data set "frames".

  Training and validation windows follow from `config.seed`. The network, the split of
  the images and the test windows are the same for all seeds: they are the task.

  Args:
    config: the fields of `jaxvision.data.temporal_defaults.DEFAULTS`.

  Returns:
    The data set; its note has the accuracy of the network, and its `frames` renders a
    test window.

  Raises:
    UserError: if a field is wrong or a class has no image.
  """
  _check(config)
  source = images.load_images(_image_config(config))
  names = _class_names(config, source)
  garments = {split: _garments(x) for split, x in source.splits.items()}
  actions = {split: _actions(config, split, garments[split].label) for split in STREAMS}
  options = config.frames
  backbone = train_backbone(
    garments["train"],
    garments["val"],
    classes=len(source.classes),
    width=options.width,
    steps=options.backbone_steps,
    noise=options.noise,
  )
  splits = {}
  for split in STREAMS:
    features = _features(backbone, actions[split], garments[split].image, options.noise)
    windows = _windows(actions[split], features)
    splits[split] = window_examples(windows, f"{split}_")
  film = functools.partial(
    render, actions["test"], garments["test"].image, noise=options.noise
  )
  note = (
    f"features of a network that classifies {backbone.accuracy:.1%} of held-out frames"
    f" correctly ({len(source.classes)} classes and nothing)"
  )
  note = f"{source.note}; {note}" if source.note else note
  return TemporalDataset(_name(source), note, names, splits, film)


def abstract_frames(config: ml_collections.ConfigDict) -> TemporalDataset:
  """Shapes and classes of `frames_dataset`, without pixels or features."""
  _check(config)
  source = images.abstract_images(_image_config(config))
  shape = (window_steps(config), config.frames.width)
  splits = {
    split: abstract_examples(_kept(config, split), shape, ACTIONS) for split in STREAMS
  }
  return TemporalDataset(_name(source), "", _class_names(config, source), splits)


def expected_files(config: ml_collections.ConfigDict) -> tuple[str, ...]:
  """Says which files the images need, one sentence for each alternative."""
  return images.expected_files(_image_config(config))


def _image_config(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
  """Its seed stays 0: which images are held out is the same for all seeds."""
  fields = {"name": config.frames.images, "size": SIDE, "resident_bytes": ALL_RESIDENT}
  return ml_collections.ConfigDict({**images.DEFAULTS, **fields})


def _name(source: ImageDataset) -> str:
  return f"{FRAMES_NAME} of {source.name}"


def _class_names(
  config: ml_collections.ConfigDict, source: ImageDataset
) -> tuple[str, ...]:
  outside = [k for k in config.frames.classes if not 0 <= k < len(source.classes)]
  if outside:
    raise UserError(
      f"--config.data.frames.classes has {outside[0]}, but {source.name} has classes 0"
      f" to {len(source.classes) - 1}: give some of these."
    )
  return tuple(source.classes[k] for k in config.frames.classes)


def _garments(examples: Examples) -> Garments:
  """Grey images and their labels; colours are averaged."""
  batch = examples[np.arange(len(examples))]
  image = batch["image"]
  if image.dtype != np.uint8:
    image = image * 255
  grey = np.rint(image.mean(-1, dtype=np.float32)).astype(np.uint8)
  return Garments(grey, batch["label"])


def _actions(
  config: ml_collections.ConfigDict, split: str, label: Int32[np.ndarray, " g"]
) -> FrameActions:
  missing = sorted(set(config.frames.classes) - set(label.tolist()))
  if missing:
    raise UserError(
      f"--config.data.frames.classes has {missing[0]}, of which there is no {split}"
      " image: give other classes."
    )
  actions = lay_out(
    config.frames[split],
    seed=(TEST_SEED if split == "test" else config.seed, STREAMS[split]),
    label=label,
    classes=config.frames.classes,
    length=window_steps(config),
  )
  return actions.first(_kept(config, split))


def _kept(config: ml_collections.ConfigDict, split: str) -> int:
  count = config.frames[split]
  return min(config.limit or count, count) if split == "train" else count


def _features(
  backbone: Backbone,
  actions: FrameActions,
  garments: UInt8[np.ndarray, "g h w"],
  noise: float,
) -> Float32[np.ndarray, "n t d"]:
  """Features of all windows; the frames of a few of them exist at a time.

  While one window is on the device, the next one is rendered on the host.
  """
  features = []
  for i in range(len(actions.start)):
    interruption.check()
    features.append(extract(backbone, render(actions, garments, i, noise=noise)))
  return np.stack([np.asarray(x) for x in features])


def _windows(
  actions: FrameActions, features: Float32[np.ndarray, "n t d"]
) -> GeneratedActions:
  segments, valid = actions.segments, actions.valid
  return GeneratedActions(
    features,
    segments[:, :ACTIONS],
    np.where(valid, actions.label[:, :ACTIONS], 0).astype(np.int32),
    valid,
    segments[:, ACTIONS:],
    actions.label[:, ACTIONS:],
  )


def _check(config: ml_collections.ConfigDict) -> None:
  options = config.frames
  check_least(options, COUNTS, 1, at="data.frames")
  check_least(options, ["noise"], 0, at="data.frames")
  if not options.classes or len(set(options.classes)) < len(options.classes):
    raise UserError(
      f"--config.data.frames.classes={options.classes}: give one class or more, each"
      " once."
    )
  if not options.images.strip():
    raise UserError(
      "--config.data.frames.images is empty: give fashion_mnist, digits or another"
      " name of an image data set."
    )
  if window_steps(config) < LEAST_STEPS:
    raise UserError(
      f"--config.data.length={config.length} is too short for actions in frames: give"
      f" {LEAST_STEPS} steps or more."
    )
