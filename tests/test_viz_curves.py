"""Curves show every point of `metrics.jsonl`, and survive a killed run's file."""

import json
import math

import jax.numpy as jnp
import numpy as np
import pictures
import pytest

from jaxvision.errors import UserError
from jaxvision.viz import curves


@pytest.fixture
def drawn(monkeypatch):
  return pictures.recorded(monkeypatch)


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


def test_training_draws_a_figure_a_stage_and_a_panel_a_metric(tmp_path, drawn):
  rows = metric_rows("teacher") + metric_rows("student")
  path = write_rows(tmp_path / "metrics.jsonl", rows)
  paths = curves.draw_training(path, tmp_path / "figures")
  assert [p.name for p in paths] == ["training_teacher.png", "training_student.png"]
  pictures.assert_picture(paths[0])
  panels = {axes.get_ylabel(): axes for axes in drawn[1].axes}
  assert list(panels) == ["loss", "grad_norm", "accuracy"]
  train, val = panels["loss"].lines
  np.testing.assert_allclose(train.get_xydata(), [(1, 1), (2, 1 / 2), (3, 1 / 3)])
  np.testing.assert_allclose(val.get_xydata(), [(3, 0.5)])
  assert val.get_marker() == "o"  # a line of one point would be invisible
  np.testing.assert_allclose(panels["grad_norm"].lines[0].get_xdata(), [2, 3])
  assert panels["accuracy"].lines[0].get_color() == val.get_color()
  assert {axes.get_xlabel() for axes in drawn[1].axes} == {"step"}
  assert pictures.legend_of(drawn[1]) == ["train", "val"]


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
  pictures.assert_picture(path)
  axes = drawn[0].axes[0]
  assert (axes.get_xlabel(), axes.get_ylabel()) == ("x (s)", "y")
  np.testing.assert_allclose(axes.lines[0].get_xydata(), [(0, 2), (1, 3)])
  assert pictures.legend_of(drawn[0]) == ["a", "b", "c"]


def test_many_curves_all_look_different(tmp_path, drawn):
  series = {f"$\\frac{k}$": ([0, 1], [0, k]) for k in range(12)}  # no formulas
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
