"""Figures: files appear whole, and nobody's pyplot is touched."""

import math
import subprocess
import sys

import pytest

from jaxvision.viz import figures


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
# Reading "backend" would import pyplot.
settings = lambda: {k: matplotlib.rcParams[k] for k in NAMES}
NAMES = set(matplotlib.rcParams) - {"backend"}
before = settings()
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
assert settings() == before
"""


@pytest.mark.parametrize("program", [LIGHT, DRAW], ids=["light", "draw"])
def test_viz_imports_late_and_never_pyplot(tmp_path, program):
  command = [sys.executable, "-c", program, str(tmp_path / "a.png")]
  result = subprocess.run(command, capture_output=True, text=True, check=False)
  assert result.returncode == 0, result.stderr
