"""Decoding and resizing of single images with Pillow."""

import io
import pathlib
import struct
import zlib

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image

from jaxvision.data.examples import Images
from jaxvision.errors import UserError

MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # channels -> Pillow's name
Resized = UInt8[np.ndarray, "n s s c"] | Float32[np.ndarray, "n s s c"]
GREY = ("1", "L", "LA")
DEEP = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")  # more than 8 bits a channel
# What Pillow raises for files that are cut off, corrupt or no images.
BROKEN = (
  OSError,
  EOFError,
  SyntaxError,
  ValueError,
  struct.error,
  zlib.error,
  Image.DecompressionBombError,
)


def header(path: pathlib.Path) -> tuple[int, int, bool]:
  """(height, width, whether grey) of an image file, without decoding it.

  Raises:
    UserError: naming the file, if it is no image or has more than 8 bits a channel.
  """
  try:
    with Image.open(path) as image:
      (width, height), mode = image.size, image.mode
  except BROKEN as error:
    raise _unreadable(path, error) from error
  if mode in DEEP:
    raise UserError(
      f"{path} has more than 8 bits a channel, which would be cut off: convert it to"
      " 8 bits."
    )
  return height, width, mode in GREY


def decode(
  file: bytes | pathlib.Path,
  *,
  channels: int,
  size: int,
  name: str,
  fit: str = "stretch",
) -> UInt8[np.ndarray, "h w c"]:
  """One image file as an array.

  Args:
    file: contents of a PNG, JPEG, ... file, or its path.
    channels: 1 (grey), 3 (RGB, transparency is dropped) or 4 (RGBA).
    size: 0 for the native size; else the image is resized to size x size pixels,
      bilinear with antialiasing.
    name: what to call the image in an error.
    fit: what is resized: "stretch", the whole image, whose aspect ratio is not kept;
      "crop", the largest square in its middle.

  Returns:
    uint8[h, w, c].

  Raises:
    UserError: naming the image, if it cannot be decoded.
  """
  try:
    with Image.open(io.BytesIO(file) if isinstance(file, bytes) else file) as image:
      if size:  # lets the JPEG decoder shrink by 2, 4 or 8, which is much faster
        image.draft(MODES[channels], (size, size))
      image = image.convert(MODES[channels])
  except BROKEN as error:
    raise _unreadable(name, error) from error
  if size and image.size != (size, size):
    image = _resized(image, size, fit)
  return np.asarray(image).reshape(image.height, image.width, channels)


def resize(images: Images, size: int, fit: str = "stretch") -> Resized:
  """Resizes images to size x size pixels (bilinear with antialiasing).

  Args:
    images: uint8 or float32, [n, h, w, c].
    size: new height and width.
    fit: as of `decode`.

  Returns:
    Images of the same type, [n, s, s, c] with s = size.
  """
  n, height, width, channels = images.shape
  if (height, width) == (size, size):
    return images
  resized = np.empty((n, size, size, channels), images.dtype)
  for i, image in enumerate(images):
    for c in range(channels):  # Pillow has no two-channel or float RGB images
      plane = Image.fromarray(np.ascontiguousarray(image[..., c]))
      resized[i, :, :, c] = _resized(plane, size, fit)
  return resized


def _resized(image: Image.Image, size: int, fit: str) -> Image.Image:
  box = (0, 0, *image.size)
  if fit == "crop":
    side = min(image.size)
    left, top = ((n - side) / 2 for n in image.size)
    box = (left, top, left + side, top + side)
  return image.resize((size, size), Image.Resampling.BILINEAR, box)


def _unreadable(name: object, error: Exception) -> UserError:
  return UserError(
    f"{name} cannot be decoded as an image ({_first_line(error)}): replace or remove"
    " it."
  )


def _first_line(error: Exception) -> str:
  return (str(error).splitlines() or [type(error).__name__])[0]
