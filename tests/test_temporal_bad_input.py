"""Faulty data sets, through the loader and `validate`: one sentence, culprit named.

Each case spoils a clean data set of four videos. The loader refuses it, or repairs it
and says so in its note; `validate` names the same culprit in one of its findings.
"""

import gzip
import json
import warnings

import numpy as np
import pytest
from annotation_support import sentence
from feature_support import (
  csv,
  findings,
  h5,
  instead,
  objects,
  pkl,
  pt,
  pt_of_things,
  saved,
  zipped_csv,
)
from temporal_support import DATABASE, config, names, ramp, write

from jaxvision.data import temporal
from jaxvision.data.annotations import read_activitynet

RAMP = ramp(20)


def changed(video, **fields):
  """Spoils an entry of the annotations."""

  def spoil(root):
    entries = DATABASE | {video: DATABASE[video] | fields}
    (root / "truth.json").write_text(json.dumps({"database": entries}))

  return spoil


def segment(*ends):
  return changed("b", annotations=[{"segment": list(ends), "label": "run"}])


def cut(suffix, save, keep=-30):
  def spoil_file(path, x):
    save(path, x)
    path.write_bytes(path.read_bytes()[:keep])

  return instead(suffix, spoil_file)


def text(replace, by):
  def spoil(root):
    path = root / "truth.json"
    content = path.read_text()
    assert replace in content
    path.write_text(content.replace(replace, by, 1))

  return spoil


def cut_truth(compress, keep):
  def spoil(root):
    content = (root / "truth.json").read_bytes()
    content = gzip.compress(content) if compress else content
    (root / "truth.json").write_bytes(content[:keep])

  return spoil


def repeated_video(root):
  entry = f'"b": {json.dumps(DATABASE["b"])}'
  text(entry, f"{entry}, {entry}")(root)


