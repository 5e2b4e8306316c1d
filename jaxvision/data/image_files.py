"""A user's image files, brought into the shape that a network was trained on."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

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
  for path in _expand(paths):
    size = 0 if decoding.header(path)[:2] == (height, width) else height
    options = {"channels": channels, "size": size, "fit": fit}
    image = decoding.decode(path, name=str(path), **options)
    scaled = image if dtype == np.uint8 else image.astype(np.float32) / 255
    yield str(path), scaled


def _expand(paths: Sequence[str]) -> Iterator[Path]:
  for path in map(Path, paths):
    if path.is_file():
      yield path
      continue
    if not path.is_dir():
      raise UserError(f"--inputs: there is no {path}.")
    found = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES)
    if not found:
      raise UserError(f"--inputs: {path} has no image ({', '.join(SUFFIXES)}).")
    yield from found
