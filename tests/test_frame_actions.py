"""Windows of frames: what happens in them, what is seen of it, and who is in them."""

import numpy as np
import pytest
from annotation_support import sentence
from ml_collections import ConfigDict

from jaxvision.data import frame_actions, frame_pixels, temporal
from jaxvision.data.frame_actions import Looks, lay_out, render, show

LABEL = (np.arange(60) % 6).astype(np.int32)
CLASSES = (1, 4)
COUNT = 60


def garments(first=0):
  """Squares of 12 pixels; the grey value tells which image it is."""
  images = np.zeros((60, 28, 28), np.uint8)
  images[:, 8:20, 8:20] = (100 + first + np.arange(60))[:, None, None]
  return images


def laid_out(seed=(3, 0), count=COUNT, length=128):
  return lay_out(count, seed=seed, label=LABEL, classes=CLASSES, length=length)


ACTIONS = laid_out()


def config(**fields):
  frames = {
    "images": "digits", "train": 3, "val": 2, "test": 2, "width": 5,
    "backbone_steps": 2, **fields.pop("frames", {}),
  }  # fmt: skip
  result = ConfigDict(temporal.DEFAULTS)
  result.update({"name": "frames", "frames": frames, "length": 32, **fields})
  return result


def still(count, side=1):
  one = np.ones(count)
  return Looks(np.full(count, side), one.astype(int), 0.7 * one, 0 * one)


def seen(actions, i):
  """How much of a window's frames is garment: there is no noise, and no clutter."""
  return (render(actions, garments(), i, noise=0.0)[..., 0] > 0.35).sum((1, 2))


def test_the_layout_is_a_function_of_the_seed():
  again, other = laid_out(), laid_out(seed=(4, 0))
  for name in ("start", "steps", "label", "garment"):
    np.testing.assert_array_equal(getattr(again, name), getattr(ACTIONS, name))
  assert (other.start != ACTIONS.start).any()


def test_nothing_overlaps():
  for segments, steps in zip(ACTIONS.segments, ACTIONS.steps, strict=True):
    ends = np.array(sorted(segments[steps > 0].tolist())).ravel()
    assert ends[0] >= 0 and ends[-1] <= 128
    assert (ends[1::2] > ends[::2]).all()
    assert (ends[2::2] - ends[1:-1:2] >= 2).all()


def test_actions_show_their_class_and_distractors_any():
  shown = LABEL[ACTIONS.garment]
  np.testing.assert_array_equal(shown[:, :3], np.array(CLASSES)[ACTIONS.label[:, :3]])
  assert set(shown[:, 3:].ravel()) == set(range(6))
  assert len(set(ACTIONS.garment[:, :3].ravel())) > 15  # of 20 images


def test_a_garment_enters_turns_and_leaves():
  phase = np.array([0.0, 0.15, 0.3, 0.5, 0.7, 0.85, 1.0])
  square = garments()[:7]
  frames = show(square, still(7), phase)
  mass = frames.sum((1, 2)) / square.sum((1, 2)) * 255 / 0.7**2
  np.testing.assert_allclose(mass[[0, -1]], 0, atol=0.02)
  np.testing.assert_allclose(mass[2:5], 1, atol=0.1)
  middle = (frames * np.arange(28)).sum((1, 2)) / np.maximum(frames.sum((1, 2)), 1e-9)
  assert middle[1] < 7 and middle[5] > 20  # it came from the left
  np.testing.assert_allclose(middle[2:5], 13.5, atol=0.1)
  np.testing.assert_allclose(frames[2], frames[2].T, atol=1e-5)  # upright square
  assert np.abs(frames[3] - frames[2]).max() > 0.1  # by 45 degrees


def test_it_may_come_from_the_right():
  phase = np.array([0.15, 0.85])
  left, right = (show(garments()[:2], still(2, side), phase) for side in (1, -1))
  np.testing.assert_allclose(left, right[..., ::-1], atol=1e-5)


def test_place_agrees_with_plain_indexing():
  image = np.random.default_rng(0).integers(0, 256, (1, 28, 28), np.uint8)
  put = lambda **moved: frame_pixels.place(
    image,
    **{
      "right": np.zeros(1), "down": np.zeros(1), "angle": np.zeros(1),
      "scale": np.ones(1), **{k: np.full(1, v) for k, v in moved.items()},
    },
  )[0]  # fmt: skip
  original = image[0] / 255
  np.testing.assert_allclose(put(), original, atol=1e-3)
  np.testing.assert_allclose(put(right=3.0)[:, 3:], original[:, :-3], atol=1e-3)
  assert not put(right=3.0)[:, :3].any()
  np.testing.assert_allclose(put(down=2.0)[2:], original[:-2], atol=1e-3)
  clockwise = np.rot90(original, -1)
  np.testing.assert_allclose(put(angle=np.pi / 2), clockwise, atol=1e-3)


