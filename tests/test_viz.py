"""Figures: files appear whole, show what they should, and leave pyplot alone."""

import json
import math
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxvision.errors import UserError
from jaxvision.ops import statistics
from jaxvision.ops.masks import MaskSpec, mask_atoms, mask_moments, noise_strength
from jaxvision.viz import (
  comparison,
  correlation,
  curves,
  figures,
  filters,
  masks,
  predictions,
)

SPECS = {
  "binary": MaskSpec("bernoulli", rate=0.3),
  "uniform": MaskSpec("uniform", low=0.5, high=1.5),
  "clipped": MaskSpec("gaussian", mean=0.7, std=0.5),
  "normal": MaskSpec("gaussian", std=0.5, clip=False),
}


@pytest.fixture
def drawn(monkeypatch):
  """Collects the figures that are saved, to look at what was drawn."""
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


def write_rows(path, rows, tail=""):
  path.write_text("".join(json.dumps(row) + "\n" for row in rows) + tail)
  return path


def metric_rows(stage="train", steps=(1, 2, 3)):
  rows = []
  for step in steps:
    row = {"stage": stage, "step": step, "split": "train", "loss": 1 / step}
    rows.append(row | ({"grad_norm": 2.0} if step > 1 else {}))
  row = {"stage": stage, "step": steps[-1], "split": "val", "loss": 0.5}
  return [*rows, row | {"accuracy": 0.9}]


# figures


def test_panels_keeps_only_what_is_asked_for():
  figure, axes = figures.panels(5, columns=3)
  assert len(axes) == len(figure.axes) == 5
  assert tuple(figure.get_size_inches()) == (12.0, 5.6)


def test_save_keeps_the_old_file_if_drawing_fails(tmp_path):
  path = tmp_path / "a.png"
  path.write_bytes(b"old")
  figure, [[axes]] = figures.grid(1, 1)
  axes.set_title("$\\unknown$")  # fails when drawn
  with pytest.raises(ValueError):
    figures.save(figure, path)
  assert [p.name for p in tmp_path.iterdir()] == ["a.png"]
  assert path.read_bytes() == b"old"


def test_save_leaves_no_part_if_writing_fails(tmp_path):
  figure, _ = figures.grid(1, 1)
  (tmp_path / "a.png" / "in the way").mkdir(parents=True)
  with pytest.raises(OSError):
    figures.save(figure, tmp_path / "a.png")
  assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [math.inf]])
def test_finite_rejects(values):
  with pytest.raises(ValueError, match="the name"):
    figures.finite("the name", values)


# curves


def test_training_draws_a_figure_a_stage_and_a_panel_a_metric(tmp_path, drawn):
  rows = metric_rows("teacher") + metric_rows("student")
  path = write_rows(tmp_path / "metrics.jsonl", rows)
  paths = curves.draw_training(path, tmp_path / "figures")
  assert [p.name for p in paths] == ["training_teacher.png", "training_student.png"]
  assert_picture(paths[0])
  panels = {axes.get_ylabel(): axes for axes in drawn[1].axes}
  assert list(panels) == ["loss", "grad_norm", "accuracy"]
  train, val = panels["loss"].lines
  np.testing.assert_allclose(train.get_xydata(), [(1, 1), (2, 1 / 2), (3, 1 / 3)])
  np.testing.assert_allclose(val.get_xydata(), [(3, 0.5)])
  assert val.get_marker() == "o"  # a line of one point would be invisible
  np.testing.assert_allclose(panels["grad_norm"].lines[0].get_xdata(), [2, 3])
  assert panels["accuracy"].lines[0].get_color() == val.get_color()
  assert {axes.get_xlabel() for axes in drawn[1].axes} == {"step"}
  assert legend_of(drawn[1]) == ["train", "val"]


