"""Figures of what is found over time: bars where they belong, and kernels."""

import matplotlib.colors
import numpy as np
import pictures
import pytest

from jaxvision.viz import figures, timeline
from jaxvision.viz.timeline import Video, draw_timeline, draw_timelines
from jaxvision.viz.timeline_rows import Bars, Kernels, stack

CLASSES = ("run", "jump", "$fly")
SEGMENTS = np.array([[1.0, 4.0], [3.0, 6.0], [7.0, 8.0], [4.0, 7.0]])
LABEL = np.array([0, 2, 1, 0])
TRUTH = Bars("truth", SEGMENTS, LABEL)
PREDICTIONS = Bars("found", SEGMENTS + 0.5, LABEL, np.array([0.9, 0.1, 0.6, 0.2]))
DISTRACTORS = Bars("distractors", SEGMENTS[:1])
KERNELS = Kernels("layer 1", np.array([2.0, 5.0]), np.array([0.5, 2.0]))
ROWS = (TRUTH, DISTRACTORS, PREDICTIONS, KERNELS)


@pytest.fixture
def drawn(monkeypatch):
  return pictures.recorded(monkeypatch)


def bars(axes):
  """[(start, width, middle, colour, opacity)], without the ground of the rows."""
  return [
    (b.get_x(), b.get_width(), b.get_y() + b.get_height() / 2, b.get_facecolor())
    for b in axes.patches
    if matplotlib.colors.to_hex(b.get_facecolor()).upper() != timeline.GROUND
  ]


def test_the_timeline_shows_all_rows(tmp_path, drawn):
  path = draw_timeline(
    ROWS, tmp_path / "t.png", duration=10.0, title="v_$x", classes=CLASSES
  )
  pictures.assert_picture(path)
  axes = drawn[0].axes[0]
  assert [t.get_text() for t in axes.get_yticklabels()] == [r.name for r in ROWS]
  assert pictures.legend_of(drawn[0]) == list(CLASSES)
  assert axes.get_xlim() == (0, 10) and axes.get_xlabel() == "seconds"
  low, high = axes.get_ylim()
  assert all(low < middle < high for _, _, middle, _ in bars(axes))
  ticks = axes.get_yticks()
  assert (np.diff(ticks) < 0).all()  # from top to bottom


def test_bars_have_the_time_and_colour_of_their_class(tmp_path, drawn):
  draw_timeline([TRUTH], tmp_path / "t.png", duration=10.0, classes=CLASSES)
  found = bars(drawn[0].axes[0])
  np.testing.assert_allclose([(a, a + w) for a, w, _, _ in found], SEGMENTS)
  for (*_, colour), label in zip(found, LABEL, strict=True):
    assert matplotlib.colors.to_hex(colour).upper() == figures.PALETTE[label]


def test_scores_are_opacity(tmp_path, drawn):
  draw_timeline([PREDICTIONS], tmp_path / "t.png", duration=10.0, classes=CLASSES)
  axes = drawn[0].axes[0]
  opacity = [colour[3] for *_, colour in bars(axes)]
  expected = 0.2 + 0.8 * np.sort(PREDICTIONS.score)[::-1]
  np.testing.assert_allclose(opacity, expected, atol=1e-6)
  assert [t.get_text() for t in axes.texts] == ["0.90", "0.60", "0.20", "0.10"]


def test_only_the_best_predictions_are_drawn(tmp_path, drawn):
  rows = [TRUTH, PREDICTIONS]
  draw_timeline(rows, tmp_path / "t.png", duration=10.0, classes=CLASSES, top=2)
  axes = drawn[0].axes[0]
  assert len(bars(axes)) == 4 + 2
  assert axes.get_yticklabels()[1].get_text() == "found\ntop 2 of 4"
  starts = {start for start, *_ in bars(axes)[4:]}
  assert starts == {1.5, 7.5}


