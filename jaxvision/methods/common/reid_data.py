"""People for re-identification: loaded, kept on the devices, batched, read, seen."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jaxvision.data import batches as batch_lib
from jaxvision.data import reid
from jaxvision.data.identity_batches import IdentityBatches, batch_size
from jaxvision.data.image_files import SUFFIXES
from jaxvision.data.reid_examples import People, ReidDataset, read_person
from jaxvision.errors import UserError
from jaxvision.methods.common.image_data import as_float
from jaxvision.ops.augmentation import Augmentation, augment
from jaxvision.train.stage import Batches
from jaxvision.typing import Array, PRNGKey, PyTree

VECTORS = ".npy"  # suffix of files of vectors


def load(config: ConfigDict, *, abstract: bool = False) -> ReidDataset:
  """Reads the people that `config.data` names, or only their numbers and shapes."""
  read = reid.abstract_reid if abstract else reid.load_reid
  return read(config.data)


def expected_files(config: ConfigDict) -> tuple[str, ...]:
  """Says which files are expected where."""
  return reid.expected_files(config.data)


def inputs(data: ReidDataset) -> jax.ShapeDtypeStruct:
  """The spec of one input with a batch axis of 1."""
  train = data.splits["train"]
  return jax.ShapeDtypeStruct((1, *train.shape), train.input.dtype)


def seen(data: ReidDataset) -> jax.ShapeDtypeStruct:
  """The spec of what the network takes of one input."""
  return jax.ShapeDtypeStruct(inputs(data).shape, jnp.float32)


def train_view(config: ConfigDict) -> Callable[[PRNGKey, Array], Array]:
  """Returns (key, inputs) -> what the network takes in training.

  Images are padded, cropped to their size again and flipped, each at random.
  """
  fields = config.data.augment
  spec = Augmentation(pad=fields.pad, mode="constant", flip=fields.flip)

  def view(key: PRNGKey, x: Array) -> Array:
    return as_float(augment(key, x, spec)) if x.ndim == 4 else x

  return view


def is_resident(people: People, config: ConfigDict) -> bool:
  """Whether all inputs are small enough to stay on the devices."""
  return people.nbytes <= config.data.resident_bytes


def resident(people: People) -> PyTree:
  """All of them as arrays, or as their specs if they are abstract."""
  return (
    specs(people, len(people)) if people.abstract else people[np.arange(len(people))]
  )


def specs(people: People, size: int) -> dict[str, jax.ShapeDtypeStruct]:
  """Shapes and types of so many examples."""
  number = jax.ShapeDtypeStruct((size,), jnp.int32)
  shape = (size, *people.shape)
  return {
    "input": jax.ShapeDtypeStruct(shape, people.input.dtype),
    "identity": number,
    "domain": number,
  }


def batch_spec(config: ConfigDict, data: ReidDataset) -> PyTree:
  """Specs of a training batch: row numbers of resident data, or the examples."""
  size = batch_size(len(data.domains), **config.batch)
  train = data.splits["train"]
  if is_resident(train, config):
    return jax.ShapeDtypeStruct((size,), jnp.int32)
  return specs(train, size)


def training(
  config: ConfigDict, people: People, *, seed: int, steps: int, resident: bool
) -> Batches:
  """This process's batches of a run: row numbers if the people are resident."""
  order = IdentityBatches(
    people.identity,
    people.domain,
    **config.batch,
    seed=seed,
    rank=jax.process_index(),
    count=jax.process_count(),
  )
  return order if resident else batch_lib.stream_batches(people, order, steps)


def epoch_steps(config: ConfigDict, data: ReidDataset) -> int:
  """Batches with as many images as there are for training.

  Raises:
    UserError: a batch has more images.
  """
  size = batch_size(len(data.domains), **config.batch)
  count = len(data.splits["train"])
  if count < size:
    raise UserError(f"config.batch asks for {size} images; there are {count}.")
  return count // size


def reader(
  config: ConfigDict, data: ReidDataset
) -> Callable[[Sequence[str]], Iterator[tuple[str, np.ndarray]]]:
  """Returns a method's `read`: queries, then those of `config.retrieval.gallery`.

  It raises `UserError` for a query that is in the gallery, and would find itself.
  """
  shape = data.splits["train"].shape

  def read(paths: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
    gallery, queries = config.retrieval.gallery, set()
    for path in paths:
      for name, found in read_inputs(path, shape):
        queries.add(Path(name).resolve())
        yield name, found
    for name, found in read_inputs(gallery, shape) if gallery else ():
      if Path(name).resolve() in queries:
        raise UserError(
          f"--inputs: {name} is in config.retrieval.gallery as well; take it out of"
          " one, or leave the gallery empty: then inputs search among each other."
        )
      yield name, found

  return read


def read_inputs(path: str, shape: tuple[int, ...]) -> Iterator[tuple[str, np.ndarray]]:
  """Yields (name, input): image files and those of folders, or rows of a .npy file.

  Args:
    path: of a file, or of a folder that is searched with all below it.
    shape: of an input.

  Raises:
    UserError: a path that is missing, holds nothing, or something else.
  """
  kinds = SUFFIXES if len(shape) == 3 else (VECTORS,)
  for file in _files(Path(path).expanduser(), kinds):
    if len(shape) == 3:
      yield str(file), read_person(file, *shape[:2])
    else:
      yield from _vectors(file, shape)


def _files(path: Path, kinds: Sequence[str]) -> list[Path]:
  if not path.exists():
    raise UserError(f"--inputs or config.retrieval.gallery: there is no {path}.")
  found = [path] if path.is_file() else sorted(path.rglob("*"))
  found = [p for p in found if p.suffix.lower() in kinds]
  if not found:
    raise UserError(
      f"--inputs or config.retrieval.gallery: {path} has no {', '.join(kinds)}."
    )
  return found


def _vectors(path: Path, shape: tuple[int, ...]) -> Iterator[tuple[str, np.ndarray]]:
  try:
    rows = np.load(path, allow_pickle=False)
  except (OSError, ValueError, EOFError) as error:
    raise UserError(f"{path} is no .npy file of numbers ({error}).") from error
  if rows.ndim != 2 or rows.shape[1:] != shape or rows.dtype.kind not in "fiu":
    raise UserError(
      f"{path} holds {rows.dtype} of shape {rows.shape}; vectors are [n, {shape[0]}]."
    )
  for i, row in enumerate(rows.astype(np.float32)):
    yield f"{path}:{i}", row