@pytest.mark.parametrize("text", [None, "", '{"stage": "tr', '{"stage": 1}'])
def test_training_without_rows_draws_nothing(tmp_path, text):
  path = tmp_path / "metrics.jsonl"
  if text is not None:
    path.write_text(text)
  assert curves.draw_training(path, tmp_path / "figures") == []
  assert not (tmp_path / "figures").exists()


def test_training_ignores_a_cut_last_line_and_what_is_no_number(tmp_path, drawn):
  extra = {"stage": "train", "step": 4, "split": "train", "note": "a", "done": True}
  rows = [*metric_rows(), extra]
  path = write_rows(tmp_path / "metrics.jsonl", rows, tail='{"stage": "train", "st')
  assert len(curves.draw_training(path, tmp_path)) == 1
  labels = [axes.get_ylabel() for axes in drawn[0].axes]
  assert labels == ["loss", "grad_norm", "accuracy"]


def test_training_names_a_broken_line_in_the_middle(tmp_path):
  path = tmp_path / "metrics.jsonl"
  path.write_text('{"stage": "tr\n' + json.dumps(metric_rows()[0]) + "\n")
  with pytest.raises(UserError, match=r"metrics\.jsonl line 1 "):
    curves.draw_training(path, tmp_path)


def test_training_sorts_steps_and_the_last_line_of_a_step_counts(tmp_path, drawn):
  rows = [
    {"stage": "train", "step": step, "split": "train", "loss": loss}
    for step, loss in [(2, 2.0), (3, 3.0), (1, 1.0), (2, 5.0)]
  ]
  curves.draw_training(write_rows(tmp_path / "metrics.jsonl", rows), tmp_path)
  xy = drawn[0].axes[0].lines[0].get_xydata()
  np.testing.assert_allclose(xy, [(1, 1), (2, 5), (3, 3)])


def test_training_counts_what_is_not_finite(tmp_path, drawn):
  rows = metric_rows()
  rows[1]["loss"], rows[2]["loss"] = math.nan, math.inf
  curves.draw_training(write_rows(tmp_path / "metrics.jsonl", rows), tmp_path)
  loss, norm, _ = drawn[0].axes
  assert loss.get_title(loc="left") == "2 not finite"
  assert norm.get_title(loc="left") == ""
  np.testing.assert_array_equal(loss.lines[0].get_ydata(), [1, np.nan, np.nan])


def test_curves_draws_lists_and_jax_arrays(tmp_path, drawn):
  series = {
    "a": ([0, 1], [2.0, 3.0]),
    "b": (jnp.arange(3), jnp.ones(3)),
    "c": ([1], [1]),
  }
  path = tmp_path / "new" / "curves.png"
  assert curves.draw_curves(series, path, xlabel="x (s)", ylabel="y", title="t") == path
  assert_picture(path)
  axes = drawn[0].axes[0]
  assert (axes.get_xlabel(), axes.get_ylabel()) == ("x (s)", "y")
  np.testing.assert_allclose(axes.lines[0].get_xydata(), [(0, 2), (1, 3)])
  assert legend_of(drawn[0]) == ["a", "b", "c"]


def test_many_curves_all_look_different(tmp_path, drawn):
  series = {str(k): ([0, 1], [0, k]) for k in range(12)}
  curves.draw_curves(series, tmp_path / "a.png", xlabel="", ylabel="")
  lines = drawn[0].axes[0].lines
  assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == 12


@pytest.mark.parametrize(
  "series",
  [{}, {"a": ([], [])}, {"a": ([0, 1], [0, math.nan])}, {"a": ([0, 1], [0])}],
)
def test_curves_rejects(tmp_path, series):
  with pytest.raises(ValueError):
    curves.draw_curves(series, tmp_path / "a.png", xlabel="x", ylabel="y")
  assert list(tmp_path.iterdir()) == []


# masks


