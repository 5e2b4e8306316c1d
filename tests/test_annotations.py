"""Files in the forms of ActivityNet: read, written, and refused."""

import gzip
import json

import numpy as np
import pytest
from annotation_support import FOLDER, annotated, named, rows, save, sentence
from hypothesis import given

from jaxvision.data.annotations import (
  Segments,
  read_activitynet,
  write_activitynet,
  write_thumos,
)

OFFICIAL = {
  "version": "VERSION 1.3",
  "taxonomy": [{"nodeId": 1, "nodeName": "Root", "parentId": None}],
  "database": {
    "QOlSCBRmfWY": {
      "duration": 82.73, "subset": "training", "resolution": "320x240",
      "annotations": [{"segment": [6.2, 77.7], "label": "Sumo"}],
    },
    "v_GHCYKzyZ8": {  # an id that begins with what is the prefix elsewhere
      "duration": 61, "subset": "validation",
      "annotations": [
        {"segment": [43, 45.5], "label": "Diving"},
        {"segment": [1, 2], "label": "Sumo"},
      ],
    },
    "test_____00": {"duration": 10.0, "subset": "testing", "annotations": []},
  },
}  # fmt: skip
SIMPLE = {
  "v_QOlSCBRmfWY": {
    "duration_second": 80.0, "duration_frame": 2000, "feature_frame": 1600,
    "annotations": [{"segment": [6.2, 77.7], "label": "Sumo"}],
  },
  "v_v_GHCYKzyZ8": {
    "duration_second": 61.0, "duration_frame": 1830, "feature_frame": 1824,
    "annotations": [{"segment": [43, 45.5], "label": "Diving"}],
  },
}  # fmt: skip


def database(*segments, duration=90.0, label="Jump"):
  annotations = [{"segment": list(s), "label": label} for s in segments]
  return {"database": {"x": {"duration": duration, "annotations": annotations}}}


def test_official_form(tmp_path):
  a = read_activitynet(save(tmp_path / "a.json", OFFICIAL))
  assert a.videos == ("QOlSCBRmfWY", "v_GHCYKzyZ8", "test_____00")
  assert a.classes == ("Diving", "Sumo")
  assert a.subsets == ("training", "validation", "testing")
  assert a.durations.tolist() == a.covered.tolist() == [82.73, 61.0, 10.0]
  assert a.segments.video.tolist() == [0, 1, 1]
  assert a.segments.label.tolist() == [1, 0, 1]
  assert a.segments.start.tolist() == [6.2, 43.0, 1.0]
  assert a.segments.end.dtype == np.float64 and a.segments.score is None
  assert a.notes == ()


@pytest.mark.parametrize("subset", ["validation", "Validation", "val"])
def test_subset_keeps_the_classes_of_the_whole_file(tmp_path, subset):
  path = save(tmp_path / "a.json", OFFICIAL)
  a = read_activitynet(path, subset)
  assert a.videos == ("v_GHCYKzyZ8",) and a.classes == ("Diving", "Sumo")
  a = read_activitynet(path, "training")
  assert a.segments.label.tolist() == [1]
  assert "but testing, training, validation" in sentence(
    read_activitynet, path, "testset"
  )


@pytest.mark.parametrize("suffix", ["json", "json.gz"])
def test_simplified_form_and_compression(tmp_path, suffix):
  path = tmp_path / f"a.{suffix}"
  data = json.dumps(SIMPLE).encode()
  path.write_bytes(gzip.compress(data) if suffix.endswith("gz") else data)
  a = read_activitynet(str(path))
  assert a.videos == ("QOlSCBRmfWY", "v_GHCYKzyZ8") and a.subsets == ("", "")
  assert a.durations.tolist() == [80.0, 61.0]
  np.testing.assert_allclose(a.covered, [64.0, 60.8])
  assert read_activitynet(path, prefix="").videos == tuple(SIMPLE)
  assert "no subsets at all" in sentence(read_activitynet, path, "training")


