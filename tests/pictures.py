"""Helpers of the tests of figures."""

import numpy as np
from PIL import Image

from jaxvision.viz import figures


def recorded(monkeypatch):
  """Collects the figures that are saved from here on, to look at what was drawn."""
  saved, save = [], figures.save

  def record(figure, path):
    saved.append(figure)
    return save(figure, path)

  monkeypatch.setattr(figures, "save", record)
  return saved


def pixels(path):
  with Image.open(path) as image:
    assert image.format == "PNG"
    return np.asarray(image.convert("RGB"), np.float64)


def assert_picture(path):
  shown = pixels(path)
  assert min(shown.shape[:2]) > 100
  assert shown.std() > 5  # not blank
  assert shown[0, 0].min() == 255  # on white
  assert list(path.parent.glob(".*")) == []  # no part of a file is left


def legend_of(figure):
  return [text.get_text() for text in figure.legends[0].get_texts()]
