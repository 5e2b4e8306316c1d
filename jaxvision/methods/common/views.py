"""What the network sees of an image: floats in [0, 1], perhaps augmented or distorted.

`config.data.augment` crops, flips and turns training images, `ops.augmentation`; where
it cuts out a smaller window, an evaluation sees the middle. `config.data.distort` turns
any image data set into one of the tasks of `ops.distortions`: training images take a
fresh pose each time, the images of an evaluation always the same one. Both happen on
the device, within the step, and depend on its key alone.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
from ml_collections import ConfigDict

from jaxvision.errors import UserError
from jaxvision.methods.common.image_data import as_float
from jaxvision.ops import augmentation, distortions
from jaxvision.ops.augmentation import Augmentation
from jaxvision.ops.distortions import Distortion
from jaxvision.typing import Array, PRNGKey, PyTree

SEEDS = {"train": 0, "val": 1, "test": 2}  # of the poses, the same for all runs
AUGMENT = 2  # folded into a view's key for the augmentation
MODES = ("reflect", "constant", "edge")
TrainView = Callable[[PRNGKey, Array], Array]
PlainView = Callable[[PyTree], PyTree]
RowView = Callable[[Array, Array], Array]


class Views(NamedTuple):
  """Pure functions from images, uint8 or float, to what the network takes.

  Attributes:
    train: (key, images) -> x, fresh: augmented, then posed.
    plain: images -> x, without a pose, for predictions; takes specs, too.
    evaluate: {split: {name: (row numbers, images) -> x}}, the same at every call. The
      name "" stands for poses like those of training; a test split has others, too.
  """

  train: TrainView
  plain: PlainView
  evaluate: dict[str, dict[str, RowView]]


def make_views(config: ConfigDict) -> Views:
  """Reads `config.data.augment` and `config.data.distort`.

  Raises:
    UserError: a task, a variant or a kind of padding that does not exist, or numbers
      out of range.
  """
  spec, fields = make_augmentation(config), config.data.distort
  whole = lambda image: _of_specs_too(lambda x: _whole(x, spec), image)
  if not fields.task:
    same = {split: {"": lambda index, image: whole(image)} for split in SEEDS}
    return Views(lambda key, image: _augmented(key, image, spec), whole, same)
  train = _find(fields.task, fields.train)
  others = {name: _find(fields.task, name) for name in fields.test}
  return Views(
    lambda key, image: distortions.distort(key, _augmented(key, image, spec), train),
    lambda image: _of_specs_too(
      lambda x: distortions.place_still(_whole(x, spec), train), image
    ),
    {
      split: {
        name: _row_view(seed, distortion, whole)
        for name, distortion in {
          "": train,
          **(others if split == "test" else {}),
        }.items()
      }
      for split, seed in SEEDS.items()
    },
  )


def make_augmentation(config: ConfigDict) -> Augmentation:
  """Reads `config.data.augment`.

  Raises:
    UserError: a value out of range.
  """
  spec = Augmentation(**config.data.augment)
  area = tuple(spec.area)
  if spec.mode not in MODES:
    raise UserError(
      f"config.data.augment.mode is {spec.mode!r}; choose one of {', '.join(MODES)}."
    )
  if min(spec.pad, spec.crop, spec.rotate) < 0:
    raise UserError("config.data.augment: pad, crop and rotate are 0 or more.")
  if area and not (len(area) == 2 and 0 < area[0] <= area[1] <= 1):
    raise UserError(
      f"config.data.augment.area is {area}; give (least, most) share of the image, as "
      "(0.08, 1.0), or ()."
    )
  if area and spec.pad:
    raise UserError("config.data.augment: area and pad exclude each other; unset one.")
  return spec._replace(area=area)


def _augmented(key: PRNGKey, image: Array, spec: Augmentation) -> Array:
  """Floats of training images; what needs no interpolation is done to the bytes."""
  if spec == Augmentation():
    return as_float(image)
  x = as_float(image) if spec.area or spec.rotate else image
  key = jax.random.fold_in(key, AUGMENT)
  return as_float(_checked(lambda: augmentation.augment(key, x, spec)))


def _whole(image: Array, spec: Augmentation) -> Array:
  """Floats of images that are not augmented, of the same size as those that are."""
  return as_float(_checked(lambda: augmentation.center_crop(image, spec.crop)))


def _checked(crop: Callable[[], Array]) -> Array:
  try:
    return crop()
  except ValueError as error:
    raise UserError(f"config.data.augment.crop: {error}") from error


def _of_specs_too(view: Callable[[Array], Array], image: PyTree) -> PyTree:
  """A view of images, or the spec that it has of their specs."""
  abstract = isinstance(image, jax.ShapeDtypeStruct)
  return jax.eval_shape(view, image) if abstract else view(image)


def _find(task: str, name: str) -> Distortion:
  try:
    return distortions.find_distortion(f"{task}/{name}")
  except ValueError as error:
    raise UserError(f"config.data.distort: {error}") from error


def _row_view(
  seed: int, distortion: Distortion, whole: Callable[[Array], Array]
) -> RowView:
  return lambda index, image: distortions.distort_rows(
    seed, index, whole(image), distortion
  )
