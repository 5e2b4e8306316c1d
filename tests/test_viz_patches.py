"""Figures of patch reordering."""

import numpy as np
import pictures
import pytest
from patch_support import maps, reorder

from jaxvision.viz import patches


def test_both_rows_show_the_maps_on_one_scale(tmp_path, monkeypatch):
  drawn = pictures.recorded(monkeypatch)
  x = maps((1, 13, 12, 5))
  y = reorder(x, levels=2, remainder="center")
  path = patches.draw_reordering(
    x[0], y[0], tmp_path / "p.png", levels=2, corner=(0, 0), count=3
  )
  pictures.assert_picture(path)
  axes = np.reshape(drawn[0].axes, (2, 3))
  for row, values in zip(axes, (x, y), strict=True):
    for channel, panel in enumerate(row):
      (image,) = panel.images
      np.testing.assert_allclose(image.get_array(), values[0, ..., channel])
      limit = float(np.abs(x[..., channel]).max())
      assert image.get_clim() == pytest.approx((-limit, limit))
      finest = panel.collections[0].get_segments()
      assert [line[0, 1] for line in finest] == [-0.5, 2.5, 5.5, 8.5, 11.5]
  assert drawn[0].get_suptitle() == "first 3 of 5 channels"


def test_constant_maps(tmp_path):
  pictures.assert_picture(
    patches.draw_reordering(
      np.zeros((4, 4, 1)), np.zeros((4, 4, 1)), tmp_path / "p.png"
    )
  )


@pytest.mark.parametrize(
  "before, after",
  [
    (np.zeros((4, 4, 2)), np.zeros((4, 4, 1))),
    (np.zeros((4, 4, 0)), np.zeros((4, 4, 0))),
    (np.full((4, 4, 1), np.nan), np.zeros((4, 4, 1))),
  ],
)
def test_bad_maps_are_refused(tmp_path, before, after):
  with pytest.raises(ValueError):
    patches.draw_reordering(before, after, tmp_path / "p.png")
