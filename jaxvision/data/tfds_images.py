"""Image classification data sets of TensorFlow Datasets, read without TensorFlow.

A data set has to be prepared as ArrayRecord. Where it is not, it is prepared, which
takes its files or the network and, for most data sets, TensorFlow. Of its splits,
"train", "validation" (our "val") and "test" are used; unlabelled ones are left out
(the test images of ImageNet).
"""

import functools
import pathlib
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from jaxvision.data.decoded_cache import decoded
from jaxvision.data.decoding import decode
from jaxvision.data.examples import (
  UNKNOWN,
  Batch,
  Examples,
  ImageDataset,
  Indices,
  SourceExamples,
  Unavailable,
)
from jaxvision.data.network import require_server
from jaxvision.data.tfds_prepare import prepared, reason
from jaxvision.errors import UserError

SPLITS = {"train": "train", "val": "validation", "test": "test"}  # ours -> TFDS's
Shape = tuple[int | None, int | None, int]


def load_tfds(
  name: str,
  *,
  folder: str,
  size: int,
  resident_bytes: int,
  prepare: bool = True,
  fit: str = "stretch",
) -> ImageDataset:
  """Loads a data set by its TFDS name, preparing it first if need be.

  Args:
    name: such as "cifar10", "svhn_cropped" or "imagenet_resized/32x32".
    folder: TFDS's data folder; "" for its default.
    size: side of the images, 0 for the native one.
    resident_bytes: splits of fixed-size images up to this size are read into memory.
    prepare: False refuses to prepare it: a plan must not download anything.
    fit: how images are resized, as of `decoding.decode`.

  Returns:
    The data set with those of the three splits that it has.

  Raises:
    Unavailable: if it is not prepared and must not be, or there are neither files nor
      a network.
    UserError: if it is unknown, damaged, no image classification or needs `size`.
  """
  builder = prepared(
    functools.partial(find_builder, name, folder),
    check_sources=_check_sources if prepare else _refuse,
  )
  dataset = read_prepared(builder, size=size, resident_bytes=resident_bytes, fit=fit)
  return dataset._replace(name=name)


def find_builder(name: str, folder: str) -> tfds.core.DatasetBuilder:
  """The TFDS builder of an image classification data set, prepared or not.

  Raises:
    UserError: if TFDS has no such data set, or its images have no class label.
  """
  try:
    builder = tfds.builder(name, data_dir=folder or None)
  except (ValueError, AssertionError, RuntimeError, ImportError) as error:
    raise UserError(
      f"--config.data.name={name} cannot be loaded ({reason(error)}): give"
      " fashion_mnist, digits, npz:PATH, folder:PATH or a name of TensorFlow Datasets."
    ) from error
  features = dict(builder.info.features or {})
  image, label = features.get("image"), features.get("label")
  if not (
    isinstance(image, tfds.features.Image)
    and image.np_dtype == np.uint8
    and isinstance(label, tfds.features.ClassLabel)
  ):
    raise UserError(
      f"--config.data.name={name} has no 8-bit 'image' with a class 'label': give a"
      " TFDS name for image classification."
    )
  return builder


def image_shape(builder: tfds.core.DatasetBuilder, size: int) -> Shape:
  """(height, width, channels) after decoding; None for a size that varies."""
  height, width, channels = builder.info.features["image"].shape
  return size or height, size or width, channels or 3


def class_names(builder: tfds.core.DatasetBuilder) -> tuple[str, ...]:
  """Names of the classes in the order of the labels."""
  return tuple(builder.info.features["label"].names)