def test_masks_titles_hold_the_moments(tmp_path, drawn):
  path = masks.draw_masks(SPECS, tmp_path / "masks.png", samples=2000)
  assert_picture(path)
  titles = [axes.get_title(loc="left") for axes in drawn[0].axes]
  for title, (label, spec) in zip(titles, SPECS.items(), strict=False):
    mean, variance = mask_moments(spec)
    assert title.startswith(label)
    assert f"mean {mean:.3f}, variance {variance:.4f}" in title
    assert f"noise strength {noise_strength(spec):.3f}" in title


@pytest.mark.parametrize("label", SPECS)
def test_masks_sum_to_one(tmp_path, drawn, label):
  spec = SPECS[label]
  masks.draw_masks({label: spec}, tmp_path / "masks.png", samples=20_000)
  sampled, exact = 0.0, 0.0
  for axes in drawn[0].axes:
    if axes.get_ylabel() == "density":
      heights, edges, _ = axes.patches[0].get_data()
      sampled += np.sum(heights * np.diff(edges))
      x, y = axes.lines[0].get_data()
      exact += np.trapezoid(y, x)
      middles = (edges[1:] + edges[:-1]) / 2
      # 50 bins of 20,000 samples: a bin is off by about 5 % where the density is high.
      assert np.abs(heights - np.interp(middles, x, y)).max() < 0.25 * y.max()
    else:
      sampled += sum(bar.get_height() for bar in axes.patches)
      exact += sum(axes.lines[0].get_ydata())
  assert sampled == pytest.approx(1, abs=1e-6)
  assert exact == pytest.approx(1, abs=5e-3)


def test_masks_annotate_the_probability_of_atoms(tmp_path, drawn):
  spec = SPECS["clipped"]
  masks.draw_masks({"clipped": spec}, tmp_path / "masks.png", samples=20_000)
  _, right = drawn[0].axes
  assert right.get_ylabel() == "probability"
  atoms = mask_atoms(spec)
  assert [text.get_text() for text in right.texts] == [f"{p:.3g}" for _, p in atoms]
  np.testing.assert_allclose(right.lines[0].get_xydata(), atoms)
  for bar, (_, p) in zip(right.patches, atoms, strict=True):
    assert bar.get_height() == pytest.approx(p, abs=0.015)


@pytest.mark.parametrize("samples", [1, 50])
def test_masks_of_one_value_or_few_samples(tmp_path, samples):
  specs = SPECS | {"no noise": MaskSpec("gaussian", mean=0.3, std=0.0)}
  assert_picture(masks.draw_masks(specs, tmp_path / "masks.png", samples=samples))


def test_masks_depend_on_the_seed_alone(tmp_path):
  draw = lambda name, seed: pixels(
    masks.draw_masks(SPECS, tmp_path / name, samples=100, seed=seed)
  )
  first = draw("a.png", 0)
  np.testing.assert_array_equal(first, draw("b.png", 0))
  assert np.abs(first - draw("c.png", 1)).max() > 0


@pytest.mark.parametrize("specs, samples", [({}, 10), (SPECS, 0)])
def test_masks_rejects(tmp_path, specs, samples):
  with pytest.raises(ValueError, match="nothing to draw"):
    masks.draw_masks(specs, tmp_path / "masks.png", samples=samples)


# filters


def test_filters_of_one_channel_share_a_scale_around_zero(tmp_path, drawn):
  weights = jnp.asarray(np.random.default_rng(0).normal(size=(6, 3, 4, 1)))
  path = filters.draw_filters(weights, tmp_path / "f.png", columns=3, count=5)
  assert_picture(path)
  axes, bar = drawn[0].axes
  (image,) = axes.images
  assert axes.get_title(loc="left") == "first 5 of 6 filters"
  assert bar.get_ylabel() == "weight"
  low, high = image.get_clim()
  assert -low == high == pytest.approx(float(np.abs(weights[:5]).max()))
  shown = np.ma.filled(image.get_array(), np.nan)
  assert shown.shape == (2 * 4 - 1, 3 * 5 - 1)
  np.testing.assert_allclose(shown[4:7, 5:9], weights[4, ..., 0])
  assert np.isnan(shown[:, 4]).all() and np.isnan(shown[4:, 10:]).all()


