"""Readers are total: whatever a file holds, it is read or refused by a `UserError`."""

import copy
import gzip
import json
import warnings

import numpy as np
import pytest
from annotation_support import FOLDER
from feature_support import csv, h5
from hypothesis import given
from hypothesis import strategies as st
from temporal_support import DATABASE, config, ramp, write

from jaxvision.data import temporal
from jaxvision.data.annotations import read_activitynet, read_thumos
from jaxvision.data.checks import validate
from jaxvision.data.features import list_features, read_features
from jaxvision.data.temporal_features import read_shapes
from jaxvision.errors import UserError

BMN = {"duration_second": 9.0, "duration_frame": 90, "feature_frame": 80}
RESULT = {"segment": [1.0, 2.0], "label": "run", "score": 0.5}
FORMS = (
  {"version": "x", "database": DATABASE},
  {f"v_{name}": BMN | {"annotations": [RESULT]} for name in "ab"},
  {"version": "x", "results": {"a": [RESULT], "b": []}, "external_data": {}},
)
KEYS = (
  "database", "results", "annotations", "segment", "label", "score", "subset", "a",
  "duration", "duration_second", "duration_frame", "feature_frame", "v_a",
)  # fmt: skip
ATOMS = (
  st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
  | st.sampled_from([0, -1, 1e308, 5e-324, 10**400, "test", "training"])
)  # fmt: skip
VALUES = st.recursive(
  ATOMS,
  lambda x: (
    st.lists(x, max_size=3)
    | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=3), x, max_size=3)
  ),
  max_leaves=6,
)


def places(value, path=()):
  """The paths to all parts of a JSON value."""
  yield path
  if isinstance(value, dict | list):
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in items:
      yield from places(part, (*path, key))


@st.composite
def mutated(draw):
  """One of the forms with up to three parts replaced or taken out."""
  content = copy.deepcopy(draw(st.sampled_from(FORMS)))
  for _ in range(draw(st.integers(1, 3))):
    path = draw(st.sampled_from(list(places(content))))
    if not path:
      return draw(VALUES)
    holder = content
    for key in path[:-1]:
      holder = holder[key]
    if draw(st.booleans()):
      holder[path[-1]] = draw(VALUES)
    else:
      del holder[path[-1]]
  return content


@st.composite
def damaged(draw, content):
  """Bytes of which up to three are changed, taken out or cut off behind."""
  data = bytearray(content)
  for _ in range(draw(st.integers(1, 3))):
    at = draw(st.integers(0, max(len(data) - 1, 0)))
    match draw(st.sampled_from(["change", "remove", "cut"])):
      case "change" if data:
        data[at] = draw(st.integers(0, 255))
      case "remove":
        del data[at : at + draw(st.integers(1, 4))]
      case "cut":
        del data[at:]
  return bytes(data)


def refused(read, *args, **options):
  """Whether it is: in one sentence, without a warning before it."""
  try:
    with warnings.catch_warnings():
      warnings.simplefilter("error", RuntimeWarning)
      read(*args, **options)
  except UserError as error:
    assert "\n" not in str(error) and str(error).endswith(".")
    return True
  return False


CONFIGS = ({}, {"window": "sliding"}, {"step": 0.5, "invalid": "keep"})


@FOLDER
@given(mutated(), st.sampled_from(CONFIGS))
def test_json_of_any_content(tmp_path, content, fields):
  files = write(tmp_path)
  path = tmp_path / "truth.json"
  path.write_text(json.dumps(content))
  malformed = refused(read_activitynet, path)
  # segments that no video can hold are not malformed: they are repaired
  for options in ({"invalid": "repair"}, {"invalid": "keep"}):
    assert refused(read_thumos, path, **options) == malformed
  assert not refused(validate, **files)
  loaded = config(**files, skip_missing=True, **fields)
  assert refused(temporal.load_temporal, loaded) or not malformed


@pytest.mark.parametrize("compressed", [False, True])
@FOLDER
@given(st.data())
def test_json_of_any_bytes(tmp_path, compressed, data):
  content = json.dumps(FORMS[0]).encode()
  content = gzip.compress(content, mtime=0) if compressed else content
  path = tmp_path / "a.json"
  path.write_bytes(data.draw(damaged(content)))
  assert refused(read_activitynet, path) == refused(read_thumos, path)


WORDS = st.sampled_from(["v_1", "v_2", "1.5", "3", "26", "-1", "nan", "1e999", "x"])
LINE = st.lists(WORDS | st.text(max_size=3), max_size=6).map(" ".join)
LINES = st.lists(LINE, max_size=4).map("\n".join)


@FOLDER
@given(LINES, LINES)
def test_text_of_any_lines(tmp_path, first, second):
  (tmp_path / "Run_val.txt").write_text(first)
  (tmp_path / "Jump_test.txt").write_text(second)
  refused(read_thumos, tmp_path)
  refused(read_thumos, tmp_path / "Run_val.txt", invalid="repair")
  refused(validate, tmp_path)


SAVERS = {"npy": np.save, "npz": np.savez, "csv": csv, "h5": h5}


@pytest.mark.parametrize("suffix", SAVERS)
@FOLDER
@given(st.data())
def test_features_of_any_bytes(tmp_path, suffix, data):
  path = tmp_path / f"a.{suffix}"
  SAVERS[suffix](path, ramp(5))
  path.write_bytes(data.draw(damaged(path.read_bytes())))
  whole = not refused(read_features, path, layout="td")
  if whole:
    assert not refused(read_shapes, [str(path)])
  if suffix in ("npz", "h5"):
    refused(list_features, path)