# name: (how it is spoilt, what the loader says, what validate says; None: the same)
REFUSED = {
  "duration 0": (changed("b", duration=0), "'b' has the duration 0", None),
  "duration below 0": (changed("b", duration=-3.0), "'b' has the duration -3.0", None),
  "three ends": (segment(1, 2, 3), "'b', segment 0 has the ends [1, 2, 3]", None),
  "NaN in JSON": (segment(float("nan"), 2), "has the ends [nan, 2]", None),
  "too long an integer": (text("10.0", "1" * 5000), "truth.json is no JSON", None),
  "video twice": (repeated_video, "the key 'b' occurs 2 times", None),
  "field twice": (
    text('"duration"', '"subset": "x", "duration"'), "'subset' occurs 2 times", None
  ),
  "JSON cut off": (cut_truth(False, -9), "truth.json is no JSON, or is cut off", None),
  "gz cut off": (cut_truth(True, -9), "truth.json is cut off or damaged", None),
  "NaN": (saved(np.where(RAMP == 3.5, np.nan, RAMP)), "b.npy holds 1 values", None),
  "infinite": (saved(np.where(RAMP == 3.5, np.inf, RAMP)), "step 3, number 0", None),
  "no rows": (saved(np.zeros((0, 3))), "b.npy has the shape (0, 3)", None),
  "no columns": (saved(np.zeros((20, 0))), "b.npy has the shape (20, 0)", None),
  "three axes": (saved(np.zeros((2, 3, 4))), "b.npy has the shape (2, 3, 4)", None),
  "width": (saved(np.ones((20, 4))), "b.npy has features of shape (20, 4)", None),
  "no features": (
    lambda root: (root / "features" / "b.npy").unlink(),
    "features of 1 of the 3 videos", "video 'b' has no features",
  ),
  "two formats": (
    lambda root: csv(root / "features" / "b.csv", ramp(20)), "'b' are in both", "twice"
  ),
  "two prefixes": (saved(RAMP, "v_b.npy"), "'b' are in both", "'b' has features tw"),
  "npy cut off": (cut("npy", np.save), "b.npy is damaged or cut off", None),
  "npy without header": (cut("npy", np.save, 40), "b.npy is damaged or cut", None),
  "npz cut off": (cut("npz", np.savez), "b.npz is damaged or cut off", None),
  "csv cut off": (cut("csv", csv), "b.csv is damaged or cut off", None),
  "zipped csv cut off": (cut("csv", zipped_csv), "b.csv is cut off or damaged", None),
  "h5 cut off": (cut("h5", h5), "b.h5 is damaged or cut off", None),
  "pt cut off": (cut("pt", pt), "b.pt is damaged or cut off", None),
  "objects in npy": (saved(objects(RAMP)), "b.npy holds Python objects", None),
  "objects in npz": (
    instead("npz", lambda p, x: np.savez(p, objects(x))), "b.npz holds Python obj", None
  ),
  "objects in pt": (instead("pt", pt_of_things), "b.pt is damaged or cut off", None),
  "pkl": (instead("pkl", pkl), "b.pkl holds Python objects", None),
  "text in npz": (
    instead("npz", lambda path, x: np.savez(path, np.array([["a"]]))), "type <U1", None
  ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("window", ["resize", "sliding"])
def test_refused_by_the_loader(tmp_path, case, window):
  spoil, words, _ = REFUSED[case]
  files = write(tmp_path)
  spoil(tmp_path)
  with warnings.catch_warnings():
    warnings.simplefilter("error")
    message = sentence(temporal.load_temporal, config(**files, window=window))
  assert words in message and str(tmp_path) in message


@pytest.mark.parametrize("case", REFUSED)
def test_found_by_validate(tmp_path, capsys, case):
  spoil, loader_words, words = REFUSED[case]
  files = write(tmp_path)
  spoil(tmp_path)
  found = findings(files, capsys)
  words = words or loader_words
  assert sum(words in line for line in found) == 1, found
  assert all(line.endswith(".") for line in found)


REPAIRED = {
  "backwards": (segment(4, 2), "runs backwards"),
  "no length": (segment(2, 2), "has no length"),
  "behind the end": (segment(2, 99), "leaves the video of 10 s"),
}


@pytest.mark.parametrize("case", REPAIRED)
def test_repaired_and_reported(tmp_path, capsys, case):
  spoil, words = REPAIRED[case]
  files = write(tmp_path)
  spoil(tmp_path)
  data = temporal.load_temporal(config(**files))
  assert words in data.note and "'b'" in data.note
  [finding] = findings(files, capsys)
  assert words in finding and "'b'" in finding


def test_features_of_no_video_are_left_alone_and_found_by_validate(tmp_path, capsys):
  files = write(tmp_path)
  saved(ramp(20), "zebra.npy")(tmp_path)
  data = temporal.load_temporal(config(**files))
  assert data.note == "" and names(data.splits["train"]) == ["a", "b"]
  [finding] = findings(files, capsys)
  assert "zebra.npy" in finding and "belong to no video" in finding


def test_a_name_with_and_without_prefix_is_refused(tmp_path):
  """Predictions of one video under two names would otherwise be merged."""
  truth = read_activitynet(write(tmp_path)["annotations"])
  entry = [{"segment": [1, 2], "label": "run", "score": 0.5}]
  path = tmp_path / "results.json"
  path.write_text(json.dumps({"results": {"a": entry, "v_a": entry}}))
  message = sentence(read_activitynet, path, like=truth)
  assert "video 'v_a' is there with and without 'v_'" in message


def test_a_video_in_two_subsets_is_refused(tmp_path, capsys):
  for name in ("Run_val", "Run_test"):
    (tmp_path / f"{name}.txt").write_text("x 1 2\n")
  files = {"annotations": str(tmp_path), "features": str(tmp_path)}
  message = sentence(temporal.load_temporal, config(**files))
  assert "video 'x' is in 'validation'" in message and "'test'" in message
  assert "'x' is in 'validation'" in findings(files, capsys)[0]
