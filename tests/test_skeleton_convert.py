"""Conversion of folders: what is written, resumed, skipped and refused."""

import json

import numpy as np
import pytest
from skeleton_support import (
  GOLDEN,
  NAMES,
  clip,
  ntu_names,
  skeleton_text,
  write_kinetics,
  write_skeletons,
)

from jaxvision import interruption
from jaxvision.data import skeleton_conversion, skeleton_convert
from jaxvision.data.skeleton_conversion import convert
from jaxvision.data.skeleton_records import read_index
from jaxvision.data.skeleton_shards import decode, encode, trim
from jaxvision.errors import UserError

TEN = ntu_names()[:10]


def records(folder, shape=(2, 4, 25, 3)):
  index = read_index(folder)
  clips = index.clips(np.arange(len(index.names)), shape)
  return index, clips[np.arange(len(index.names))]


def test_records_hold_what_the_files_hold(tmp_path):
  bodies = write_skeletons(tmp_path / "raw" / "deep", TEN)
  lines = []
  target = tmp_path / "data"
  done = convert(tmp_path / "raw", target, workers=1, shard_size=4, report=lines.append)
  assert done == (10, {}, 0, 3)
  assert len(lines) == 3 and lines[-1].startswith("10 of 10 recordings")
  index, clips = records(target)
  assert list(index.names) == sorted(TEN) and index.kind == "ntu"
  for name, label, found in zip(index.names, index.label, clips, strict=True):
    assert label == int(name[-3:]) - 1
    expected = np.zeros((2, 4, 25, 3), np.float32)
    expected[: len(bodies[name])] = bodies[name]
    np.testing.assert_array_equal(found, expected)
  assert not list(target.glob(".*"))


def test_authors_files(tmp_path, golden):
  convert(GOLDEN, tmp_path, workers=1)
  index, clips = records(tmp_path, (2, 26, 25, 3))
  assert index.names == NAMES
  for name, found in zip(NAMES, clips, strict=True):
    expected = golden("stigcn_ntu")[f"{name}/read_xyz"].transpose(3, 1, 2, 0)
    np.testing.assert_array_equal(found[:, : expected.shape[1]], expected)


def test_workers_write_the_same(tmp_path):
  write_skeletons(tmp_path / "raw", TEN)
  for workers in (1, 2):
    convert(tmp_path / "raw", tmp_path / str(workers), workers=workers, shard_size=5)
  np.testing.assert_array_equal(*(records(tmp_path / w)[1] for w in "12"))
  indices = [(tmp_path / w / "index.json").read_text() for w in "12"]
  assert indices[0] == indices[1]


def test_bad_files_are_skipped_and_named(tmp_path, capsys):
  raw = tmp_path / "raw"
  write_skeletons(raw, TEN)
  (raw / f"{TEN[3]}.skeleton").write_text("3\n1\n")
  (raw / f"{TEN[4]}.skeleton").write_text("2\n0\n0\n")
  (raw / "holiday.skeleton").write_text(skeleton_text(clip()))
  (raw / "S001C001P001R001A121.skeleton").write_text(skeleton_text(clip()))
  command = [f"--source={raw}", f"--target={tmp_path / 'data'}", "--workers=1"]
  assert skeleton_convert.main(command) == skeleton_convert.LEFT_OUT
  index, _ = records(tmp_path / "data")
  assert set(index.names) == set(TEN) - {TEN[3], TEN[4]} and index.skipped == 4
  text = (tmp_path / "data" / "skipped.txt").read_text()
  assert len(text.splitlines()) == 4
  for name, why in ((TEN[3], "cut off"), (TEN[4], "no body"), ("holiday", "no name")):
    assert any(name in line and why in line for line in text.splitlines())
  shown = capsys.readouterr()
  assert "8 recordings in 1 files" in shown.out and "4 left out" in shown.out


def test_an_interrupted_conversion_goes_on(tmp_path, monkeypatch):
  write_skeletons(tmp_path / "raw", TEN)
  target = tmp_path / "data"
  written = []
  whole = skeleton_conversion.write_shard

  def stopping(shard):
    written.append(shard.path.name)
    if len(written) == 2:
      interruption._set(0, None)
    return whole(shard)

  monkeypatch.setattr(skeleton_conversion, "write_shard", stopping)
  try:
    with pytest.raises(interruption.Interrupted):
      convert(tmp_path / "raw", target, workers=1, shard_size=3)
  finally:
    interruption.clear()
  with pytest.raises(UserError, match="is not converted"):
    read_index(target)
  (target / ".shard-00002.array_record.1.part").write_text("half")
  done = convert(tmp_path / "raw", target, workers=1, shard_size=3)
  assert (done.reused, done.shards, done.records) == (2, 4, 10)
  assert written == [f"shard-{i:05d}.array_record" for i in (0, 1, 2, 3)]
  assert convert(tmp_path / "raw", target, workers=1, shard_size=3).reused == 4
  assert not list(target.glob(".*.part"))


