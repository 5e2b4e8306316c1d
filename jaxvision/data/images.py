"""Image classification data by name: `load_images(config.data)`.

Nothing heavy is imported before it is needed, so that configurations may take
`DEFAULTS` from here.
"""

import ml_collections

from jaxvision.data.examples import AbstractExamples, ImageDataset, Unavailable
from jaxvision.data.field_checks import check_choices, check_least, check_validation
from jaxvision.data.known_images import FASHION_CLASSES, KNOWN
from jaxvision.errors import UserError

DEFAULTS = {
  # fashion_mnist, digits, npz:PATH, folder:PATH or a TFDS name; of alternatives
  # separated by "|" the first that is available.
  "name": "fashion_mnist|digits",
  "folder": "",  # where TFDS keeps its data; "" is its own default
  "limit": 0,  # at most so many training images, randomly chosen; 0 takes all
  "label_noise": 0.0,  # share of the training labels that are replaced at random
  # Training images held out as "val": a number, at most a fifth of them, or, below 1,
  # a fraction. A float, because the one kind of number would not override the other.
  "validation": 5000.0,
  "size": 0,  # pixels: images are resized to size x size; 0 keeps the native size
  # How: "stretch", or "crop": the shorter side to `size`, and what is in the middle.
  "fit": "stretch",
  "seed": 0,  # of the held-out images, the subset and the label noise
  # Of training images, on the device: `ops.augmentation`. All is off.
  "augment": {
    "pad": 0,  # pixels around an image before it is cropped at random
    "mode": "reflect",  # of the padding: reflect, constant (0), edge
    "crop": 0,  # side of the crop; evaluations see the middle; 0 keeps the size
    "area": (),  # share of the image in a random window, as (0.08, 1.0), resized
    "flip": False,  # left to right
    "rotate": 0.0,  # degrees, either way
  },
  # On the device, each image in a pose: `ops.distortions`. No task leaves it as it is.
  "distort": {
    "task": "",  # unseen_pose, unseen_quadrant, spatial_transformer, mnist_rot
    "train": "identity",  # variant of the task in training, validation and test
    "test": (),  # further variants to test on
  },
  "resident_bytes": 2**29,  # splits up to this size are read into memory
}
FITS = ("stretch", "crop")
COUNTS = ("limit", "validation", "size", "seed", "resident_bytes")  # not negative


def load_images(config: ml_collections.ConfigDict) -> ImageDataset:
  """Loads an image classification data set.

  Args:
    config: the fields of `DEFAULTS`.

  Returns:
    The data set with the splits "train", "val" and "test"; those up to
    `resident_bytes` are `ArrayExamples`, larger ones `SourceExamples`. Its `note`
    says if another data set stands in for the first one named.

  Raises:
    Unavailable: if no alternative has files or a network to get them.
    UserError: if the config or a file is wrong; a damaged file is never passed over
      for the next alternative.
  """
  from jaxvision.data.splits import complete

  _check(config)
  missing = []
  for name in _alternatives(config):
    try:
      dataset = _read(name, config)
    except Unavailable as error:
      missing.append(str(error).rstrip("."))
      continue
    note = f"{name} instead: {'; '.join(missing)}" if missing else ""
    return complete(dataset._replace(note=note, fit=config.fit), config)
  raise Unavailable(f"{'; '.join(missing)}.")


def abstract_images(config: ml_collections.ConfigDict) -> ImageDataset:
  """Shapes, classes and sizes of the first data set named, without its data.

  Args:
    config: the fields of `DEFAULTS`.

  Returns:
    What `load_images` would return, with `AbstractExamples`. Well-known data sets need
    no file (see `known_images`); a .npz file and the headers of a folder's images are
    read, as nothing else tells.

  Raises:
    Unavailable: if the file or the folder does not exist, or an unknown data set is
      not prepared.
    UserError: if the config or a file is wrong.
  """
  from jaxvision.data.splits import complete

  _check(config)
  name = _alternatives(config)[0]
  dataset = (
    _known(name, config.size) if name in KNOWN else _read(name, config, plan=True)
  )
  dataset = complete(dataset._replace(fit=config.fit), config, read=False)
  size = config.size
  abstract = {
    split: AbstractExamples(
      len(e), (size, size, e.shape[2]) if size else e.shape, e.dtype
    )
    for split, e in dataset.splits.items()
  }
  return dataset._replace(splits=abstract)


