"""`python -m jaxvision.data.validate` names all that is wrong, and nothing else."""

import json
import subprocess
import sys

import numpy as np
import pytest

from jaxvision.data.validate import main

SEGMENT = {"segment": [1.0, 2.0], "label": "Jump"}


@pytest.fixture
def data(tmp_path):
  """A clean data set: three videos in two subsets, features [t, 4]."""
  (tmp_path / "features").mkdir()
  database = {}
  for i, name in enumerate("abc"):
    subset = "validation" if name == "c" else "training"
    entry = {"duration": 9.0, "subset": subset, "annotations": [SEGMENT]}
    database[name] = entry
    x = np.random.default_rng(i).normal(size=(5 + i, 4)).astype(np.float32)
    np.save(tmp_path / "features" / f"v_{name}.npy", x)
  write(tmp_path, database)
  return tmp_path


def write(folder, database):
  (folder / "a.json").write_text(json.dumps({"database": database}))


def change(folder, video, **changes):
  database = json.loads((folder / "a.json").read_text())["database"]
  database[video] |= changes
  write(folder, database)


@pytest.fixture
def run(data, capsys):
  """Runs main; returns (exit code, findings, summary)."""

  def run(*options):
    paths = (f"--annotations={data}/a.json", f"--features={data}/features")
    code = main([*paths, *options])
    *findings, summary = capsys.readouterr().out.splitlines()
    return code, findings, summary

  return run


def test_clean(run):
  summary = "no findings in 3 videos with 3 segments and 3 feature files"
  assert run() == (0, [], summary)
  assert run("--width=4", "--layout=td") == (0, [], summary)
  code, _, summary = run("--subset=training")
  assert code == 0 and "2 videos with 2 segments and 3 feature files" in summary


@pytest.mark.parametrize(
  ("segment", "expected"),
  [
    ([7, 3], "the segment [7, 3] of 'Jump' runs backwards."),
    ([3, 3], "the segment [3, 3] of 'Jump' has no length."),
    ([3, 12], "the segment [3, 12] of 'Jump' leaves the video of 9 s."),
    ([-1, 2], "the segment [-1, 2] of 'Jump' leaves the video of 9 s."),
    ([3], "segment 1 has the ends [3]"),
    (["x", 3], "segment 1 has the ends ['x', 3]"),
    ([1, 2], "occurs 2 times"),
  ],
)
def test_segments(data, run, segment, expected):
  change(data, "b", annotations=[SEGMENT, SEGMENT | {"segment": segment}])
  code, [finding], summary = run()
  assert code == 1 and expected in finding and summary.startswith("1 finding in")
  assert "video 'b'" in finding and f"{data}/a.json" in finding
  assert run("--subset=validation")[0] == int("ends" in expected)  # malformed: always


def test_all_findings_are_named(data, run):
  features = data / "features"
  x = np.load(features / "v_a.npy")
  np.save(features / "v_a.npy", np.where(x == x[1, 2], np.nan, x))
  np.save(features / "v_b.npy", x[:, :3])
  (features / "v_c.npy").write_bytes((features / "v_c.npy").read_bytes()[:-5])
  for name in ("d", "e"):
    np.save(features / f"{name}.npy", x)
  np.savetxt(features / "e.csv", x)
  change(data, "a", duration="long")
  database = json.loads((data / "a.json").read_text())["database"]
  new = {"duration": 9, "subset": "training", "annotations": [SEGMENT]}
  write(data, database | {"e": new, "f": new})
  code, findings, summary = run()
  expected = [
    "video 'a' has the duration 'long'",
    "video 'f' has no features",
    "video 'e' has features twice",
    "d.npy: these features belong to no video",
    "v_a.npy holds 1 values that are NaN",
    "v_c.npy is damaged or cut off",
    "v_b.npy has features of shape (5, 3), but 4 numbers a time step are in most",
  ]
  assert code == 1 and summary.startswith(f"{len(expected)} findings in 5 videos")
  for text in expected:
    assert sum(text in finding for finding in findings) == 1, (text, findings)


def test_keys_twice(data, run):
  text = (data / "a.json").read_text()
  (data / "a.json").write_text(text.replace('"b": {', '"a": {', 1))
  code, findings, _ = run()
  assert code == 1 and "the key 'a' occurs 2 times" in findings[0]
  assert "v_b.npy" in findings[1] and len(findings) == 2


@pytest.mark.parametrize("keep", [0, 50, -1])
def test_annotations_cut_off(data, run, keep):
  content = (data / "a.json").read_bytes()
  (data / "a.json").write_bytes(content[:keep])
  (data / "features" / "v_c.npy").write_bytes(b"")
  code, findings, _ = run()
  assert code == 1 and "a.json is no JSON, or is cut off" in findings[0]
  assert "v_c.npy is damaged" in findings[1] and len(findings) == 2


def test_width_and_layout(data, run):
  code, findings, _ = run("--width=5")  # v_a is [5, 4]: it may be turned
  assert code == 1 and len(findings) == 2
  assert all("but 5 numbers a time step are expected" in f for f in findings)
  code, findings, _ = run("--layout=dt")
  assert code == 1 and len(findings) == 2
  for path in (data / "features").iterdir():
    np.save(path, np.load(path).T)
  assert run()[0] == run("--layout=dt", "--width=4")[0] == 0


def test_thumos_folder_without_features(tmp_path, capsys):
  (tmp_path / "Diving_test.txt").write_text("x 1 2\nx 5\nx 4 3\n")
  assert main([f"--annotations={tmp_path}"]) == 1
  first, second, summary = capsys.readouterr().out.splitlines()
  assert "Diving_test.txt line 2" in first and "runs backwards" in second
  assert summary == "2 findings in 1 videos with 2 segments and 0 feature files"


@pytest.mark.parametrize(
  ("options", "expected"),
  [
    ([], "required: --annotations"),
    (["--annotations=none.json"], "no file none.json"),
    (["--annotations={}/a.json", "--features=none"], "no folder none"),
    (["--annotations={}/a.json", "--subset=tset"], "no subset 'tset'"),
    (["--annotations={}/a.json", "--feature=x"], "--feature=x"),
    (["--annotations={}/a.json", "--width=x"], "--width"),
    (["--annotations={}/a.json", "--layout=tt"], "--layout"),
  ],
)
def test_usage_mistakes(data, capsys, options, expected):
  assert main([option.format(data) for option in options]) == 2
  out, err = capsys.readouterr()
  assert out == "" and err.count("\n") == 1
  assert err.startswith("error: ") and expected in err


def test_as_a_command(data):
  command = [sys.executable, "-m", "jaxvision.data.validate"]
  done = subprocess.run(
    [*command, f"--annotations={data}/a.json", f"--features={data}/features"],
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0 and done.stdout.startswith("no findings"), done.stderr
