"""Figures of masks: what is sampled agrees with the closed forms."""

import numpy as np
import pictures
import pytest

from jaxvision.ops.masks import MaskSpec, mask_atoms, mask_moments, noise_strength
from jaxvision.viz import masks

SPECS = {
  "binary": MaskSpec("bernoulli", rate=0.3),
  "uniform": MaskSpec("uniform", low=0.5, high=1.5),
  "clipped": MaskSpec("gaussian", mean=0.7, std=0.5),
  "normal": MaskSpec("gaussian", std=0.5, clip=False),
}


@pytest.fixture
def drawn(monkeypatch):
  return pictures.recorded(monkeypatch)


def test_masks_titles_hold_the_moments(tmp_path, drawn):
  path = masks.draw_masks(SPECS, tmp_path / "masks.png", samples=2000)
  pictures.assert_picture(path)
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
  pictures.assert_picture(
    masks.draw_masks(specs, tmp_path / "masks.png", samples=samples)
  )


def test_masks_depend_on_the_seed_alone(tmp_path):
  draw = lambda name, seed: pictures.pixels(
    masks.draw_masks(SPECS, tmp_path / name, samples=100, seed=seed)
  )
  first = draw("a.png", 0)
  np.testing.assert_array_equal(first, draw("b.png", 0))
  assert np.abs(first - draw("c.png", 1)).max() > 0


@pytest.mark.parametrize("specs, samples", [({}, 10), (SPECS, 0)])
def test_masks_rejects(tmp_path, specs, samples):
  with pytest.raises(ValueError, match="nothing to draw"):
    masks.draw_masks(specs, tmp_path / "masks.png", samples=samples)
