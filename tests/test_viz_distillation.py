"""Figures of distillation: the numbers that were given are the numbers drawn."""

import numpy as np
import pictures
import pytest

from jaxvision.viz import distillation as viz

NAMES = ("teacher", "inherit", "explore")
MATRIX = np.array([[1.0, 0.8, 0.25], [0.8, 1.0, 0.5], [0.25, 0.5, 1.0]])
RNG = np.random.default_rng(0)


@pytest.fixture
def drawn(monkeypatch):
  return pictures.recorded(monkeypatch)


def test_alignment_shows_its_numbers_and_names(tmp_path, drawn):
  path = viz.draw_alignment(MATRIX, NAMES, tmp_path / "cka.png", title="a $title")
  pictures.assert_picture(path)
  axes = drawn[0].axes[0]
  assert axes.get_title(loc="left") == "a $title"
  shown = [text.get_text() for text in axes.texts]
  assert shown == [f"{value:.2f}" for value in MATRIX.reshape(-1)]
  for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
    assert [label.get_text() for label in labels] == list(NAMES)


@pytest.mark.parametrize("channels", [1, 3])
def test_gradient_maps_lie_below_their_images(tmp_path, drawn, channels):
  images = RNG.uniform(size=(4, 6, 5, channels))
  maps = {name: RNG.uniform(size=(4, 6, 5)) for name in NAMES}
  maps["explore"][2] = 0  # nothing is seen there
  path = viz.draw_gradient_maps(images, maps, tmp_path / "maps.png")
  pictures.assert_picture(path)
  panels = drawn[0].axes
  assert len(panels) == 4 * 4
  shown = images[1, ..., 0] if channels == 1 else images[1]
  np.testing.assert_array_equal(panels[1].images[0].get_array(), shown)
  np.testing.assert_array_equal(panels[9].images[0].get_array(), maps["inherit"][1])
  titles = [panels[4 * row].get_title(loc="left") for row in range(4)]
  assert titles == ["image", *NAMES]


@pytest.mark.parametrize(
  "draw, words",
  [
    (
      lambda path: viz.draw_alignment(MATRIX, NAMES[:2], path),
      "3 rows, but there are 2",
    ),
    (lambda path: viz.draw_alignment(MATRIX * np.nan, NAMES, path), "NaN or infinity"),
    (lambda path: viz.draw_gradient_maps(np.ones((1, 2, 2, 1)), {}, path), "no maps"),
  ],
)
def test_what_cannot_be_drawn_is_refused(tmp_path, draw, words):
  with pytest.raises(ValueError, match=words):
    draw(tmp_path / "figure.png")
  assert not list(tmp_path.iterdir())
