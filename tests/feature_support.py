"""Savers of feature files in all formats, and what spoils a data set with them."""

import gzip
import pickle

import numpy as np
import pytest
from temporal_support import ramp

from jaxvision.data.validate import main


def saved(x, name="b.npy"):
  return lambda root: np.save(root / "features" / name, x)


def instead(suffix, save):
  """Saves the features of "b" in another format; `save` takes a path and the array."""

  def spoil(root):
    (root / "features" / "b.npy").unlink()
    save(root / "features" / f"b.{suffix}", ramp(20))

  return spoil


def csv(path, x):
  np.savetxt(path, x, delimiter=",")


def zipped_csv(path, x):
  csv(path, x)
  path.write_bytes(gzip.compress(path.read_bytes()))


def h5(path, x):
  with pytest.importorskip("h5py").File(path, "w") as file:
    file["features"] = x


def pkl(path, x):
  path.write_bytes(pickle.dumps(x))


def pt(path, x):
  torch = pytest.importorskip("torch")
  torch.save(torch.tensor(x), path)


def pt_of_things(path, x):
  pytest.importorskip("torch").save({"features": Thing(x)}, path)


class Thing:
  """Something that only a pickle can bring back."""

  def __init__(self, x):
    self.x = x


def objects(x):
  """Rows as lists in an array of Python objects."""
  rows = np.empty(len(x), object)
  rows[:] = x.tolist()
  return rows


def findings(files, capsys, *options):
  """What `validate` prints, without the summary; the exit code tells as well."""
  code = main([*(f"--{key}={value}" for key, value in files.items()), *options])
  out, err = capsys.readouterr()
  *lines, _ = out.splitlines()
  assert not err and code == bool(lines)
  return lines
