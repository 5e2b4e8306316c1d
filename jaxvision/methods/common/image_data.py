"""Images of a classifier: read, batched, kept on the devices, predicted, written."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jaxvision import files
from jaxvision.data import image_files, images
from jaxvision.data.examples import AbstractExamples, Examples, ImageDataset
from jaxvision.typing import PyTree
from jaxvision.viz import predictions


def load(config: ConfigDict, *, abstract: bool = False) -> ImageDataset:
  """Reads the images that `config.data` names, or only their shapes."""
  read = images.abstract_images if abstract else images.load_images
  return read(config.data)


def expected_files(config: ConfigDict) -> tuple[str, ...]:
  """Says which files are expected where."""
  return images.expected_files(config.data)


def inputs(data: ImageDataset) -> jax.ShapeDtypeStruct:
  """The spec of one image with a batch axis of 1."""
  train = data.splits["train"]
  return jax.ShapeDtypeStruct((1, *train.shape), train.dtype)


def as_float(image: Any) -> Any:
  """Turns uint8 images into float32 in [0, 1]; floats, and specs of them, pass."""
  if isinstance(image, jax.ShapeDtypeStruct):
    return jax.ShapeDtypeStruct(image.shape, jnp.float32)
  return image.astype(jnp.float32) / 255 if image.dtype == jnp.uint8 else image


def is_resident(split: Examples, config: ConfigDict) -> bool:
  """Whether a split is small enough to stay on the devices."""
  size = np.dtype(split.dtype).itemsize * int(np.prod(split.shape)) * len(split)
  return size <= config.data.resident_bytes


def resident(split: Examples) -> PyTree:
  """A whole split as arrays, or as their specs if it is abstract."""
  if isinstance(split, AbstractExamples):
    return _specs(split, len(split))
  return split[np.arange(len(split))]


def batch_spec(split: Examples, size: int, *, resident: bool) -> PyTree:
  """Specs of a training batch: row numbers of resident data, or the examples."""
  if resident:
    return jax.ShapeDtypeStruct((size,), jnp.int32)
  return _specs(split, size)


def _specs(split: Examples, size: int) -> dict[str, jax.ShapeDtypeStruct]:
  return {
    "image": jax.ShapeDtypeStruct((size, *split.shape), split.dtype),
    "label": jax.ShapeDtypeStruct((size,), jnp.int32),
  }


def reader(data: ImageDataset) -> Callable[[Sequence[str]], Iterator]:
  """Returns a method's `read`: image files, or folders of them, in the data's shape."""
  train = data.splits["train"]
  return lambda paths: image_files.read_images(
    paths, train.shape, train.dtype, fit=data.fit
  )


def writer(data: ImageDataset) -> Callable[..., None]:
  """Returns a method's `write`: `predictions.json` and a figure of the classes."""

  def write(
    inputs: Mapping[str, PyTree], outputs: Mapping[str, PyTree], folder: Path
  ) -> None:
    chances = {k: np.asarray(v["probabilities"]) for k, v in outputs.items()}
    rows = {k: _top(chance, data.classes) for k, chance in chances.items()}
    files.write_json(folder / "predictions.json", rows)
    shown = {k: np.asarray(v) for k, v in inputs.items()}
    figure = folder / "predictions.png"
    predictions.draw_predictions(shown, chances, data.classes, figure)

  return write


def _top(chance: np.ndarray, classes: Sequence[str], count: int = 5) -> dict:
  best = np.argsort(-chance)[:count]
  return {classes[i]: round(float(chance[i]), 6) for i in best}
