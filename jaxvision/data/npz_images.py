"""Images from one .npz file.

The names of its arrays follow one of three conventions:

- `train_image, train_label, test_image, test_label` and, optionally, `val_image,
  val_label`; the test arrays may be left out as well, see
  `jaxvision.data.splits.complete`;
- `x_train, y_train, x_test, y_test` (and `x_val, y_val`): the files of Keras, such as
  mnist.npz;
- `image, label`: a fifth of every class is set apart for testing.

Beside them `classes`, an array of strings, may name the classes. Images are
[n, h, w] or [n, h, w, c]. Integer images must lie in 0..255 and are kept as uint8;
float images must be finite and in [0, 1] and stay float32, because rounding the
user's numbers to 256 levels would lose some of them. Labels are integers from 0,
[n] or [n, 1].
"""

import pathlib
import zipfile
import zlib

import numpy as np

from jaxvision.data.examples import (
  ArrayExamples,
  ImageDataset,
  Images,
  Labels,
  Unavailable,
)
from jaxvision.errors import UserError

CONVENTIONS = (
  "train_image, train_label, test_image, test_label",
  "x_train, y_train, x_test, y_test",
  "image, label",
)
KEYS = {  # split -> (image, label) under each convention
  "train": (("train_image", "train_label"), ("x_train", "y_train"), ("image", "label")),
  "val": (("val_image", "val_label"), ("x_val", "y_val")),
  "test": (("test_image", "test_label"), ("x_test", "y_test")),
}
BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, MemoryError)
CHANNELS = (1, 2, 3, 4)


def load_npz(path: str) -> ImageDataset:
  """Reads images and labels from an .npz file.

  Args:
    path: the file; `~` is the home folder.

  Returns:
    A data set with the splits that the file holds, all in memory.

  Raises:
    Unavailable: if there is no such file.
    UserError: naming the file and the array, if it is damaged or breaks a rule above.
  """
  file = pathlib.Path(path).expanduser()
  arrays = _read(file)
  splits = {}
  for split, conventions in KEYS.items():
    for image, label in conventions:
      if image in arrays or label in arrays:
        splits[split] = _examples(file, arrays, image, label)
        break
  if "train" not in splits:
    raise UserError(
      f"{file} holds the arrays {', '.join(sorted(arrays)) or 'none'}, and neither of"
      f" {' / '.join(CONVENTIONS)}: rename them."
    )
  _check_equal_images(file, splits)
  return ImageDataset(f"npz:{path}", "", _classes(file, arrays, splits), splits)


def _read(file: pathlib.Path) -> dict[str, np.ndarray]:
  """All arrays of the file; Python objects in it are refused, never unpickled."""
  if not file.is_file():
    raise Unavailable(
      f"there is no file {file}: give the path of an .npz file as"
      " --config.data.name=npz:PATH."
    )
  if not zipfile.is_zipfile(file):  # numpy would take it for a pickle
    raise UserError(
      f"{file} is no .npz archive, or is cut off: write it with numpy.savez."
    )
  name = ""
  try:
    with np.load(file, allow_pickle=False) as archive:
      arrays = {}
      for name in archive.files:
        arrays[name] = archive[name]
      return arrays
  except BROKEN as error:
    if "Object arrays" in str(error):
      raise UserError(
        f"{file}: the array {name!r} holds Python objects, which are not loaded: save"
        " it as an array of numbers."
      ) from error
    raise UserError(
      f"{file} is damaged at the array {name!r} ({error}): write or copy it again."
    ) from error


def _examples(
  file: pathlib.Path, arrays: dict[str, np.ndarray], image: str, label: str
) -> ArrayExamples:
  for name, other in ((image, label), (label, image)):
    if name not in arrays:
      raise UserError(f"{file} holds {other!r} but no {name!r}: add that array.")
  images, labels = _images(file, image, arrays[image]), arrays[label]
  labels = _labels(file, label, labels)
  if len(images) != len(labels):
    raise UserError(
      f"{file}: {image!r} has {len(images)} images but {label!r} has {len(labels)}"
      " labels: they must be as many."
    )
  if not len(images):
    raise UserError(f"{file}: {image!r} is empty: give at least one image.")
  return ArrayExamples(images, labels)


def _images(file: pathlib.Path, name: str, array: np.ndarray) -> Images:
  """uint8 or float32 images [n, h, w, c]."""
  if array.ndim == 3:
    array = array[..., None]
  if array.ndim != 4 or array.shape[-1] not in CHANNELS or not all(array.shape[1:]):
    raise UserError(
      f"{file}: {name!r} has shape {array.shape}, but images are [n, height, width] or"
      " [n, height, width, channels] with 1 to 4 channels, channels last."
    )
  if np.issubdtype(array.dtype, np.floating):
    if not np.isfinite(array).all():
      raise UserError(f"{file}: {name!r} holds NaN or infinite values: remove them.")
    low, high = 0.0, 1.0
  elif np.issubdtype(array.dtype, np.integer):
    low, high = 0, 255
  else:
    raise UserError(
      f"{file}: {name!r} is of type {array.dtype}, but images are integers in 0..255"
      " or floats in [0, 1]."
    )
  if array.size and (array.min() < low or array.max() > high):
    raise UserError(
      f"{file}: {name!r} holds values from {array.min():g} to {array.max():g}, but"
      f" {array.dtype} images must lie in [{low:g}, {high:g}]: rescale them."
    )
  return array.astype(np.float32 if high == 1.0 else np.uint8)


def _labels(file: pathlib.Path, name: str, array: np.ndarray) -> Labels:
  """int32 labels [n]."""
  if array.ndim == 2 and array.shape[1] == 1:  # Keras's CIFAR files
    array = array[:, 0]
  if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
    raise UserError(
      f"{file}: {name!r} is {array.dtype} of shape {array.shape}, but labels are"
      " integers of shape [n], not one-hot rows or floats."
    )
  if array.size and (array.min() < 0 or array.max() > np.iinfo(np.int32).max):
    raise UserError(
      f"{file}: {name!r} holds labels from {array.min()} to {array.max()}, but classes"
      " are counted from 0."
    )
  return array.astype(np.int32)


def _check_equal_images(file: pathlib.Path, splits: dict[str, ArrayExamples]) -> None:
  kinds = {f"{e.dtype} {list(e.shape)}" for e in splits.values()}
  if len(kinds) > 1:
    raise UserError(
      f"{file}: the splits hold different images, {' and '.join(sorted(kinds))}: make"
      " them equal."
    )


def _classes(
  file: pathlib.Path,
  arrays: dict[str, np.ndarray],
  splits: dict[str, ArrayExamples],
) -> tuple[str, ...]:
  count = 1 + max(int(e.label.max()) for e in splits.values())
  if "classes" not in arrays:
    return tuple(map(str, range(count)))
  names = arrays["classes"]
  if names.ndim != 1 or names.dtype.kind != "U" or len(names) < count:
    raise UserError(
      f"{file}: 'classes' must be a list of at least {count} strings, one for each"
      " label."
    )
  return tuple(map(str, names))