def test_overlapping_bars_lie_on_different_lines(tmp_path, drawn):
  assert stack(SEGMENTS).tolist() == [0, 1, 0, 0]
  assert stack(np.array([[5.0, 6.0], [4.0, 7.0]])).tolist() == [0, 1]
  draw_timeline([TRUTH], tmp_path / "t.png", duration=10.0)
  lines = {}
  for start, width, middle, _ in bars(drawn[0].axes[0]):
    lines.setdefault(round(middle, 6), []).append((start, start + width))
  for line in lines.values():
    ends = np.array(sorted(line)).ravel()
    assert (np.diff(ends) >= 0).all()


def test_kernels_are_gaussian_curves(tmp_path, drawn):
  draw_timeline([KERNELS], tmp_path / "t.png", duration=10.0)
  lines = [line for line in drawn[0].axes[0].lines if len(line.get_xdata()) > 2]
  for line, center, sigma in zip(lines, KERNELS.centers, KERNELS.sigmas, strict=True):
    x, y = line.get_data()
    assert x[y.argmax()] == pytest.approx(center, abs=0.02)
    y = y - timeline.SPACE
    half = x[y > y.max() / 2]  # full width at half maximum is 2.355 sigma
    assert half.max() - half.min() == pytest.approx(2.355 * sigma, abs=0.05)


def test_kernels_that_are_not_valid_are_left_out(tmp_path, drawn):
  row = KERNELS._replace(sigmas=np.array([0.0, 1.0]), valid=np.array([False, True]))
  draw_timeline([row], tmp_path / "t.png", duration=10.0)
  assert len([x for x in drawn[0].axes[0].lines if len(x.get_xdata()) > 2]) == 1


def test_many_classes_differ_by_hatch(tmp_path, drawn):
  label = np.arange(20)
  segments = np.stack((label, label + 0.5), -1).astype(float)
  path = draw_timeline(
    [Bars("truth", segments, label)], tmp_path / "t.png", duration=20
  )
  pictures.assert_picture(path)
  names = pictures.legend_of(drawn[0])
  assert names[0] == "class 0" and len(names) == 20
  looks = {
    (patch.get_facecolor(), patch.get_hatch())
    for patch in drawn[0].legends[0].get_patches()
  }
  assert len(looks) == 20
  box = drawn[0].legends[0].get_window_extent()
  assert box.y0 >= 0 and box.y1 <= drawn[0].bbox.y1  # the legend fits


def test_rows_may_be_empty(tmp_path):
  empty = Bars("found", np.zeros((0, 2)), np.zeros(0, int), np.zeros(0))
  pictures.assert_picture(
    draw_timeline([TRUTH, empty], tmp_path / "t.png", duration=10.0)
  )


def test_timelines_are_named_like_their_videos(tmp_path):
  videos = {name: Video(ROWS, 10.0) for name in ("v_a/b", "v_a b", "c")}
  paths = draw_timelines(videos, tmp_path, classes=CLASSES, count=2)
  assert [p.name for p in paths] == ["timeline_00_v_a_b.png", "timeline_01_v_a_b.png"]
  assert sorted(tmp_path.iterdir()) == paths


@pytest.mark.parametrize(
  "row, words",
  [
    (Bars("x", SEGMENTS[:, ::-1]), "start, end"),
    (Bars("x", SEGMENTS * np.nan), "start, end"),
    (PREDICTIONS._replace(score=np.full(4, 1.5)), "outside"),
    (PREDICTIONS._replace(score=np.full(4, np.nan)), "outside"),
    (KERNELS._replace(sigmas=np.zeros(2)), "without"),
    (KERNELS._replace(centers=np.array([np.nan, 1])), "without"),
  ],
)
def test_what_cannot_be_drawn_is_refused(tmp_path, row, words):
  with pytest.raises(ValueError, match=words):
    draw_timeline([row], tmp_path / "t.png", duration=10.0)
  assert not list(tmp_path.iterdir())


def test_nothing_to_draw_is_refused(tmp_path):
  for rows, duration in (([], 1.0), (ROWS, 0.0)):
    with pytest.raises(ValueError, match="duration above 0"):
      draw_timeline(rows, tmp_path / "t.png", duration=duration)