def test_filters_of_three_channels_are_stretched_one_by_one(tmp_path, drawn):
  weights = np.random.default_rng(0).normal(size=(2, 3, 3, 3)) * [[[[1]]], [[[50]]]]
  weights = np.concatenate([weights, np.full((1, 3, 3, 3), 7.0)])
  assert_picture(filters.draw_filters(weights, tmp_path / "f.png"))
  (axes,) = drawn[0].axes
  shown = axes.images[0].get_array()
  for k in (0, 1):
    tile = shown[:, 4 * k : 4 * k + 3]
    assert (tile.min(), tile.max()) == (0, 1)
    order = np.argsort(weights[k], axis=None)
    np.testing.assert_array_equal(np.argsort(tile, axis=None), order)
  np.testing.assert_array_equal(shown[:, 8:], 0.5)  # constant: no contrast
  assert axes.get_title(loc="left") == "3 filters"


def test_filters_of_zeros_and_of_one_weight(tmp_path):
  filters.draw_filters(np.zeros((1, 3, 3, 1)), tmp_path / "a.png")
  filters.draw_filters(np.ones((1, 1, 1, 1), np.float32), tmp_path / "b.png")
  assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
  "weights",
  [np.zeros((0, 3, 3, 1)), np.zeros((2, 3, 3, 2)), np.full((1, 2, 2, 1), np.nan)],
)
def test_filters_rejects(tmp_path, weights):
  with pytest.raises(ValueError):
    filters.draw_filters(weights, tmp_path / "f.png")


# correlation


def activations(units, seed=0, dead=()):
  h = np.random.default_rng(seed).normal(size=(50, units)).astype(np.float32)
  h[:, list(dead)] = 1.0
  return jnp.asarray(h)


def correlated(units, dead=()):
  return statistics.correlation_matrix(activations(units, dead=dead))


def test_correlation_shows_live_units_and_their_pairs(tmp_path, drawn):
  corr, live = correlated(12, dead=(3, 7))
  path = correlation.draw_correlation(corr, live, tmp_path / "c.png", title="layer 1")
  assert_picture(path)
  left, right, _ = drawn[0].axes
  keep = np.flatnonzero(live)
  expected = np.asarray(corr)[np.ix_(keep, keep)]
  np.testing.assert_allclose(left.images[0].get_array(), expected)
  assert left.images[0].get_clim() == (-1, 1)
  assert left.get_title(loc="left") == "10 live units"
  assert drawn[0].get_suptitle() == "layer 1 (2 dead units)"
  heights, edges, _ = right.patches[0].get_data()
  assert np.sum(heights * np.diff(edges)) == pytest.approx(1)
  assert edges[0] <= expected.min() and edges[-1] < 1  # the diagonal is left out
  pairs = expected[~np.eye(10, dtype=bool)]
  assert right.get_title(loc="left") == f"mean |corr| {np.abs(pairs).mean():.3f}"


def test_correlation_crops_wide_layers_and_says_so(tmp_path, drawn):
  corr, live = correlated(230)
  correlation.draw_correlation(corr, live, tmp_path / "c.png")
  left, right, _ = drawn[0].axes
  assert left.images[0].get_array().shape == (200, 200)
  assert left.get_title(loc="left") == "first 200 of 230 live units"
  pairs = np.asarray(corr)[np.triu_indices(230, 1)]
  assert right.get_title(loc="left") == f"mean |corr| {np.abs(pairs).mean():.3f}"