def test_what_is_seen_is_when_it_happens():
  for i in range(20):
    mass = seen(ACTIONS, i)
    inside = np.zeros(128, bool)
    for start, end in ACTIONS.segments[i]:
      inside[start:end] = True
    assert not mass[~inside].any()
    for slot, (start, end) in enumerate(ACTIONS.segments[i]):
      if end - start < 10:
        continue
      part = mass[start:end]
      if slot < 3:  # grows from and shrinks to little
        assert max(part[0], part[-1]) < 0.5 * part.max()
        assert part[len(part) // 2] > 0.8 * part.max()
      else:  # is there as a whole from the first step to the last
        assert part.min() > 0.7 * part.max()


def test_pixels_are_a_function_of_seed_and_number():
  frames = render(ACTIONS, garments(), 5, noise=0.1)
  assert frames.shape == (128, 28, 28, 1) and frames.dtype == np.float32
  assert frames.min() >= 0 and frames.max() <= 1
  np.testing.assert_array_equal(frames, render(ACTIONS, garments(), 5, noise=0.1))
  part = ACTIONS.first(6)
  assert len(part.start) == 6 == len(part.looks.side)
  np.testing.assert_array_equal(frames, render(part, garments(), 5, noise=0.1))
  assert (frames != render(ACTIONS, garments(), 4, noise=0.1)).any()


def test_clutter_changes_slowly():
  clutter = frame_pixels.clutter(np.random.default_rng(0), 4, 50)
  assert clutter.shape == (4, 50, 28, 28)
  assert clutter.min() >= 0 and clutter.max() <= 0.3 + 1e-6
  assert np.abs(np.diff(clutter, axis=1)).max() < 0.02
  assert np.abs(clutter[:, 0] - clutter[:, -1]).max() > 0.1
  assert clutter[0].std() > 0.02


def test_half_width_is_what_is_seen():
  images = garments()[:2]
  images[1, :, 2] = 255
  np.testing.assert_allclose(frame_pixels.half_width(images), [6, 12])
  faint = np.full((1, 28, 28), frame_pixels.FAINT, np.uint8)
  assert frame_pixels.half_width(faint)[0] == 0


@pytest.fixture(scope="module")
def loaded():
  return temporal.load_temporal(config())


def test_the_data_set_has_features_of_all_splits(loaded):
  assert loaded.name == "frames of digits"
  assert "% of held-out frames" in loaded.note
  assert loaded.classes == ("1", "3", "5", "8", "9")
  assert {k: len(v) for k, v in loaded.splits.items()} == {
    "train": 3, "val": 2, "test": 2,
  }  # fmt: skip
  for split in loaded.splits.values():
    assert split.features.dtype == np.float32 and np.isfinite(split.features).all()
    assert split.features.std() > 0.1
    seconds = split.windows.to_seconds(split.segments)[split.valid]
    np.testing.assert_allclose(seconds[:, 1], split.truth.end, atol=1e-5)


def test_the_plan_has_the_shapes_of_the_data(loaded):
  plan = temporal.abstract_temporal(config())
  assert (plan.name, plan.classes) == (loaded.name, loaded.classes)
  for name, split in plan.splits.items():
    assert split.spec == loaded.splits[name].spec
    assert len(split) == len(loaded.splits[name])
  assert plan.frames is None


def test_test_windows_are_the_same_for_all_seeds(loaded):
  other = temporal.load_temporal(config(seed=5, limit=2))
  same = lambda k: np.array_equal(
    loaded.splits[k].features[:2], other.splits[k].features
  )
  assert same("test") and not same("train") and not same("val")
  assert len(other.splits["train"]) == 2
  frames = loaded.frames(1)
  assert frames.shape == (32, 28, 28, 1)
  np.testing.assert_array_equal(frames, other.frames(1))


def test_each_split_shows_its_own_images(monkeypatch):
  from jaxvision.data import frame_dataset, images

  rendered = {}

  def record(actions, shown, i, *, noise):
    rendered.setdefault(actions.seed[1], []).append(shown)
    return np.zeros((32, 28, 28, 1), np.float32)

  monkeypatch.setattr(frame_dataset, "render", record)
  temporal.load_temporal(config(frames={"backbone_steps": 1}))
  source = images.load_images(frame_dataset._image_config(config())).splits
  for stream, split in enumerate(("train", "val", "test")):
    for shown in rendered[stream]:
      np.testing.assert_array_equal(shown, source[split].image[..., 0])
  key = lambda split: {x.tobytes() for x in source[split].image}
  assert not key("test") & key("train") and not key("val") & key("train")


@pytest.mark.parametrize(
  "fields, words",
  [
    ({"length": 31}, "data.length=31 is too short"),
    ({"frames": {"train": 0}}, "frames.train=0"),
    ({"frames": {"backbone_steps": 0}}, "frames.backbone_steps=0"),
    ({"frames": {"width": -1}}, "frames.width=-1"),
    ({"frames": {"noise": -0.1}}, "frames.noise=-0.1"),
    ({"frames": {"classes": ()}}, "one class or more"),
    ({"frames": {"classes": (1, 1)}}, "each once"),
    ({"frames": {"classes": (1, 10)}}, "has 10, but digits has classes 0 to 9"),
    ({"frames": {"images": " "}}, "frames.images is empty"),
  ],
)
def test_mistakes_are_named(fields, words):
  for read in (temporal.load_temporal, temporal.abstract_temporal):
    message = sentence(read, config(**fields))
    assert words in message and "--config.data." in message


def test_expected_files_are_those_of_the_images():
  (line,) = temporal.expected_files(config())
  assert line.startswith("digits: no files")


def test_the_looks_vary():
  looks = frame_actions.draw_looks(np.random.default_rng(0), (200,))
  assert set(looks.side) == {-1, 1} == set(looks.turn)
  assert 0.6 <= looks.scale.min() < 0.65 and 0.8 < looks.scale.max() <= 0.85
