"""Films: frames above their time, and the timeline below."""

import numpy as np
import pictures
import pytest

from jaxvision.viz.film import draw_film
from jaxvision.viz.timeline_rows import Bars

CLASSES = ("bag", "boot")
ROWS = [
  Bars("truth", np.array([[1.0, 4.0], [6.0, 9.0]]), np.array([0, 1])),
  Bars("found", np.array([[1.5, 4.0]]), np.array([0]), np.array([0.8])),
]
FRAMES = np.linspace(0, 1, 20, dtype=np.float32)[:, None, None, None] * np.ones(
  (1, 8, 8, 1), np.float32
)


@pytest.fixture
def drawn(monkeypatch):
  return pictures.recorded(monkeypatch)


def draw(tmp_path, frames=FRAMES, **options):
  options = {"rows": ROWS, "duration": 10.0, "classes": CLASSES, **options}
  return draw_film(frames, tmp_path / "film.png", **options)


def test_every_kth_frame_lies_above_its_time(tmp_path, drawn):
  pictures.assert_picture(draw(tmp_path, count=5, title="$x"))
  strip, below = drawn[0].axes
  assert strip.get_xlim() == below.get_xlim() == (0, 10)
  for k, image in enumerate(strip.images):
    left, right, *_ = image.get_extent()
    assert left == pytest.approx(2 * k) and 2 * k + 1.8 < right < 2 * k + 2
    np.testing.assert_allclose(image.get_array(), FRAMES[4 * k + 2, ..., 0])
  assert len(strip.images) == 5
  assert [t.get_text() for t in below.get_yticklabels()] == ["truth", "found"]
  assert pictures.legend_of(drawn[0]) == list(CLASSES)


def test_the_panels_are_as_wide_as_each_other(tmp_path, drawn):
  draw(tmp_path)
  drawn[0].draw_without_rendering()
  upper, lower = (axes.get_window_extent() for axes in drawn[0].axes)
  assert upper.x0 == pytest.approx(lower.x0, abs=3)
  assert upper.x1 == pytest.approx(lower.x1, abs=3)
  assert upper.y0 >= lower.y1


@pytest.mark.parametrize("count", [1, 3, 7, 20, 50])
def test_no_more_frames_than_asked_for(tmp_path, drawn, count):
  draw(tmp_path, count=count)
  images = drawn[0].axes[0].images
  assert 1 <= len(images) <= count
  assert images[-1].get_extent()[0] < 10


@pytest.mark.parametrize(
  "frames, words",
  [
    (FRAMES[:0], "empty"),
    (FRAMES * np.float32(np.nan), "NaN"),
    (FRAMES * 2, "outside"),
    (FRAMES - 1, "outside"),
  ],
)
def test_what_cannot_be_drawn_is_refused(tmp_path, frames, words):
  with pytest.raises(ValueError, match=words):
    draw(tmp_path, frames)
  with pytest.raises(ValueError, match="duration above 0"):
    draw(tmp_path, duration=0.0)
  assert not list(tmp_path.iterdir())
