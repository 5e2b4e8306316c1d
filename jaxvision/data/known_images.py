"""Facts about well-known data sets: a run on them can be planned without their files.

Sizes are those of the splits as TFDS prepares them and `jaxvision.data.splits` uses
them: ImageNet's validation images are the test images.
"""

from typing import NamedTuple

FASHION_CLASSES = (
  "T-shirt/top",
  "Trouser",
  "Pullover",
  "Dress",
  "Coat",
  "Sandal",
  "Shirt",
  "Sneaker",
  "Bag",
  "Ankle boot",
)


class Known(NamedTuple):
  """Shape (None for a size that varies), number of classes and of images."""

  shape: tuple[int | None, int | None, int]
  classes: int
  train: int
  test: int


KNOWN = {
  "cifar10": Known((32, 32, 3), 10, 50_000, 10_000),
  "cifar100": Known((32, 32, 3), 100, 50_000, 10_000),
  "fashion_mnist": Known((28, 28, 1), 10, 60_000, 10_000),
  "imagenet2012": Known((None, None, 3), 1000, 1_281_167, 50_000),
  "imagenet_resized/32x32": Known((32, 32, 3), 1000, 1_281_167, 50_000),
  "imagenet_resized/64x64": Known((64, 64, 3), 1000, 1_281_167, 50_000),
  "kmnist": Known((28, 28, 1), 10, 60_000, 10_000),
  "mnist": Known((28, 28, 1), 10, 60_000, 10_000),
  "svhn_cropped": Known((32, 32, 3), 10, 73_257, 26_032),
}
