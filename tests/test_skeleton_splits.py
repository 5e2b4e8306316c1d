"""Names of NTU's recordings, protocols, and lists of missing skeletons."""

import numpy as np
import pytest
from skeleton_support import GOLDEN, NAMES

from jaxvision.data.ntu_classes import NTU_CLASSES
from jaxvision.data.skeleton_known import KNOWN
from jaxvision.data.skeleton_splits import (
  SUBJECTS_60,
  SUBJECTS_120,
  belongs,
  is_training,
  parse_name,
  read_missing,
  training_mask,
)
from jaxvision.errors import UserError


def test_name():
  assert parse_name("S018C003P042R002A120") == (18, 3, 42, 2, 120)
  assert parse_name("S001C002P003R002A013.skeleton").action == 13


@pytest.mark.parametrize("name", ["", "clip", "S001C002P003R002",
  "S001C002P003R002A000", "xS001C002P003R002A013",
  "S001C002P003R002A013.mp4"])  # fmt: skip
def test_other_names(name):
  with pytest.raises(UserError, match="is no name of a recording"):
    parse_name(name)


@pytest.mark.parametrize("name", NAMES)
def test_authors_splits(golden, name):
  arrays = golden("stigcn_ntu")
  recording = parse_name(name)
  numbers = arrays[f"{name}/setup_camera_performer_replication_action"]
  assert recording == tuple(numbers.tolist())
  assert recording.action - 1 == arrays[f"{name}/label"]
  for protocol in ("xsub", "xview"):
    train = bool(arrays[f"{name}/{protocol}_train"])
    assert is_training(recording, "ntu60", protocol) == train


def test_subjects():
  """Half of 40 and of 106 performers train; those of the first 40 do in both."""
  assert len(SUBJECTS_60) == 20 and max(SUBJECTS_60) <= 40
  assert len(SUBJECTS_120) == 53 and max(SUBJECTS_120) <= 106
  assert {s for s in SUBJECTS_120 if s <= 40} == SUBJECTS_60


def grid(setups, cameras, performers, actions):
  return [
    f"S{s:03d}C{c:03d}P{p:03d}R001A{a:03d}"
    for s in setups
    for c in cameras
    for p in performers
    for a in actions
  ]


@pytest.mark.parametrize(
  "dataset, protocol, share",
  [
    ("ntu60", "xsub", 20 / 40),
    ("ntu60", "xview", 2 / 3),
    ("ntu120", "xsub", 53 / 106),
    ("ntu120", "xset", 16 / 32),
  ],
)
def test_shares_of_a_full_grid(dataset, protocol, share):
  setups, performers = (17, 40) if dataset == "ntu60" else (32, 106)
  names = grid(range(1, setups + 1), (1, 2, 3), range(1, performers + 1), (1,))
  train = training_mask(names, dataset, protocol)
  assert train.dtype == bool and train.mean() == share


@pytest.mark.parametrize(
  "protocol, recorded", [("xsub", (40_320, 16_560)), ("xview", (37_920, 18_960))]
)
def test_counts_without_the_missing_recordings(protocol, recorded):
  """What was recorded, less the 302 that NTU's authors list, is what papers use."""
  missing = sorted(read_missing(GOLDEN / "ntu60_missing.txt"))
  train = training_mask(missing, "ntu60", protocol)
  left = (recorded[0] - train.sum(), recorded[1] - (~train).sum())
  assert len(missing) == 302 and left == KNOWN["ntu60"].counts[protocol]


def test_counts_of_the_protocols_of_one_set_agree():
  totals = {"ntu60": 56_880 - 302, "ntu120": 114_480 - 535}
  for name, total in totals.items():
    for train, test in KNOWN[name].counts.values():
      assert train + test == total


def test_protocols_belong_to_data_sets():
  recording = parse_name("S020C001P050R001A100")
  assert not belongs(recording, "ntu60") and belongs(recording, "ntu120")
  assert is_training(recording, "ntu120", "xset")
  with pytest.raises(UserError, match="ntu120 has no protocol 'xview'"):
    is_training(recording, "ntu120", "xview")


def test_empty_list_of_names():
  np.testing.assert_array_equal(training_mask([], "ntu60", "xsub"), np.zeros(0, bool))


def test_missing_list_has_a_header(tmp_path):
  path = tmp_path / "missing.txt"
  path.write_text(
    "Samples without skeletons:\n\nS001C002P005R002A008\n"
    "  S001C002P005R002A009.skeleton \nS1C2\n"
  )
  assert read_missing(path) == {"S001C002P005R002A008", "S001C002P005R002A009"}
  path.write_text("nothing\n")
  with pytest.raises(UserError, match=r"missing\.txt holds no name"):
    read_missing(path)
  with pytest.raises(UserError, match="there is no file"):
    read_missing(tmp_path / "none.txt")


def test_class_names():
  assert len(NTU_CLASSES) == len(set(NTU_CLASSES)) == 120
  assert NTU_CLASSES[0] == "drink water" and NTU_CLASSES[42] == "fall down"
  assert NTU_CLASSES[49] == "punch person" and NTU_CLASSES[59] == "walk apart"
  assert NTU_CLASSES[60] == "put on headphone" and NTU_CLASSES[104] == "blow nose"
  assert NTU_CLASSES[105] == "hit with object"
