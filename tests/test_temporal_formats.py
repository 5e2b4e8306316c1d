"""Formats that need a word of the user: objects, keys, layouts that nothing tells."""

import pickle

import numpy as np
import pytest
from annotation_support import sentence
from feature_support import findings, instead, objects, pkl, pt, saved
from temporal_support import DATABASE, config, ramp, write

from jaxvision.data import temporal

FORMATS = {"pkl": pkl, "pt": pt, "npy": lambda path, x: np.save(path, objects(x))}


@pytest.mark.parametrize("suffix", FORMATS)
def test_objects_are_read_if_asked_for(tmp_path, capsys, suffix):
  files = write(tmp_path)
  expected = temporal.load_temporal(config(**files)).splits["train"].features
  instead(suffix, lambda path, _: FORMATS[suffix](path, ramp(20, 1)))(tmp_path)
  for size in (2**20, 0):  # in memory, and read when asked for
    fields = config(**files, allow_pickle=suffix != "pt", resident_bytes=size)
    features = temporal.load_temporal(fields).splits["train"].features
    np.testing.assert_array_equal(features[np.arange(2)], expected)
  assert not findings(files, capsys, *["--allow_pickle"] * (suffix != "pt"))


def test_damaged_pickles_and_missing_torch(tmp_path, monkeypatch):
  files = write(tmp_path)
  path = tmp_path / "features" / "b.pkl"
  for content in (b"", b"none", pickle.dumps(ramp(20))[:-9], b"cno_module\nX\n."):
    instead("pkl", lambda path, _, content=content: path.write_bytes(content))(tmp_path)
    message = sentence(temporal.load_temporal, config(**files, allow_pickle=True))
    assert f"{path} is damaged or cut off" in message
    saved(ramp(20))(tmp_path)
  path.unlink()
  instead("pt", lambda path, _: path.write_bytes(b"x"))(tmp_path)
  monkeypatch.setitem(__import__("sys").modules, "torch", None)
  message = sentence(temporal.load_temporal, config(**files))
  assert "b.pt needs torch" in message and "pip install" in message


KEYS = {
  "v_{}/c3d_features": ("", "v_VIDEO/c3d_features", "VIDEO/c3d_features"),
  "c3d/{}": ("c3d/VIDEO",),
  "{}_rgb": ("VIDEO_rgb",),
}


@pytest.mark.parametrize(
  "form, key", [(form, key) for form, keys in KEYS.items() for key in keys]
)
def test_keys_of_one_file(tmp_path, capsys, form, key):
  h5py = pytest.importorskip("h5py")
  files = write(tmp_path)
  expected = temporal.load_temporal(config(**files)).splits
  path = tmp_path / "all.h5"
  with h5py.File(path, "w") as file:
    for row, name in enumerate(DATABASE):
      file[form.format(name)] = ramp(20, row)
  files["features"] = str(path)
  splits = temporal.load_temporal(config(**files, key=key)).splits
  for name in ("train", "val"):
    np.testing.assert_array_equal(splits[name].features, expected[name].features)
  assert not findings(files, capsys, f"--key={key}")
  for wrong, words in (
    ("c3d_features", "does not tell the videos"),
    ("VIDEO/flow", "has no key like 'VIDEO/flow'"),
  ):
    message = sentence(temporal.load_temporal, config(**files, key=wrong))
    assert words in message and str(path) in message


def test_several_arrays_a_video_need_a_key(tmp_path, capsys):
  files = write(tmp_path)
  one = tmp_path / "one"
  one.mkdir()
  for row, name in enumerate(DATABASE):
    np.savez(one / f"{name}.npz", rgb=ramp(20, row), flow=ramp(20))
  arrays = {f"{name}/{kind}": ramp(20) for name in DATABASE for kind in ("x", "y")}
  np.savez(tmp_path / "all.npz", **arrays)
  expected = temporal.load_temporal(config(**files)).splits["train"].features
  files["features"] = str(one)
  assert "holds 2 arrays, rgb, flow" in sentence(
    temporal.load_temporal, config(**files)
  )
  data = temporal.load_temporal(config(**files, key="rgb"))
  np.testing.assert_array_equal(data.splits["train"].features, expected)
  assert "no array 'depth'" in sentence(
    temporal.load_temporal, config(**files, key="depth")
  )
  files["features"] = str(tmp_path / "all.npz")
  assert "'a' are in both" in sentence(temporal.load_temporal, config(**files))
  assert any("'a' has features twice" in line for line in findings(files, capsys))
  assert not findings(files, capsys, "--key=VIDEO/x")[4:]  # the others' keys


# shapes of the three files, or of one alone: the layout and width that are taken
SHAPES = {
  "widths agree": ([(20, 3), (21, 3), (22, 3)], "td", 3),
  "turned": ([(3, 20), (3, 21), (3, 22)], "dt", 3),
  "all alike": ([(20, 3)] * 3, "td", 3),  # nothing tells: rows are steps, as mostly
  "square": ([(3, 3)] * 3, "td", 3),
  "one square": ([(3, 20), (3, 3), (3, 22)], "dt", 3),
}


@pytest.mark.parametrize("case", SHAPES)
def test_layouts_that_several_readings_fit(tmp_path, case):
  shapes, layout, width = SHAPES[case]
  files = write(tmp_path)
  for name, shape in zip("abc", shapes, strict=True):
    saved(np.random.default_rng(0).normal(size=shape), f"{name}.npy")(tmp_path)
  split = temporal.load_temporal(config(**files, resident_bytes=0)).splits["train"]
  assert (split.features.layout, split.features.size[1]) == (layout, width)
  named = config(**files, layout=layout, width=width, resident_bytes=0)
  batch = temporal.load_temporal(named).splits["train"][np.arange(2)]
  np.testing.assert_array_equal(batch["features"], split[np.arange(2)]["features"])


def test_shapes_that_agree_on_nothing_are_refused(tmp_path, capsys):
  files = write(tmp_path)
  for name, shape in zip("abc", [(20, 3), (21, 4), (22, 5)], strict=True):
    saved(np.ones(shape), f"{name}.npy")(tmp_path)
  message = sentence(temporal.load_temporal, config(**files))
  assert "b.npy has features of shape (21, 4)" in message
  assert "--config.data.layout" in message
  assert len(findings(files, capsys)) >= 2