def read_prepared(
  builder: tfds.core.DatasetBuilder,
  *,
  size: int,
  resident_bytes: int,
  fit: str = "stretch",
) -> ImageDataset:
  """Opens the splits of a prepared data set.

  Small splits of fixed-size images come from a decoded copy (see `decoded_cache`),
  all others are decoded when they are asked for.

  Args:
    builder: from `prepared`.
    size: side of the images, 0 for the native one.
    resident_bytes: largest size of a split that is read into memory.
    fit: how images are resized, as of `decoding.decode`.

  Returns:
    The data set with those of the three splits that it has.

  Raises:
    UserError: if files are damaged, "train" is missing or the images differ in size
      and `size` is 0.
  """
  name = builder.info.full_name
  if "train" not in builder.info.splits:
    raise UserError(
      f"{name} in {builder.data_path} has the splits"
      f" {', '.join(builder.info.splits) or 'none'} and no 'train': choose another"
      " data set, or remove the folder if it should have one."
    )
  shape = image_shape(builder, size)
  if None in shape:
    raise UserError(
      f"the images of {name} differ in size: set one for all with"
      " --config.data.size=224 or another number of pixels."
    )
  splits = {
    ours: _open(builder, theirs, size, resident_bytes, fit)
    for ours, theirs in SPLITS.items()
    if theirs in builder.info.splits
  }
  labelled = {ours: e for ours, e in splits.items() if ours == "train" or _labelled(e)}
  return ImageDataset(builder.name, "", class_names(builder), labelled)


def _refuse(builder: tfds.core.DatasetBuilder) -> None:
  raise Unavailable(
    f"{builder.info.full_name} is not prepared in {builder.data_path}, and how many"
    " images it has is not known before: load it once without a plan."
  )


def _check_sources(builder: tfds.core.DatasetBuilder) -> None:
  missing = f"{builder.info.full_name} is not prepared in {builder.data_path}"
  if builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
    manual = pathlib.Path(builder.data_dir_root, "downloads", "manual")
    if not (manual.is_dir() and any(manual.iterdir())):
      raise Unavailable(
        f"{missing}, and the files that it is prepared from, which you have to"
        f" download yourself, are not in {manual}."
      )
    return
  for url in list(builder.url_infos or {})[:1]:
    require_server(url, what=missing)


def _open(
  builder: tfds.core.DatasetBuilder,
  split: str,
  size: int,
  resident_bytes: int,
  fit: str,
) -> Examples:
  path, shape = pathlib.Path(builder.data_path), image_shape(builder, size)
  native = image_shape(builder, 0)
  try:  # the encoded images: TFDS's own decoding is twice as slow as ours
    source = builder.as_data_source(
      split=split, decoders={"image": tfds.decode.SkipDecoding()}
    )
  except (RuntimeError, OSError, ValueError) as error:
    raise _damaged(path, error) from error
  count = len(source)
  fits = None not in native and count * int(np.prod(native)) <= resident_bytes
  options = {"channels": shape[-1], "size": 0 if fits else size, "fit": fit}
  fetch = functools.partial(_fetch, source=source, path=path, **options)
  examples = SourceExamples(
    fetch,
    native if fits else shape,
    np.arange(count),
    np.full(count, UNKNOWN, np.int32),
  )
  if fits:
    return decoded(path / "decoded", f"{builder.info.full_name}/{split}", examples)
  return examples


def _fetch(
  positions: Indices,
  *,
  source: Any,  # of TFDS; its type has no public name
  channels: int,
  size: int,
  fit: str,
  path: pathlib.Path,
) -> Batch:
  try:
    records = source.__getitems__(positions.tolist())
  except (RuntimeError, OSError, ValueError) as error:
    raise _damaged(path, error) from error
  options = {"channels": channels, "size": size, "fit": fit}
  images = [
    decode(r["image"], name=f"image {i} of {path}", **options)
    for i, r in zip(positions, records, strict=True)
  ]
  label = np.array([r["label"] for r in records], np.int32)
  return {"image": np.stack(images), "label": label}


def _labelled(examples: Examples) -> bool:
  return len(examples) > 0 and bool(examples[np.array([0])]["label"][0] >= 0)


def _damaged(path: pathlib.Path, error: Exception) -> UserError:
  return UserError(
    f"the prepared data set {path} is damaged ({reason(error)}): remove"
    " that folder, and it is prepared again."
  )
