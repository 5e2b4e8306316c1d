"""Figures of results: predictions, and comparisons of arms."""

import math

import jax.numpy as jnp
import numpy as np
import pictures
import pytest

from jaxvision.viz import comparison, predictions


@pytest.fixture
def drawn(monkeypatch):
  return pictures.recorded(monkeypatch)


def test_predictions_show_the_most_probable_classes(tmp_path, drawn):
  images = {
    "a.png": np.full((4, 5, 3), 51, np.uint8),
    "b.png": jnp.full((6, 6, 1), 0.5),
  }
  probabilities = {
    "b.png": jnp.asarray([0.1, 0.2, 0.7]),
    "a.png": np.array([0.5, 0.2, 0.3]),
  }
  classes = ["cat", "dog", "owl"]
  path = tmp_path / "p.png"
  predictions.draw_predictions(images, probabilities, classes, path, top=2)
  pictures.assert_picture(path)
  first, bars, second, more = drawn[0].axes
  assert [axes.get_title(loc="left") for axes in (first, second)] == ["a.png", "b.png"]
  np.testing.assert_allclose(first.images[0].get_array(), np.full((4, 5, 3), 0.2))
  assert second.images[0].get_array().shape == (6, 6)
  assert [t.get_text() for t in bars.get_yticklabels()] == ["cat", "owl"]
  assert [t.get_text() for t in more.get_yticklabels()] == ["owl", "dog"]
  assert [bar.get_width() for bar in bars.patches] == [0.5, 0.3]
  assert [t.get_text() for t in bars.texts] == ["50%", "30%"]
  assert bars.get_xlabel() == "probability"


def test_predictions_draw_the_first_images_and_say_so(tmp_path, drawn):
  images = {f"image{k}": np.zeros((2, 2, 1)) for k in range(6)}
  probabilities = {name: np.array([1.0]) for name in images}
  path = tmp_path / "p.png"
  predictions.draw_predictions(images, probabilities, ["one"], path, count=4)
  assert len(drawn[0].axes) == 8
  assert drawn[0].get_suptitle() == "first 4 of 6 images"


def test_predictions_shorten_long_names(tmp_path, drawn):
  name, label = "x" * 40 + "0001.png", "mushroom " * 9
  predictions.draw_predictions(
    {name: np.zeros((2, 2, 3))}, {name: np.ones(1)}, [label], tmp_path / "p.png"
  )
  image, bars = drawn[0].axes
  assert image.get_title(loc="left").endswith("x0001.png")
  assert bars.get_yticklabels()[0].get_text().startswith("mushroom mushroom")
  assert len(bars.get_yticklabels()[0].get_text()) == 22


def test_names_are_no_formulas(tmp_path, drawn):
  name = "$\\frac$"  # drawing it as one would fail
  images, path = {name: np.zeros((2, 2, 1))}, tmp_path / "p.png"
  predictions.draw_predictions(images, {name: np.ones(1)}, [name], path)
  row = (name, 0.0, 0.0, 0.0, [0.0], name)
  comparison.draw_comparison([row], path, xlabel=name, title=name)
  assert drawn[0].axes[0].get_title(loc="left") == name


@pytest.mark.parametrize(
  "image, p, message",
  [
    (np.full((2, 2, 1), np.nan), [0.5, 0.5], "NaN"),
    (np.full((2, 2, 1), 2.0), [0.5, 0.5], "outside"),
    (np.zeros((2, 2, 2)), [0.5, 0.5], "shape"),
    (np.zeros((2, 2, 1)), [0.5, np.nan], "NaN"),
    (np.zeros((2, 2, 1)), [1.0], "1 probabilities for 2 classes"),
    (np.zeros((2, 2, 1)), [2.0, -1.0], "within"),
  ],
)
def test_predictions_rejects(tmp_path, image, p, message):
  path = tmp_path / "p.png"
  with pytest.raises(ValueError, match=message):
    predictions.draw_predictions({"a": image}, {"a": np.array(p)}, ["x", "y"], path)


def test_predictions_rejects_other_names_and_nothing(tmp_path):
  image, p = np.zeros((2, 2, 1)), np.ones(1)
  for images, probabilities in [({}, {}), ({"a": image}, {"b": p})]:
    with pytest.raises(ValueError, match="same names"):
      predictions.draw_predictions(images, probabilities, ["x"], tmp_path / "p.png")


ROWS = [
  comparison.Row("Gaussian - binary", -1.0, -1.5, -0.5, [-1.4, -1.0, -0.6], "shown"),
  ("uniform - binary", 0.1, -0.4, 0.6, (0.0, 0.2), "not shown"),
  ("none - binary", 2.0, 1.0, 3.0, [2.0], "contradicted"),
]


def test_comparison_draws_intervals_seeds_and_verdicts(tmp_path, drawn):
  xlabel = "difference in test error (percentage points)"
  path = comparison.draw_comparison(ROWS, tmp_path / "c.png", xlabel=xlabel, title="t")
  pictures.assert_picture(path)
  (axes,) = drawn[0].axes
  assert axes.get_xlabel() == xlabel
  assert [t.get_text() for t in axes.get_yticklabels()] == [row[0] for row in ROWS]
  zero, *lines = axes.lines
  assert set(zero.get_xdata()) == {0}
  for y, row in enumerate(ROWS):
    seeds, interval, mean = lines[3 * y : 3 * y + 3]
    np.testing.assert_allclose(seeds.get_xdata(), row[4])
    np.testing.assert_allclose(interval.get_xydata(), [(row[2], y), (row[3], y)])
    np.testing.assert_allclose(mean.get_xydata(), [(row[1], y)])
    assert axes.texts[y].get_text() == row[5]
    assert axes.texts[y].get_color() == comparison.COLOURS[row[5]]
  assert axes.yaxis_inverted()  # the first row is the upper one


@pytest.mark.parametrize(
  "rows",
  [
    [],
    [("a", math.nan, 0.0, 1.0, [0.0], "shown")],
    [("a", 0.5, 0.0, 1.0, [math.inf], "shown")],
    [("a", 2.0, 0.0, 1.0, [2.0], "shown")],
  ],
)
def test_comparison_rejects(tmp_path, rows):
  with pytest.raises(ValueError):
    comparison.draw_comparison(rows, tmp_path / "c.png", xlabel="x")