FAULTY = ((7, 3), (3, 3), (80, 95), (-2, 5), (100, 120), (95, 85), (0, 90.005), (1, 2))


def test_faulty_segments_are_mended_and_noted(tmp_path):
  path = save(tmp_path / "a.json", database(*FAULTY))
  a = read_activitynet(path, invalid="repair")
  ends = list(zip(a.segments.start.tolist(), a.segments.end.tolist(), strict=True))
  assert ends == [(3, 7), (80, 90), (0, 5), (85, 90), (0, 90), (1, 2)]
  assert a.notes == (
    "video 'x': the segment [7, 3] of 'Jump' runs backwards: read as [3, 7]",
    "video 'x': the segment [3, 3] of 'Jump' has no length: left out",
    "video 'x': the segment [80, 95] of 'Jump' leaves the video of 90 s:"
    " read as [80, 90]",
    "video 'x': the segment [-2, 5] of 'Jump' leaves the video of 90 s: read as [0, 5]",
    "video 'x': the segment [100, 120] of 'Jump' leaves the video of 90 s: left out",
    "video 'x': the segment [95, 85] of 'Jump' runs backwards and leaves the video of"
    " 90 s: read as [85, 90]",
  )


def test_faulty_segments_are_kept_as_the_official_evaluation_does(tmp_path):
  path = save(tmp_path / "a.json", database(*FAULTY))
  a = read_activitynet(path)
  assert tuple(zip(a.segments.start, a.segments.end, strict=True)) == FAULTY
  assert len(a.notes) == 6 and all(n.endswith("kept as it is") for n in a.notes)
  assert "repair or keep" in sentence(read_activitynet, path, invalid="drop")


def test_results_share_the_numbers_of_the_truth(tmp_path):
  truth = read_activitynet(save(tmp_path / "a.json", SIMPLE))
  one = {"score": 0.5, "segment": [1.0, 2.0], "label": "Sumo"}
  results = {
    "version": "VERSION 1.3", "external_data": {},
    "results": {
      "v_GHCYKzyZ8": [one],
      "unknown": [one | {"label": "Chess", "score": 1}],
      "v_QOlSCBRmfWY": [one | {"score": 0.25}],
    },
  }  # fmt: skip
  path = save(tmp_path / "r.json", results)
  a = read_activitynet(path, like=truth)
  assert a.videos == (*truth.videos, "unknown")
  assert a.classes == ("Diving", "Sumo", "Chess")
  assert a.segments.video.tolist() == [1, 2, 0]
  assert a.segments.label.tolist() == [1, 2, 1]
  assert a.segments.score.tolist() == [0.5, 1.0, 0.25]
  assert a.durations.tolist()[:2] == [80.0, 61.0] and np.isnan(a.durations[2])
  assert a.notes == ("the class 'Chess' is not among the 2 known ones",)


def test_proposals_have_no_labels(tmp_path):
  path = tmp_path / "p.json"
  content = {"results": {"x": [{"score": 0.5, "segment": [1, 2]}]}}
  a = read_activitynet(save(path, content))
  assert rows(a) == [("x", "", 1.0, 2.0, 0.5)]
  write_activitynet(path, a.segments, a.videos, a.classes)
  assert json.loads(path.read_text())["results"] == content["results"]


def entry(**changes):
  video = {"duration": 9.0, "annotations": [{"segment": [1, 2], "label": "a"}]}
  return {"database": {"good": video, "bad": video | changes}}


def annotation(**changes):
  value = {"segment": [1, 2], "label": "a"} | changes
  return entry(annotations=[{k: v for k, v in value.items() if v is not None}])


