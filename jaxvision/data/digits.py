"""The 8 x 8 handwritten digits that come with scikit-learn: no download, no file.

E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine
Learning Repository, 1998 (its test part: 1,797 images).
"""

import numpy as np
from sklearn.datasets import load_digits

from jaxvision.data.examples import ArrayExamples, ImageDataset

CLASSES = tuple("0123456789")


def digits() -> ImageDataset:
  """Reads the digits: 1,797 images of 8 x 8 x 1, counts 0..16 scaled to 0..255.

  The set has one part only; `jaxvision.data.splits.split_off_test` takes a fifth of
  every class for testing, always the same images.

  Returns:
    A data set with the split "train" alone.
  """
  data = load_digits()
  image = np.rint(data.images * (255 / 16)).astype(np.uint8)[..., None]
  examples = ArrayExamples(image, data.target.astype(np.int32))
  return ImageDataset("digits", "", CLASSES, {"train": examples})