def test_a_changed_file_is_converted_again(tmp_path):
  write_skeletons(tmp_path / "raw", TEN)
  path = tmp_path / "raw" / f"{TEN[0]}.skeleton"
  good = path.read_text()
  path.write_text("1\n")
  source, target = tmp_path / "raw", tmp_path / "data"
  assert convert(source, target, workers=1, shard_size=5).records == 9
  path.write_text(good)
  done = convert(source, target, workers=1, shard_size=5)
  assert (done.records, done.reused) == (10, 1)
  (target / "shard-00001.json").write_text("{")
  assert convert(source, target, workers=1, shard_size=5).reused == 1


def test_kinetics(tmp_path):
  write_kinetics(tmp_path / "raw")
  done = convert(tmp_path / "raw", tmp_path / "data", workers=1)
  index, clips = records(tmp_path / "data", (2, 5, 18, 3))
  assert index.names == ("a", "b", "c") and index.splits == ("train", "train", "val")
  assert index.classes == ("abseil", "juggle") and index.label.tolist() == [1, 1, 1]
  assert clips[:, :, :3].any((2, 3, 4)).all() and not clips[:, :, 3:].any()
  assert done.skipped == {}


@pytest.mark.parametrize("entry", [{}, 3, {"label_index": -1}, {"label_index": True}])
def test_bad_labels_of_kinetics(tmp_path, entry):
  write_kinetics(tmp_path)
  if isinstance(entry, dict) and entry:
    entry = {"has_skeleton": True, "label": "x", **entry}
  (tmp_path / "kinetics_val_label.json").write_text(json.dumps({"c": entry}))
  with pytest.raises(UserError, match=r"kinetics_val_label\.json: clip 'c'"):
    convert(tmp_path, tmp_path / "data", workers=1)


def test_mistakes_end_in_one_sentence(tmp_path, capsys):
  def fails(*command):
    assert skeleton_convert.main(command) == skeleton_convert.MISTAKE
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.startswith("error: ")
    assert shown.err.count("\n") == 1
    return shown.err

  target = f"--target={tmp_path / 'data'}"
  assert "no folder" in fails(f"--source={tmp_path / 'none'}", target)
  assert "nothing to convert" in fails(f"--source={tmp_path}", target)
  assert "--target" in fails("--source=x")
  assert "--workers" in fails(f"--source={tmp_path}", target, "--workers=-1")
  write_skeletons(tmp_path / "a", TEN[:1])
  write_skeletons(tmp_path / "b", TEN[:1])
  assert "2 times" in fails(f"--source={tmp_path}", target)
  (tmp_path / "file").write_text("")
  blocked = f"--target={tmp_path / 'file' / 'data'}"
  assert "cannot be written" in fails(f"--source={tmp_path / 'a'}", blocked)


def test_nothing_readable(tmp_path):
  (tmp_path / f"{TEN[0]}.skeleton").write_text("1\n")
  with pytest.raises(UserError, match=f"none of the 1 recordings.*{TEN[0]}"):
    convert(tmp_path, tmp_path / "data", workers=1)
  assert not (tmp_path / "data" / "index.json").exists()


def test_records_keep_their_shape():
  bodies = np.zeros((3, 6, 25, 3), np.float32)
  bodies[[0, 2], 1:4] = 1
  assert trim(bodies).shape == (2, 4, 25, 3)
  np.testing.assert_array_equal(decode(encode(trim(bodies))), bodies[[0, 2], :4])


@pytest.mark.parametrize(
  "content", ["", "[]", "{}", '{"version": 1}', '{"version": 0}']
)
def test_damaged_index(tmp_path, content):
  (tmp_path / "index.json").write_text(content)
  with pytest.raises(UserError, match=r"damaged|another version"):
    read_index(tmp_path)


def test_damaged_shards(tmp_path):
  write_skeletons(tmp_path / "raw", TEN[:3])
  convert(tmp_path / "raw", tmp_path / "data", workers=1)
  shard = tmp_path / "data" / "shard-00000.array_record"
  content = bytearray(shard.read_bytes())
  content[40:3000] = bytes(2960)
  shard.write_bytes(content)
  with pytest.raises(UserError, match="is damaged"):
    records(tmp_path / "data")
  shard.unlink()
  with pytest.raises(UserError, match="is damaged"):
    records(tmp_path / "data")
