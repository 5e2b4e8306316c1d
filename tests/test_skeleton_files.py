"""Parsers of `.skeleton` files and Kinetics' JSON: the authors' numbers, bad files."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skeleton_support import GOLDEN, NAMES, clip, kinetics_clip, skeleton_text

from jaxvision.data.kinetics_skeletons import read_kinetics
from jaxvision.data.skeleton_files import (
  body_energy,
  parse_skeleton,
  read_skeleton,
  select_bodies,
)
from jaxvision.data.skeletons import read_clip
from jaxvision.errors import UserError

SMALL = skeleton_text(clip(0, 2, 2)).encode()


@pytest.mark.parametrize("name", NAMES)
def test_authors_parser(golden, name):
  arrays = golden("stigcn_ntu")
  bodies = read_skeleton(GOLDEN / f"{name}.skeleton")
  assert bodies.shape[:2] == (4, arrays[f"{name}/num_frames"])
  counts = np.minimum(arrays[f"{name}/bodies_per_frame"], 4)
  np.testing.assert_array_equal(bodies.any((2, 3)).sum(0), counts)
  energy = arrays[f"{name}/energy_first4"]
  np.testing.assert_allclose(body_energy(bodies), energy, rtol=1e-6, atol=1e-6)
  selected = select_bodies(bodies).astype(np.float32).transpose(3, 1, 2, 0)
  np.testing.assert_array_equal(selected, arrays[f"{name}/read_xyz"])


@pytest.mark.parametrize("persons", [1, 3, 4, 6])
def test_round_trip_keeps_the_first_four(persons):
  bodies = clip(1, persons, 3)
  found = parse_skeleton(skeleton_text(bodies).encode(), "x")
  np.testing.assert_array_equal(found[:persons], bodies[:4])
  assert not found[persons:].any()


def test_white_space_and_fields_that_do_not_count():
  text = skeleton_text(clip()).replace("\n", "\r\n").replace(" 1.5 2.5", "  nan 1.#QO")
  np.testing.assert_array_equal(parse_skeleton(text.encode(), "x")[:1], clip())


def test_most_energetic_bodies_first_and_absent_frames_do_not_count():
  bodies = np.concatenate((0.1 * clip(1), clip(2), 0.5 * clip(3)))
  np.testing.assert_array_equal(select_bodies(bodies), bodies[[1, 2]])
  padded = np.concatenate((bodies, np.zeros_like(bodies)), 1)
  np.testing.assert_allclose(body_energy(padded), body_energy(bodies))


def change(line, text):
  lines = SMALL.decode().split("\n")
  lines[line] = text
  return "\n".join(lines).encode()


@pytest.mark.parametrize(
  "content, words",
  [
    (b"", "number of frames is missing"),
    (b"many", "'many'"),
    (b"0\n", "no body"),
    (b"3\n0\n0\n0\n", "no body in any of its 3 frames"),
    (b"999999999 1", "cut off"),
    (b"9" * 30, "no count"),
    (b"-2\n", "'-2'"),
    (SMALL[: len(SMALL) // 2], "cut off"),
    (SMALL.rstrip()[:-2], "cut off"),
    (SMALL + b"1\n", "goes on"),
    (change(1, "two"), "frame 1 of 2: the number of bodies is 'two'"),
    (change(3, "20"), "body 1 has 20 joints"),
    (change(4, "x 0 0 1 2 3 4 0 0 0 0 2"), "frame 1, body 1"),
    (change(4, "nan 0 0 1 2 3 4 0 0 0 0 2"), "no finite number"),
    (change(31, "1 2 inf 1 2 3 4 0 0 0 0 2"), "frame 1, body 2"),
    (bytes(range(256)), "no count"),
  ],
)
def test_bad_files_say_what_is_wrong(content, words):
  with pytest.raises(UserError, match=words) as error:
    parse_skeleton(content, "S001.skeleton")
  assert "S001.skeleton" in str(error.value) and "\n" not in str(error.value)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_files_never_crash(data):
  """Cut anywhere, or with a few bytes changed: bodies, or a `UserError`."""
  content = bytearray(SMALL[: data.draw(st.integers(0, len(SMALL)))])
  for _ in range(data.draw(st.integers(0, 3))):
    if content:
      place = data.draw(st.integers(0, len(content) - 1))
      content[place] = data.draw(st.integers(0, 255))
  try:
    bodies = parse_skeleton(bytes(content), "x")
    assert np.isfinite(bodies).all()
  except UserError:
    pass


def test_missing_file_and_foreign_suffix(tmp_path):
  with pytest.raises(UserError, match=r"a\.skeleton cannot be read"):
    read_skeleton(tmp_path / "a.skeleton")
  with pytest.raises(UserError, match=r"neither a \.skeleton"):
    read_clip(tmp_path / "a.mp4")


def test_read_clip_has_the_shape_asked_for(golden):
  found = read_clip(GOLDEN / f"{NAMES[1]}.skeleton", persons=1, length=40)
  assert found.shape == (1, 40, 25, 3) and found.dtype == np.float32
  expected = golden("stigcn_ntu")[f"{NAMES[1]}/read_xyz"].transpose(3, 1, 2, 0)
  np.testing.assert_array_equal(found[:, :24], expected[:1])
  assert not found[:, 24:].any()
  assert read_clip(GOLDEN / f"{NAMES[1]}.skeleton", persons=3, length=5).shape[0] == 3


def kinetics(tmp_path, content):
  path = tmp_path / "clip.json"
  path.write_text(json.dumps(content))
  return path


def test_kinetics_centres_and_sorts_by_score(tmp_path):
  content, pose, score = kinetics_clip(persons=3)
  content["data"][0]["skeleton"][0]["score"][4] = score[0, 0, 4] = 0
  found = read_kinetics(kinetics(tmp_path, content))
  assert found.shape == (2, 300, 18, 3) and not found[:, 3:].any()
  assert not found[..., :2][found[..., 2] == 0].any()
  for t in range(3):
    for slot, m in enumerate(np.argsort(-score[:, t].sum(-1))[:2]):
      seen = score[m, t] > 0
      x, y = (pose[m, t] - 0.5).T
      expected = np.stack((x * seen, -y * seen, score[m, t]), -1)
      np.testing.assert_allclose(found[slot, t], expected, atol=1e-6)


def test_kinetics_looks_at_five_persons(tmp_path):
  content, _, _ = kinetics_clip(persons=6)
  content["data"][0]["skeleton"][5]["score"] = [9.0] * 18
  assert read_kinetics(kinetics(tmp_path, content))[..., 2].max() <= 1


def test_kinetics_counts_from_one_only_if_it_must(tmp_path):
  content, _, _ = kinetics_clip(indices=(1, 300))
  found = read_kinetics(kinetics(tmp_path, content))
  assert found[0, [0, 299]].any((1, 2)).all() and not found[:, 1:299].any()
  content, _, _ = kinetics_clip(indices=(1, 299))
  assert read_kinetics(kinetics(tmp_path, content))[0, [1, 299]].any((1, 2)).all()


def spoil(key, value, frame=0):
  content, _, _ = kinetics_clip()
  person = content["data"][frame]["skeleton"][0]
  (person if key in person else content["data"][frame])[key] = value
  return content


@pytest.mark.parametrize(
  "content, words",
  [
    ([], "no list"),
    ({"data": []}, "no person"),
    ({"data": [3]}, "frame_index"),
    (spoil("frame_index", 301), "frame_index 301"),
    (spoil("frame_index", "a"), "frame_index"),
    (spoil("frame_index", -1), "frame_index -1"),
    (spoil("skeleton", None), 'no list "skeleton"'),
    (spoil("skeleton", [7]), "36 numbers"),
    (spoil("pose", [0.1]), "36 numbers"),
    (spoil("score", ["x"] * 18), "18 numbers"),
    (spoil("score", [float("nan")] * 18), "NaN"),
  ],
)
def test_bad_kinetics_files_say_what_is_wrong(tmp_path, content, words):
  with pytest.raises(UserError, match=words) as error:
    read_kinetics(kinetics(tmp_path, content))
  assert "clip.json" in str(error.value)
