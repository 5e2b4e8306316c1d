"""Figures of adversarial examples and of accuracy by radius."""

import numpy as np
import pictures
import pytest

from jaxvision.viz import adversarial


@pytest.fixture
def drawn(monkeypatch):
  return pictures.recorded(monkeypatch)


def examples(n=4, channels=1, seed=0):
  rng = np.random.default_rng(seed)
  clean = rng.uniform(0.2, 0.8, (n, 6, 5, channels)).astype(np.float32)
  change = 0.1 * rng.choice([-1, 1], clean.shape).astype(np.float32)
  before, after = np.arange(n), (np.arange(n) + 1) % n
  return clean, clean + change, before, after


@pytest.mark.parametrize("channels", [1, 3])
def test_rows_are_clean_change_and_sum(tmp_path, drawn, channels):
  clean, attacked, before, after = examples(channels=channels)
  path = adversarial.draw_adversarial(
    clean, attacked, before, after, tmp_path / "a.png", classes=["$a", "b", "c", "d"]
  )
  pictures.assert_picture(path)
  panels = np.reshape(drawn[0].axes, (3, 4))
  shown = lambda row, k: np.asarray(panels[row, k].images[0].get_array())
  for k in range(4):
    image = clean[k] if channels == 3 else clean[k, ..., 0]
    np.testing.assert_allclose(np.squeeze(shown(0, k)), np.squeeze(image), atol=1e-6)
    change = np.squeeze(shown(1, k))
    np.testing.assert_allclose(np.abs(change - 0.5), 0.5, atol=1e-5)
    np.testing.assert_array_equal(change > 0.5, np.squeeze(attacked[k] > clean[k]))
  titles = [[panel.get_title(loc="left") for panel in row] for row in panels]
  assert titles == [["$a", "b", "c", "d"], [""] * 4, ["b", "c", "d", "$a"]]
  labels = [row[0].get_ylabel() for row in panels]
  assert labels == ["clean", "± 25.5 / 255", "adversarial"]


def test_no_change_is_grey_and_the_title_counts(tmp_path, drawn):
  clean, _, before, _ = examples()
  adversarial.draw_adversarial(
    clean, clean, before, before, tmp_path / "a.png", title="none", count=2
  )
  panels = np.reshape(drawn[0].axes, (3, 2))
  assert (np.asarray(panels[1, 0].images[0].get_array()) == 0.5).all()
  assert panels[0, 1].get_title(loc="left") == "1"
  assert drawn[0].get_suptitle() == "none: first 2 of 4"


def test_robustness_is_drawn_over_eps_of_255(tmp_path, drawn):
  eps = np.array([0, 4, 8, 16]) / 255
  curves = {"plain": [0.9, 0.2, 0.0, 0.0], "Madry": [[0.8, 0.6, 0.4, 0.1]] * 2}
  path = adversarial.draw_robustness(curves, eps, tmp_path / "r.png", trained=8 / 255)
  pictures.assert_picture(path)
  axes = drawn[0].axes[0]
  assert axes.get_xlabel() == "eps (of 255)"
  x, y = axes.lines[0].get_data()
  np.testing.assert_allclose(x, [0, 4, 8, 16])
  np.testing.assert_allclose(y, [90, 20, 0, 0])
  assert pictures.legend_of(drawn[0]) == ["in training", "plain", "Madry"]


@pytest.mark.parametrize(
  ("change", "named"),
  [
    (lambda c, a, b, n: (c, a[:2], b, n), "adversarial"),
    (lambda c, a, b, n: (c[:2], a[:2], b, n), "2 images, 4 labels"),
    (lambda c, a, b, n: (c, a + 1, b, n), "adversarial has values outside"),
    (lambda c, a, b, n: (c[..., [0, 0]], a[..., [0, 0]], b, n), "2 channels"),
    (lambda c, a, b, n: (c, a, b, n + 5), "a label 8 and 4 names"),
  ],
)
def test_mistakes_are_named(tmp_path, change, named):
  clean, attacked, before, after = change(*examples())
  checked = adversarial.draw_adversarial
  with pytest.raises(Exception, match=named):
    checked(clean, attacked, before, after, tmp_path / "a.png", classes=list("abcd"))