MALFORMED = {
  "list": ([], "neither"),
  "empty": ({}, "neither"),
  "other": ({"videos": {}}, "neither"),
  "no object": ({"database": {"bad": 3}}, "'bad' is int"),
  "no duration": (entry(duration=None), "the duration None"),
  "text duration": (entry(duration="9"), "the duration '9'"),
  "zero duration": (entry(duration=0), "the duration 0"),
  "nan duration": (entry(duration=float("nan")), "the duration nan"),
  "huge duration": (entry(duration=10**400), "the duration 1000"),
  "subset": (entry(subset=3), "the subset 3"),
  "no list": (entry(annotations=None), "no list of annotations"),
  "frames": (entry(feature_frame=9), "duration_frame None"),
  "annotation": (entry(annotations=[1]), "segment 0 is int"),
  "no segment": (annotation(segment=None), "the ends None"),
  "three ends": (annotation(segment=[1, 2, 3]), "the ends [1, 2, 3]"),
  "text end": (annotation(segment=["1", 2]), "the ends ['1', 2]"),
  "bool end": (annotation(segment=[True, 2]), "the ends [True, 2]"),
  "infinite": (annotation(segment=[1, float("inf")]), "the ends [1, inf]"),
  "no label": (annotation(label=None), "the label None"),
  "number label": (annotation(label=3), "the label 3"),
  "score": (annotation(score="high"), "the score 'high'"),
  "some scores": (annotation(score=1.0), "some have none"),
  "results": ({"results": {"bad": {}}}, "'bad' has no list"),
  "no score": ({"results": {"bad": [{"segment": [1, 2]}]}}, "the score None"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed(tmp_path, case):
  content, expected = MALFORMED[case]
  path = save(tmp_path / "a.json", content)
  message = sentence(read_activitynet, path)
  assert expected in message and str(path) in message
  if "'bad'" in json.dumps(content).replace('"', "'") and case != "some scores":
    assert "'bad'" in message


@pytest.mark.parametrize("keep", [0, 3, 100, -1])
@pytest.mark.parametrize("compressed", [False, True])
def test_cut_off(tmp_path, keep, compressed):
  data = json.dumps(OFFICIAL).encode()
  path = tmp_path / "a.json"
  path.write_bytes((gzip.compress(data) if compressed else data)[:keep])
  message = sentence(read_activitynet, path)
  assert str(path) in message and "cut off" in message


def test_no_file_no_text_and_keys_twice(tmp_path):
  assert "no file" in sentence(read_activitynet, tmp_path / "none.json")
  path = tmp_path / "a.json"
  path.write_bytes(b"\xff\xfe\x00")
  assert "UTF-8" in sentence(read_activitynet, path)
  path.write_text('{"database": {"x": {}, "x": {}}}')
  assert "the key 'x' occurs 2 times" in sentence(read_activitynet, path)
  path.write_text("[" * 100_000)
  assert "no JSON" in sentence(read_activitynet, path)


@pytest.mark.parametrize("suffix", ["json", "json.gz"])
@FOLDER
@given(annotated())
def test_activitynet_round_trip(tmp_path, suffix, case):
  segments, videos, classes = case
  path = tmp_path / f"a.{suffix}"
  durations, subsets = np.full(len(videos), 2e3), ["training"] * len(videos)
  write_activitynet(
    path, segments, videos, classes, durations=durations, subsets=subsets
  )
  a = read_activitynet(path, prefix="")
  assert rows(a) == named(segments, videos, classes)
  assert a.videos == tuple(videos) and a.notes == ()
  if segments.score is None:
    assert a.durations.tolist() == durations.tolist() and a.subsets == tuple(subsets)


def test_unwritable(tmp_path):
  path = tmp_path / "a.json"
  zero = np.zeros(1, np.int64)
  segments = Segments(zero, zero, np.array([0.0]), np.array([np.nan]), None)
  assert "needs a duration" in sentence(write_activitynet, path, segments, ["x"], ["c"])
  assert "NaN" in sentence(
    write_activitynet, path, segments, ["x"], ["c"], durations=[3.0]
  )
  assert "NaN" in sentence(write_thumos, tmp_path / "d", segments, ["x"], ["c"])
  assert list(tmp_path.iterdir()) == []
