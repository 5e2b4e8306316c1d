"""CUHK03's published file, cuhk-03.mat, as image files.

`python -m jaxvision.data.cuhk03 cuhk-03.mat FOLDER` writes `FOLDER/images_detected/`
and `FOLDER/images_labeled/`, named `<pair>_<person>_<view>_<image>.png`.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jaxvision import interruption
from jaxvision.errors import UserError

KINDS = ("detected", "labeled")
OF_A_VIEW = 5  # images of a person: the first ones are of the first camera


def extract(mat: str | Path, folder: str | Path) -> dict[str, int]:
  """Writes the images of cuhk-03.mat; those that are there already are kept.

  Args:
    mat: the file, in MATLAB's format 7.3.
    folder: where to.

  Returns:
    {"detected" or "labeled": number of images}.

  Raises:
    UserError: no such file, another one, or h5py is not installed.
  """
  try:
    import h5py
  except ImportError as error:
    raise UserError(
      "reading cuhk-03.mat needs h5py: pip install 'jaxvision[h5]'."
    ) from error
  if not Path(mat).is_file():
    raise UserError(f"there is no file {mat}: give CUHK03's cuhk-03.mat.")
  try:
    with h5py.File(mat, "r") as file:
      return {kind: _write(file, kind, Path(folder)) for kind in KINDS}
  except (OSError, KeyError, AttributeError) as error:
    raise UserError(f"{mat} is not CUHK03's cuhk-03.mat ({error}).") from error


def _write(file: Any, kind: str, folder: Path) -> int:
  target, count = folder / f"images_{kind}", 0
  target.mkdir(parents=True, exist_ok=True)
  for name, image in _images(file, kind):
    interruption.check()
    count += 1
    if not (target / name).is_file():
      part = target / f".{name}"
      Image.fromarray(image).save(part, format="PNG")
      part.replace(target / name)
  return count


def _images(file: Any, kind: str) -> Iterator[tuple[str, np.ndarray]]:
  """(name, image); MATLAB's arrays are stored with their axes reversed."""
  for pair, pair_ref in enumerate(file[kind][0], start=1):
    for person, refs in enumerate(file[pair_ref][()].T, start=1):
      for number, ref in enumerate(refs, start=1):
        image = file[ref][()].T
        if image.ndim == 3:  # a cell without an image is an empty matrix
          view = 1 if number <= OF_A_VIEW else 2
          yield f"{pair}_{person:03d}_{view}_{number:02d}.png", image.astype(np.uint8)


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the command; returns 2 after a mistake."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("mat", help="cuhk-03.mat")
  parser.add_argument("folder", help="where to write the images")
  arguments = parser.parse_args(argv)
  try:
    found = extract(arguments.mat, arguments.folder)
  except UserError as error:
    print(f"error: {error}", file=sys.stderr)
    return 2
  print(", ".join(f"{count} {kind} images" for kind, count in found.items()))
  return 0


if __name__ == "__main__":
  sys.exit(main())
