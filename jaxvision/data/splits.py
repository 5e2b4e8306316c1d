"""Which images are for training, validation and testing; subsets, label noise.

Everything is a pure function of the seed and the number of images, so two machines
agree on it. The order of the steps is fixed: test images are set apart first (by a
seed of their own, so that all runs are tested on the same images), then validation
images, then the training subset is drawn (a smaller one is part of a larger one),
and only then labels are spoilt: validation and test labels stay clean.
"""

import ml_collections
import numpy as np
from jaxtyping import Int

from jaxvision.data.decoding import resize
from jaxvision.data.examples import (
  UNKNOWN,
  ArrayExamples,
  Examples,
  ImageDataset,
  Labels,
  SourceExamples,
)
from jaxvision.errors import UserError

TEST_SEED = 0  # not the run's seed, or runs with different seeds were not comparable
PART = 5  # a fifth is held out where nobody says how much
ORDER, NOISE = 1, 2  # independent streams of random numbers of one seed


def complete(
  dataset: ImageDataset, config: ml_collections.ConfigDict, *, read: bool = True
) -> ImageDataset:
  """Gives a data set the splits that the config asks for.

  A data set's own validation images are kept as they are; otherwise "val" is held
  out of the training images (and is empty if `config.validation` is 0). A data set
  with validation but no test images is tested on the former, as is the custom for
  ImageNet; one with neither is tested on a fifth of its images.

  Args:
    dataset: as its reader returned it, with at least the split "train".
    config: the fields of `jaxvision.data.images.DEFAULTS`.
    read: resize and read small splits into memory; False decodes nothing.

  Returns:
    The data set with exactly the splits "train", "val" and "test".

  Raises:
    UserError: if no training image is left.
  """
  splits = _with_test(dataset.splits)
  train = splits["train"]
  held = 0 if "val" in splits else validation_size(len(train), config.validation)
  order = np.random.default_rng((config.seed, ORDER)).permutation(len(train))
  val = splits.get("val", train.take(np.sort(order[:held])))
  kept = order[held:][: config.limit or None]
  if not len(kept):
    raise UserError(
      f"{dataset.name} has {len(train)} training images and none is left after"
      f" validation: set --config.data.validation below {config.validation:g}."
    )
  train = train.take(np.sort(kept))  # sorted: files are read in the order they lie
  noise = noisy_labels(
    len(train), len(dataset.classes), fraction=config.label_noise, seed=config.seed
  )
  splits = {"train": train.relabel(noise), "val": val, "test": splits["test"]}
  if read:
    splits = {name: _ready(examples, config) for name, examples in splits.items()}
  return dataset._replace(splits=splits)


def validation_size(n: int, validation: float) -> int:
  """How many of n training images are held out for validation.

  Args:
    n: number of training images.
    validation: below 1 that fraction of them; otherwise their number, but at most a
      fifth of n, so that a default made for 60,000 images also serves 1,500.

  Returns:
    The number of images, 0 if `validation` is 0.
  """
  return round(n * validation) if validation < 1 else min(int(validation), n // PART)


def noisy_labels(n: int, classes: int, *, fraction: float, seed: int) -> Labels:
  """Uniform random labels for a fraction of n examples, -1 (keep) for the others.

  The random class may be the right one by chance, so of C classes a share of
  fraction * (1 - 1 / C) labels really is wrong.

  Args:
    n: number of examples.
    classes: number of classes C.
    fraction: share of the examples in [0, 1], rounded to a whole number of them.
    seed: random seed.

  Returns:
    int32[n] for `Examples.relabel`.
  """
  rng = np.random.default_rng((seed, NOISE))
  chosen = rng.permutation(n)[: round(fraction * n)]
  label = np.full(n, UNKNOWN, np.int32)
  label[chosen] = rng.integers(classes, size=len(chosen))
  return label


def split_off_test(
  label: Labels,
) -> tuple[Int[np.ndarray, " train"], Int[np.ndarray, " test"]]:
  """Sets a fifth of the examples apart for testing, always the same ones.

  Of every class a fifth, and at least one example if there are two; where labels are
  not known without reading all images, a fifth of all.

  Args:
    label: int32[n], -1 where unknown.

  Returns:
    Sorted indices of the training and of the test examples.
  """
  rng = np.random.default_rng(TEST_SEED)
  test = []
  for value in np.unique(label):
    members = rng.permutation(np.flatnonzero(label == value))
    count = max(len(members) // PART, 1) if len(members) > 1 else 0
    test.append(members[:count])
  test = np.sort(np.concatenate(test))
  return np.setdiff1d(np.arange(len(label)), test), test


def _with_test(splits: dict[str, Examples]) -> dict[str, Examples]:
  if "test" in splits:
    return splits
  if "val" in splits:
    return {"train": splits["train"], "test": splits["val"]}
  train, test = split_off_test(splits["train"].label)
  return {"train": splits["train"].take(train), "test": splits["train"].take(test)}


def _ready(examples: Examples, config: ml_collections.ConfigDict) -> Examples:
  """Resized, and in memory if it fits there."""
  if isinstance(examples, SourceExamples):  # its images are resized while decoding
    size = len(examples) * int(np.prod(examples.shape))
    return examples.read() if size <= config.resident_bytes else examples
  if isinstance(examples, ArrayExamples) and config.size:
    return ArrayExamples(
      resize(examples.image, config.size, config.fit), examples.label
    )
  return examples
