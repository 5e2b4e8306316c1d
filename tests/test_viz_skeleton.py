"""Pictures of skeletons: frames, colours, captions, and what cannot be drawn."""

import numpy as np
import pytest
from PIL import Image, ImageSequence

from jaxvision.data.generated_skeletons import generate_skeletons
from jaxvision.ops.graphs import NTU_PARENTS
from jaxvision.viz.skeleton import CAPTION, SIDE, draw_poses, draw_skeleton

CLIP = generate_skeletons(1, seed=0).skeleton[0, :, :6]
ORANGE = np.array([0xD5, 0x5E, 0x00])


def frames(path):
  with Image.open(path) as image:
    return [np.asarray(f.convert("RGB"), int) for f in ImageSequence.Iterator(image)]


def draw(tmp_path, clip=CLIP, **options):
  options = {"parents": NTU_PARENTS, **options}
  return frames(draw_skeleton(clip, tmp_path / "clip.gif", **options))


def orange(picture):
  """Places (row, column) of the full colour, without the key below the picture."""
  found = np.argwhere(np.abs(picture[: SIDE + CAPTION - 20] - ORANGE).sum(-1) < 30)
  return found


def test_a_frame_for_each_time_that_fits_and_moves(tmp_path):
  pictures = draw(tmp_path)
  assert len(pictures) == 6
  for picture in pictures:
    assert picture.shape == (SIDE + CAPTION, SIDE, 3)
    assert (picture[-30, [0, -1]] == 255).all()  # white where nothing is
    drawn = np.argwhere((picture < 250).any(-1)[:, :])
    assert len(drawn) > 300 and drawn[:, 1].max() < SIDE
  assert (pictures[0] != pictures[3]).any()
  assert not len(orange(pictures[0]))


def test_rate_and_repetition(tmp_path):
  draw(tmp_path, rate=10.0)
  with Image.open(tmp_path / "clip.gif") as image:
    assert image.info["duration"] == 100 and image.info["loop"] == 0


def test_the_joint_that_matters_has_the_colour(tmp_path):
  importance = np.zeros((1, 6, 25))
  importance[0, :3, 11], importance[0, :, 7] = 2.0, -5.0
  pictures = draw(tmp_path, importance=importance)
  for picture in pictures[:3]:
    places = orange(picture)
    assert 30 < len(places) < 250 and np.ptp(places, 0).max() < 20
  assert not len(orange(pictures[4]))
  # the right hand is left of the middle only in a mirror
  assert orange(pictures[0])[:, 1].mean() > SIDE / 2


def test_axes_choose_the_view(tmp_path):
  importance = np.zeros((1, 6, 25))
  importance[0, :, 3] = 1  # the head
  upright = draw(tmp_path, importance=importance)[0]
  turned = draw(tmp_path, CLIP[..., [0, 2, 1]], importance=importance, axes=(0, 2))[0]
  np.testing.assert_array_equal(upright, turned)
  assert orange(upright)[:, 0].mean() < SIDE / 3
  side = draw(tmp_path, importance=importance, axes=(1, 2))[0]
  assert orange(side)[:, 1].mean() > 2 * SIDE / 3


def test_absent_persons_are_not_drawn(tmp_path):
  absent = np.concatenate((CLIP, np.zeros_like(CLIP)))
  for a, b in zip(draw(tmp_path), draw(tmp_path, absent), strict=True):
    np.testing.assert_array_equal(a, b)
  two = np.concatenate((CLIP, CLIP + np.float32(1)))
  assert (draw(tmp_path, two)[0] != draw(tmp_path)[0]).any()


def test_a_joint_at_the_origin_is_drawn_unless_it_is_not_there(tmp_path):
  centred = CLIP - CLIP[:, :, 1:2]
  there = np.ones(CLIP.shape[:3], bool)
  with_spine = draw(tmp_path, centred)[0]
  np.testing.assert_array_equal(draw(tmp_path, centred, there=there)[0], with_spine)
  there[:, :, 1] = False
  without = draw(tmp_path, centred, there=there)[0]
  assert (with_spine != without).any()


def test_caption(tmp_path):
  plain, told = draw(tmp_path)[0], draw(tmp_path, caption="drink $5 water: 0.93")[0]
  assert (plain[:CAPTION] == 255).all() and (told[:CAPTION] < 128).any()
  np.testing.assert_array_equal(plain[CAPTION:], told[CAPTION:])


def test_poses_side_by_side(tmp_path):
  path = draw_poses(CLIP, tmp_path / "poses.png", parents=NTU_PARENTS, count=3)
  picture = frames(path)[0]
  assert picture.shape == (SIDE + CAPTION, 3 * SIDE, 3)
  assert all((part < 250).any() for part in np.split(picture, 3, 1))
  path = draw_poses(CLIP[:, :1], tmp_path / "one.png", parents=NTU_PARENTS)
  assert frames(path)[0].shape[1] == SIDE


@pytest.mark.parametrize(
  "clip, options, words",
  [
    (np.zeros((1, 2, 25, 3)), {}, "shows nobody"),
    (np.full((1, 2, 25, 3), np.nan), {}, "NaN or infinity"),
    (np.zeros((1, 0, 25, 3)), {}, "empty"),
    (CLIP, {"parents": range(18)}, "25 joints, but 18"),
    (CLIP, {"importance": np.ones((1, 5, 25))}, "does not fit|typechecking"),
    (CLIP, {"importance": np.full((1, 6, 25), np.inf)}, "NaN or infinity"),
  ],
)
def test_what_cannot_be_drawn(tmp_path, clip, options, words):
  with pytest.raises((ValueError, TypeError), match=words):
    draw(tmp_path, clip, **options)
  assert not (tmp_path / "clip.gif").exists()
