"""Figures of quantizers: what they show, and that they refuse nonsense."""

import numpy as np
import pictures
import pytest

from jaxvision.viz import quantization as viz

EDGES = np.linspace(-1.5, 1.5, 31)
X = np.linspace(-1, 1, 101)


@pytest.fixture
def drawn(monkeypatch):
  return pictures.recorded(monkeypatch)


def layer(name, **changes):
  rng = np.random.default_rng(0)
  counts = {when: np.histogram(rng.normal(0, 0.4, 500), EDGES)[0] for when in "ab"}
  own = {
    "edges": EDGES,
    "counts": counts,
    "thresholds": np.array([-0.05, 0.05]),
    "levels": np.array([-1.0, 0.0, 1.0]),
  }
  return viz.Weights(name, **{**own, **changes})


def test_weights_have_a_row_a_layer_and_a_column_a_time(tmp_path, drawn):
  path = viz.draw_weights([layer("one"), layer("$two")], tmp_path / "w.png")
  pictures.assert_picture(path)
  titles = [axes.get_title(loc="left") for axes in drawn[0].axes]
  assert titles == ["one, a", "one, b", "$two, a", "$two, b"]
  assert pictures.legend_of(drawn[0]) == ["weights", "threshold", "level"]
  axes = drawn[0].axes[0]
  shares, edges, _ = axes.patches[0].get_data()
  assert shares.sum() == pytest.approx(1.0)
  np.testing.assert_array_equal(edges, EDGES)
  *thresholds, levels = axes.lines
  assert [line.get_xdata()[0] for line in thresholds] == [-0.05, 0.05]
  np.testing.assert_array_equal(levels.get_xdata(), [-1, 0, 1])


def test_functions_end_in_the_steps(tmp_path, drawn):
  soft = {t: np.tanh(t * X) for t in (40.0, 1.0, 5.0)}
  curves = viz.Functions("conv2", X, soft, np.sign(X))
  pictures.assert_picture(viz.draw_functions(curves, tmp_path / "f.png"))
  assert pictures.legend_of(drawn[0]) == ["T = 1", "T = 5", "T = 40", "inference"]
  hard, *lines = drawn[0].axes[0].lines
  np.testing.assert_array_equal(hard.get_ydata(), np.sign(X))
  np.testing.assert_array_equal(lines[2].get_ydata(), soft[40.0])


def test_nothing_to_draw_is_refused(tmp_path):
  with pytest.raises(ValueError, match="no layer"):
    viz.draw_weights([], tmp_path / "w.png")
  with pytest.raises(ValueError, match="NaN or infinity"):
    broken = layer("one", counts={"a": np.full(30, np.nan)})
    viz.draw_weights([broken], tmp_path / "w.png")
  with pytest.raises(ValueError, match="NaN or infinity"):
    curves = viz.Functions("c", X, {1.0: X}, np.full(101, np.inf))
    viz.draw_functions(curves, tmp_path / "f.png")
  assert not list(tmp_path.iterdir())
