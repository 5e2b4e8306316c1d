"""A user's image files, brought into the shape that a network was trained on."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Shaped

from jaxvision import files
from jaxvision.data import decoding
from jaxvision.errors import UserError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")


def read_images(
  paths: Sequence[str],
  shape: tuple[int, int, int],
  dtype: np.dtype,
  *,
  fit: str = "stretch",
) -> Iterator[tuple[str, Shaped[np.ndarray, "h w c"]]]:
  """Yields (file, image); a folder stands for the image files below it, sorted.

  Args:
    paths: image files and folders of them.
    shape: (height, width, channels): images are converted and, if need be, resized.
    dtype: uint8 in 0..255, or float32 in [0, 1].
    fit: how they are resized, as of `decoding.decode`.

  Raises:
    UserError: a path that is missing, a folder without images, a corrupt image.
  """
  height, width, channels = shape
  if height != width:
    raise UserError(f"the network takes {height}x{width} images; only squares are read")
  for path in files.input_files(paths, SUFFIXES):
    size = 0 if decoding.header(path)[:2] == (height, width) else height
    options = {"channels": channels, "size": size, "fit": fit}
    image = decoding.decode(path, name=str(path), **options)
    scaled = image if dtype == np.uint8 else image.astype(np.float32) / 255
    yield str(path), scaled
