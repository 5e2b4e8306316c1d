"""THUMOS14's text files and JSON: read, written, and refused."""

import numpy as np
import pytest
from annotation_support import FOLDER, annotated, named, rows, save, sentence
from hypothesis import given
from hypothesis import strategies as st

from jaxvision.data.annotations import (
  Segments,
  read_class_list,
  read_thumos,
  write_thumos,
)


@pytest.fixture
def devkit(tmp_path):
  folder = tmp_path / "annotation"
  folder.mkdir()
  texts = {
    "Ambiguous_test": "video_test_2 1 2\nvideo_test_9 3.5 4\n",
    "Diving_test": "video_test_2  5.5 7.25\nvideo_test_1 0.0 1.0\n\n",
    "CliffDiving_test": "video_test_2  5.5 7.25\n",
    "Diving_val": "video_validation_1 9 3\n",
    "Shotput_val": "",
    "detclasslist": "26 Diving\n",
  }
  for name, text in texts.items():
    (folder / f"{name}.txt").write_text(text)
  return tmp_path


def test_thumos_folder(devkit):
  a = read_thumos(devkit, "test")
  assert rows(a) == [
    ("video_test_2", "CliffDiving", 5.5, 7.25, None),
    ("video_test_2", "Diving", 5.5, 7.25, None),
    ("video_test_1", "Diving", 0.0, 1.0, None),
  ]
  assert a.classes == ("CliffDiving", "Diving", "Shotput")  # of both subsets
  assert a.subsets == ("test", "test") and np.isnan(a.durations).all()
  a = read_thumos(devkit / "annotation", "val", invalid="repair")
  assert rows(a) == [("video_validation_1", "Diving", 3.0, 9.0, None)]
  assert "runs backwards" in a.notes[0] and a.subsets == ("validation",)
  assert len(read_thumos(devkit).segments.start) == 4


def test_thumos_ambiguous(devkit):
  truth = read_thumos(devkit, "test")
  a = read_thumos(devkit, "test", like=truth, ambiguous=True)
  assert rows(a) == [
    ("video_test_2", "Ambiguous", 1.0, 2.0, None),
    ("video_test_9", "Ambiguous", 3.5, 4.0, None),
  ]
  assert a.videos == (*truth.videos, "video_test_9") and a.notes == ()
  assert a.segments.video.tolist() == [truth.videos.index("video_test_2"), 2]


def test_thumos_json(tmp_path):
  video = {"duration": 30.0, "fps": 30.0}
  diving = {"label": "Diving", "segment": [1.0, 2.0], "label_id": 7}
  ambiguous = diving | {"label": "Ambiguous"}
  content = {
    "database": {
      "video_test_1": video | {"subset": "Test", "annotations": [diving, ambiguous]},
      "video_test_2": video | {"subset": "Test", "annotations": [ambiguous]},
      "video_validation_1": video | {"subset": "Validation", "annotations": [diving]},
    }
  }
  path = save(tmp_path / "t.json", content)
  a = read_thumos(path, "test")
  assert rows(a) == [("video_test_1", "Diving", 1.0, 2.0, None)]
  assert a.videos == ("video_test_1",) and a.durations.tolist() == [30.0]
  assert read_thumos(path, "val").videos == ("video_validation_1",)
  assert len(read_thumos(path, "test", ambiguous=True).segments.start) == 2


def test_thumos_detections(devkit):
  path = devkit / "run_test.txt"
  path.write_text("video_test_1 0.5 1.5 26 0.9\nvideo_test_2 5 7 22 1e-3\n")
  truth = read_thumos(devkit, "test")
  a = read_thumos(path, like=truth)
  assert rows(a) == [
    ("video_test_1", "Diving", 0.5, 1.5, 0.9),
    ("video_test_2", "CliffDiving", 5.0, 7.0, 0.001),
  ]
  assert a.videos == truth.videos and a.classes == truth.classes


THUMOS_LINES = {
  "Diving_test.txt": ["video 1", "video 1 x", "video 1 nan", "video 1 2 26 0.5 3"],
  "run.txt": ["video 1 2 27 0.5", "video 1 2 26 inf", "video 1 2 2.5 1"],
}


@pytest.mark.parametrize(
  ("name", "line"), [(k, line) for k, lines in THUMOS_LINES.items() for line in lines]
)
def test_thumos_malformed_lines(tmp_path, name, line):
  path = tmp_path / name
  good = "v 1 2 26 0.5" if name == "run.txt" else "v 1 2"
  path.write_text(f"{good}\n{line}\n")
  message = sentence(read_thumos, path)
  assert f"{name} line 2 is {line!r}" in message and "start end" in message


def test_thumos_mistakes(tmp_path):
  (tmp_path / "notes.txt").write_text("video 1 2\n")
  assert "<class>_val.txt" in sentence(read_thumos, tmp_path)
  assert "notes.txt" in sentence(read_thumos, tmp_path / "notes.txt")
  assert "no file" in sentence(read_thumos, tmp_path / "none.txt")
  path = tmp_path / "classes.txt"
  for text, expected in (("1 a\nb", "line 2"), ("1 a\n1 b", "repeats")):
    path.write_text(text)
    assert expected in sentence(read_class_list, path)


WORDS = st.lists(
  st.text("abcXYZ019-", min_size=1, max_size=8), min_size=1, max_size=4, unique=True
)


@FOLDER
@given(annotated(names=WORDS, scored=False))
def test_thumos_text_round_trip(tmp_path_factory, case):
  segments, videos, classes = case
  folder = tmp_path_factory.mktemp("devkit")
  write_thumos(folder, segments, videos, classes, subset="val")
  a = read_thumos(folder, "val")
  assert sorted(rows(a)) == sorted(named(segments, videos, classes))
  assert a.classes == tuple(sorted(classes)) and a.notes == ()


@FOLDER
@given(annotated(names=WORDS, scored=True))
def test_thumos_detections_round_trip(tmp_path, case):
  segments, videos, classes = case
  path, class_list = tmp_path / "run.txt", tmp_path / "classes.txt"
  class_list.write_text("".join(f"{3 * i} {c}\n" for i, c in enumerate(classes)))
  write_thumos(path, segments, videos, classes, class_list=class_list)
  assert rows(read_thumos(path, class_list=class_list)) == named(*case)


def test_thumos_written_json_and_refusals(tmp_path):
  zero = np.zeros(1, np.int64)
  segments = Segments(zero, zero, np.array([1.0]), np.array([2.0]), None)
  write_thumos(tmp_path / "a.json", segments, ["x"], ["Diving"], durations=[3.0])
  assert rows(read_thumos(tmp_path / "a.json", "test")) == [
    ("x", "Diving", 1.0, 2.0, None)
  ]
  write = lambda *a, **k: sentence(write_thumos, tmp_path / "d", *a, **k)
  assert "'a b'" in write(segments, ["a b"], ["Diving"])
  assert "'c/d'" in write(segments, ["x"], ["c/d"])
  assert "give val or test" in write(segments, ["x"], ["c"], subset="train")
  scored = segments._replace(score=np.array([0.5]))
  assert "'Chess' has no number" in write(scored, ["x"], ["Chess"])
