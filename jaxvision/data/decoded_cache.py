"""A decoded copy of a prepared split, because decoding small images costs most.

Reading 70,000 PNGs through TFDS takes ten seconds, reading their pixels a tenth of
one. The copy lies inside the prepared data set, `<name>/<version>/decoded/`, where
other readers of TFDS do not look and where it disappears with the data. It is an
uncompressed .npz: as fast as .npy, and its checksums show damage.
"""

import contextlib
import logging
import pathlib
import uuid
import zipfile

import numpy as np

from jaxvision.data.examples import ArrayExamples, SourceExamples


def decoded(folder: pathlib.Path, key: str, examples: SourceExamples) -> ArrayExamples:
  """Reads all examples, from the copy if there is a good one.

  Args:
    folder: folder of the copy.
    key: name, version and split of the examples; names the file and is kept in it.
    examples: what to decode, and copy, if there is no good copy.

  Returns:
    All examples in memory.
  """
  path = folder / f"{key.replace('/', '-')}.npz"
  found = _read(path, key, examples)
  if found is not None:
    return found
  decoded_now = examples.read()
  _write(path, key, decoded_now)
  return decoded_now


def _read(
  path: pathlib.Path, key: str, examples: SourceExamples
) -> ArrayExamples | None:
  if not path.exists():
    return None
  shape = (len(examples), *examples.shape)
  try:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
      arrays = {name: archive[name] for name in ("key", "image", "label")}
  except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
    arrays = {}
  if arrays and str(arrays["key"]) == key and arrays["image"].shape == shape:
    return ArrayExamples(arrays["image"], arrays["label"])
  logging.warning("%s is damaged or out of date and is written anew", path)
  return None


def _write(path: pathlib.Path, key: str, examples: ArrayExamples) -> None:
  """Writes the copy in one step: readers see all of it or nothing."""
  temporary = path.with_name(f"{uuid.uuid4().hex}.tmp")
  try:
    path.parent.mkdir(exist_ok=True)
    with temporary.open("wb") as file:
      np.savez(file, key=np.array(key), **examples.arrays())
    temporary.replace(path)
  except OSError as error:  # a shared, read-only data folder: slower, not wrong
    logging.warning("no decoded copy was written to %s: %s", path, error)
  finally:
    with contextlib.suppress(OSError):
      temporary.unlink(missing_ok=True)