def test_correlations_compares_layers_of_different_widths(tmp_path, drawn):
  few, more = activations(6), activations(9, seed=1, dead=(0,))
  layers = {
    "few": statistics.correlation_matrix(few),
    "more": statistics.correlation_matrix(more),
  }
  path = correlation.draw_correlations(layers, tmp_path / "c.png", title="arms")
  assert_picture(path)
  one, two = drawn[0].axes[0].patches
  np.testing.assert_array_equal(one.get_data().edges, two.get_data().edges)
  for steps in (one, two):
    heights, edges, _ = steps.get_data()
    assert np.sum(heights * np.diff(edges)) == pytest.approx(1)
  means = [statistics.detector_dependence(h)["mean_abs_corr"] for h in (few, more)]
  expected = [f"{k}\nmean |corr| {m:.3f}" for k, m in zip(layers, means, strict=True)]
  assert legend_of(drawn[0]) == expected


def test_correlation_of_dead_units_may_be_nan(tmp_path):
  corr, live = correlated(4, dead=(2,))
  corr = np.where(np.outer(live, live), corr, np.nan)
  assert_picture(correlation.draw_correlation(corr, live, tmp_path / "c.png"))


@pytest.mark.parametrize("live", [[False] * 3, [True, False, False]])
def test_correlation_without_pairs_is_rejected(tmp_path, live):
  live = np.array(live)
  with pytest.raises(ValueError, match="live units"):
    correlation.draw_correlation(np.eye(3), live, tmp_path / "c.png")
  with pytest.raises(ValueError, match="one has"):
    correlation.draw_correlations({"one": (np.eye(3), live)}, tmp_path / "c.png")


def test_correlation_rejects_nan_and_nothing(tmp_path):
  live = np.ones(3, bool)
  with pytest.raises(ValueError, match="NaN"):
    correlation.draw_correlation(np.full((3, 3), np.nan), live, tmp_path / "c.png")
  with pytest.raises(ValueError, match="empty"):
    correlation.draw_correlations({}, tmp_path / "c.png")


# predictions


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
  assert_picture(path)
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


# comparison


ROWS = [
  comparison.Row("Gaussian - binary", -1.0, -1.5, -0.5, [-1.4, -1.0, -0.6], "shown"),
  ("uniform - binary", 0.1, -0.4, 0.6, (0.0, 0.2), "not shown"),
  ("none - binary", 2.0, 1.0, 3.0, [2.0], "contradicted"),
]


def test_comparison_draws_intervals_seeds_and_verdicts(tmp_path, drawn):
  xlabel = "difference in test error (percentage points)"
  path = comparison.draw_comparison(ROWS, tmp_path / "c.png", xlabel=xlabel, title="t")
  assert_picture(path)
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


# the process around the figures

LIGHT = """
import sys
from jaxvision.viz import comparison, curves, figures
heavy = {"matplotlib", "jax", "jaxtyping"} & set(sys.modules)
assert not heavy, heavy
"""

DRAW = """
import pathlib, sys
import matplotlib
import numpy as np
before = dict(matplotlib.rcParams)
from jaxvision.ops.masks import MaskSpec
from jaxvision.viz import comparison, correlation, curves, filters, masks, predictions
path = pathlib.Path(sys.argv[1])
curves.draw_curves({"a": ([0], [1])}, path, xlabel="x", ylabel="y")
masks.draw_masks({"a": MaskSpec("gaussian")}, path, samples=10)
filters.draw_filters(np.ones((1, 2, 2, 1)), path)
correlation.draw_correlation(np.eye(2), np.ones(2, bool), path)
predictions.draw_predictions(
  {"a": np.zeros((2, 2, 3))}, {"a": np.ones(1)}, ["x"], path)
comparison.draw_comparison([("a", 0.0, 0.0, 0.0, [0.0], "shown")], path, xlabel="x")
assert "matplotlib.pyplot" not in sys.modules
assert dict(matplotlib.rcParams) == before
"""


@pytest.mark.parametrize("program", [LIGHT, DRAW], ids=["light", "draw"])
def test_viz_imports_late_and_never_pyplot(tmp_path, program):
  command = [sys.executable, "-c", program, str(tmp_path / "a.png")]
  result = subprocess.run(command, capture_output=True, text=True, check=False)
  assert result.returncode == 0, result.stderr
