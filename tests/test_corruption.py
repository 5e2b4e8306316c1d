"""Damaged checkpoints: an older one is taken, or nothing at all, never wrong values."""

import gc
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import chex
import pytest
import saver
from test_checkpoints import LIKE, Warnings, check, kept, save, state, store

from jaxvision.errors import UserError
from jaxvision.train import checkpoints


@pytest.fixture(scope="module")
def template(tmp_path_factory):
  folder = tmp_path_factory.mktemp("stage")
  save(folder, 1, 2, 3, keep=3)
  return folder


@pytest.fixture
def folder(template, tmp_path):
  return shutil.copytree(template, tmp_path / "copy")


@pytest.fixture
def unsealed(folder):
  """As a kill before the last file leaves it: Orbax and the checksums remain."""
  (folder / "3" / "seal.json").unlink()
  yield folder
  gc.collect()  # the reads that Orbax gave up complain now, where that is expected


def largest(folder, pattern):
  return max(folder.glob(pattern), key=lambda p: p.stat().st_size)


def truncate(path):
  path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
  data = bytearray(path.read_bytes())
  data[len(data) // 2] ^= 16
  path.write_bytes(data)


DAMAGES = {"truncated": truncate, "flipped": flip, "deleted": Path.unlink}
VALUES = "state/ocdbt.process_*/d/*"
FILES = [
  VALUES,
  "state/d/*",
  "state/manifest.ocdbt",
  "state/_METADATA",
  "state/_sharding",
  "meta/metadata",
  "_CHECKPOINT_METADATA",
]
# What a reader cannot do without, whether or not there is a seal.
NEEDED = (VALUES, "state/manifest.ocdbt", "meta/metadata")


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("pattern", FILES)
def test_one_damaged_file_makes_the_one_before_it_the_newest(
  folder, pattern, damage, capfd
):
  path = largest(folder / "3", pattern)
  DAMAGES[damage](path)
  warnings = Warnings()
  with store(folder, warn=warnings) as opened:
    found = opened.restore_latest(LIKE)
  check(found.state, 2)
  name = path.relative_to(folder / "3").as_posix()
  word = "missing" if damage == "deleted" else "damaged"
  assert warnings == [
    f"checkpoint 3 in {folder} is corrupt (ValueError: {name} is {word}); "
    "trying the one before it"
  ]
  assert "Traceback" not in capfd.readouterr().err  # one line is all there is


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("pattern", FILES)
def test_without_a_seal_values_are_never_wrong(unsealed, pattern, damage):
  DAMAGES[damage](largest(unsealed / "3", pattern))
  warnings = Warnings()
  with store(unsealed, warn=warnings) as opened:
    found = opened.restore_latest(LIKE)
  check(found.state, found.step)
  assert found.step == 3 - len(warnings)
  if pattern in NEEDED and (pattern, damage) != ("meta/metadata", "flipped"):
    (line,) = warnings
    assert line.startswith(f"checkpoint 3 in {unsealed} is corrupt (")
    assert line.endswith("; trying the one before it") and "\n" not in line


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_flipped_byte_of_the_values_is_noticed_by_the_checksum(unsealed):
  # Random floats do not compress: most of the file are the values themselves.
  path, noticed = largest(unsealed / "3", VALUES), 0
  whole = path.read_bytes()
  for position in range(2000, len(whole) - 2000, 3000):
    data = bytearray(whole)
    data[position] ^= 1
    path.write_bytes(data)
    warnings = Warnings()
    with store(unsealed, warn=warnings) as opened:
      check(opened.restore_latest(LIKE).state, 2)
    noticed += "checksum of params/kernel differs" in warnings[0]
  assert noticed


@pytest.mark.parametrize("damage", ["truncated", "flipped"])
def test_the_seal_is_guarded_too(folder, damage):
  DAMAGES[damage](folder / "3" / "seal.json")
  warnings = Warnings()
  with store(folder, warn=warnings) as opened:
    check(opened.restore_latest(LIKE).state, 2)
  assert len(warnings) == 1


def test_a_damaged_fingerprint_is_not_another_run(folder):
  path = folder / "3" / "meta" / "metadata"
  path.write_text(path.read_text().replace('"0.1"', '"0.3"'))
  with store(folder) as opened:
    assert opened.restore_latest(LIKE).step == 2


def test_training_on_replaces_the_corrupt_ones(folder):
  for step in ("2", "3"):
    flip(largest(folder / step, VALUES))
  warnings = Warnings()
  with store(folder, warn=warnings, keep=3) as opened:
    assert opened.restore_latest(LIKE).step == 1
    assert len(warnings) == 2
    opened.save(1, state(1))
    opened.save(2, state(2))  # below 3, which is still there
  assert kept(folder) == [1, 2]
  with store(folder, warn=warnings, keep=3) as opened:
    check(opened.restore_latest(LIKE).state, 2)
    opened.save(3, state(3))
  with store(folder, warn=warnings) as opened:
    check(opened.restore_latest(LIKE).state, 3)
  assert len(warnings) == 2


def test_an_interruption_between_two_corrupt_steps_is_saved(tmp_path):
  save(tmp_path, 10, 20)
  truncate(largest(tmp_path / "20", VALUES))
  with store(tmp_path) as opened:
    assert opened.restore_latest(LIKE).step == 10
    opened.save(13, state(13))
  assert kept(tmp_path) == [10, 13]


def test_none_that_can_be_read_is_an_error(folder):
  for step in ("1", "2", "3"):
    truncate(largest(folder / step, VALUES))
  warnings = Warnings()
  sentence = rf"none of the checkpoints \[3, 2, 1\] in {folder} can be read; remove"
  with store(folder, warn=warnings) as opened, pytest.raises(UserError, match=sentence):
    opened.restore_latest(LIKE)
  assert len(warnings) == 3
  assert kept(folder) == [1, 2, 3]  # nothing is removed unasked


def test_the_last_one_stands_in_for_a_corrupt_best(folder):
  warnings = Warnings()
  with store(folder, warn=warnings) as opened:
    opened.record(2, {"loss": 0.1}, -0.1)
    flip(largest(folder / "2", VALUES))
    last = opened.restore_latest(LIKE).state
    assert opened.restore_best(last) is last
  (line,) = warnings
  assert line.startswith(f"checkpoint 2 in {folder}, the best one, is corrupt (")
  assert line.endswith("; taking the last one")


def test_what_a_kill_left_half_written_is_ignored(folder):
  half = folder / "4.orbax-checkpoint-tmp"
  shutil.copytree(folder / "3", half)
  warnings = Warnings()
  with store(folder, warn=warnings) as opened:
    assert opened.restore_latest(LIKE).step == 3
    opened.save(4, state(4))
  with store(folder, warn=warnings) as opened:
    check(opened.restore_latest(LIKE).state, 4)
  assert not warnings and not half.exists()


KILLS = 8


def test_the_last_finished_checkpoint_survives_sigkill(tmp_path):
  """Each of `KILLS` savers restores and checks what the one before it left."""
  script, seed = Path(__file__).with_name("saver.py"), random.randrange(10**6)
  done = subprocess.run(
    [sys.executable, script, tmp_path, str(KILLS), str(seed)],
    capture_output=True,
    text=True,
    timeout=100,
  )
  told = f"seed {seed}\n{done.stdout}{done.stderr}"
  assert done.returncode == 0, told
  assert done.stdout.split() == [str(-signal.SIGKILL)] * KILLS, told
  with checkpoints.Checkpoints(tmp_path, fingerprint={}, warn=pytest.fail) as opened:
    found = opened.restore_latest(checkpoints.abstract(saver.state(0)))
  chex.assert_trees_all_equal(found.state, saver.state(found.step))
  assert found.step >= KILLS