def expected_files(config: ml_collections.ConfigDict) -> tuple[str, ...]:
  """One sentence for each alternative: which files are expected where.

  Args:
    config: the fields of `DEFAULTS`.

  Returns:
    The sentences, in the order of the alternatives.
  """
  folder = config.folder or "TFDS's folder ($TFDS_DATA_DIR or ~/tensorflow_datasets)"
  sentences = []
  for name in _alternatives(config):
    kind, _, path = name.partition(":")
    sentences.append(
      {
        "digits": "digits: no files; they come with scikit-learn",
        "npz": f"{path}: an .npz file of train_image, train_label, test_image and"
        " test_label, or x_train, y_train, x_test and y_test, or image and label",
        "folder": f"{path}: train/<class>/ and test/<class>/ with image files, or"
        " <class>/ alone",
        "fashion_mnist": f"fashion_mnist: prepared in {folder}, or its four idx files"
        " in $JAXVISION_FASHION_MNIST or where Debian's dataset-fashion-mnist puts"
        " them, or a network",
      }.get(kind, f"{name}: prepared as ArrayRecord in {folder}, or a network")
    )
  return tuple(sentences)


def _check(config: ml_collections.ConfigDict) -> None:
  check_least(config, COUNTS, 0)
  check_choices(config, {"fit": FITS})
  if not 0 <= config.label_noise <= 1:
    raise UserError(
      f"--config.data.label_noise={config.label_noise} is no share: give 0 to 1."
    )
  check_validation(config, "images")


def _alternatives(config: ml_collections.ConfigDict) -> list[str]:
  names = [name.strip() for name in config.name.split("|")]
  if not all(names):
    raise UserError(
      f"--config.data.name={config.name!r} names no data set: give fashion_mnist,"
      " digits, npz:PATH, folder:PATH or a name of TensorFlow Datasets."
    )
  return names


def _read(
  name: str, config: ml_collections.ConfigDict, *, plan: bool = False
) -> ImageDataset:
  """The data set as its reader returns it; for a plan, nothing is prepared."""
  kind, _, path = name.partition(":")
  if kind == "digits":
    from jaxvision.data.digits import digits

    return digits()
  if kind == "npz":
    from jaxvision.data.npz_images import load_npz

    return load_npz(path)
  if kind == "folder":
    from jaxvision.data.folder_images import load_folder

    return load_folder(path, size=config.size, fit=config.fit)
  options = {"folder": config.folder, "size": config.size}
  options["resident_bytes"] = 0 if plan else config.resident_bytes
  if name == "fashion_mnist":
    from jaxvision.data.fashion_mnist import load_fashion_mnist

    return load_fashion_mnist(**options)
  from jaxvision.data.tfds_images import load_tfds

  return load_tfds(name, prepare=not plan, fit=config.fit, **options)


def _known(name: str, size: int) -> ImageDataset:
  """A well-known data set without its data."""
  (height, width, channels), classes, train, test = KNOWN[name]
  shape = (size or height, size or width, channels)
  if None in shape:
    raise UserError(
      f"the images of {name} differ in size: set one for all with"
      " --config.data.size=224 or another number of pixels."
    )
  splits = {
    "train": AbstractExamples(train, shape),
    "test": AbstractExamples(test, shape),
  }
  names = FASHION_CLASSES if name == "fashion_mnist" else map(str, range(classes))
  return ImageDataset(name, "", tuple(names), splits)
