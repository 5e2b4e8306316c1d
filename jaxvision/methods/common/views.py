"""What the network sees of an image: floats in [0, 1], perhaps distorted.

`config.data.distort` turns any image data set into one of the tasks of
`ops.distortions`, on the device: training images take a fresh pose each time, the
images of an evaluation always the same one.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from jaxvision.errors import UserError
from jaxvision.methods.common.image_data import as_float
from jaxvision.ops import distortions
from jaxvision.ops.distortions import Distortion
from jaxvision.typing import Array, PRNGKey, PyTree

SEEDS = {"train": 0, "val": 1, "test": 2}  # of the poses, the same for all runs
TrainView = Callable[[PRNGKey, Array], Array]
PlainView = Callable[[PyTree], PyTree]
RowView = Callable[[Array, Array], Array]


class Views(NamedTuple):
  """Pure functions from images, uint8 or float, to what the network takes.

  Attributes:
    train: (key, images) -> x, fresh.
    plain: images -> x, without a pose, for predictions; takes specs, too.
    evaluate: {split: {name: (row numbers, images) -> x}}, the same at every call. The
      name "" stands for poses like those of training; a test split has others, too.
  """

  train: TrainView
  plain: PlainView
  evaluate: dict[str, dict[str, RowView]]


def make_views(config: ConfigDict) -> Views:
  """Reads `config.data.distort`.

  Raises:
    UserError: a task or a variant that does not exist.
  """
  fields = config.data.distort
  if not fields.task:
    same = {split: {"": lambda index, image: as_float(image)} for split in SEEDS}
    return Views(lambda key, image: as_float(image), as_float, same)
  train = _find(fields.task, fields.train)
  others = {name: _find(fields.task, name) for name in fields.test}
  return Views(
    lambda key, image: distortions.distort(key, as_float(image), train),
    lambda image: _plain(image, train),
    {
      split: {
        name: _row_view(seed, distortion)
        for name, distortion in {
          "": train,
          **(others if split == "test" else {}),
        }.items()
      }
      for split, seed in SEEDS.items()
    },
  )


def _find(task: str, name: str) -> Distortion:
  try:
    return distortions.find_distortion(f"{task}/{name}")
  except ValueError as error:
    raise UserError(f"config.data.distort: {error}") from error


def _row_view(seed: int, distortion: Distortion) -> RowView:
  return lambda index, image: distortions.distort_rows(
    seed, index, as_float(image), distortion
  )


def _plain(image: PyTree, train: Distortion) -> PyTree:
  """The images in the middle of what training does to them."""
  places = ("center",) if train.places == ("anywhere",) else train.places[:1]
  still = dataclasses.replace(
    train, angle=(0.0, 0.0), scale=(1.0, 1.0), jitter=0.0, places=places
  )

  def view(image: Array) -> Array:
    rows = jnp.zeros(image.shape[0], jnp.int32)
    return distortions.distort_rows(0, rows, as_float(image), still)

  abstract = isinstance(image, jax.ShapeDtypeStruct)
  return jax.eval_shape(view, image) if abstract else view(image)
