"""Feature files: formats, layouts, damage, and what folders and archives hold."""

import pickle

import numpy as np
import pytest

from jaxvision.data.feature_layout import infer_layout
from jaxvision.data.features import find_features, list_features, read_features
from jaxvision.errors import UserError

X = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)


def save(path, x=X, **options):
  path.parent.mkdir(exist_ok=True)
  match path.suffix:
    case ".npy":
      np.save(path, x, **options)
    case ".npz":
      np.savez(path, x)
    case ".csv":
      np.savetxt(path, x, delimiter=",", fmt="%.9g", comments="", **options)
    case _:
      with pytest.importorskip("h5py").File(path, "w") as file:
        file["v_a/features"] = x
  return path


def sentence(location, **options):
  with pytest.raises(UserError) as info:
    read_features(location, **options)
  message = str(info.value)
  assert str(location).split("::")[0] in message and "\n" not in message
  return message


@pytest.mark.parametrize("suffix", ["npy", "npz", "csv", "h5", "hdf5"])
def test_formats(tmp_path, suffix):
  x = read_features(save(tmp_path / f"a.{suffix}"))
  np.testing.assert_array_equal(x, X)
  assert x.dtype == np.float32 and x.flags.c_contiguous


@pytest.mark.parametrize("header", ["f0,f1,f2", "0,1,2", ""])
def test_csv_header(tmp_path, header):
  path = save(tmp_path / "a.csv", header=header)
  np.testing.assert_array_equal(read_features(path), X)


def test_csv_numbers_that_count_are_no_header(tmp_path):
  x = np.arange(6.0).reshape(2, 3)
  np.testing.assert_array_equal(read_features(save(tmp_path / "a.csv", x)), x)
  path = tmp_path / "b.csv"
  path.write_text("0 1.5\n2 3\n")  # spaces will do
  np.testing.assert_array_equal(read_features(path), [[0, 1.5], [2, 3]])


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int32, np.uint8])
def test_types_and_axes_of_length_one(tmp_path, dtype):
  x = np.arange(6).reshape(2, 3).astype(dtype)
  for shape in ((2, 3), (1, 2, 3), (2, 3, 1, 1), (1, 2, 3, 1)):
    read = read_features(save(tmp_path / "a.npy", x.reshape(shape)))
    np.testing.assert_array_equal(read, x)


def test_layouts(tmp_path):
  path = save(tmp_path / "a.npy", X.T)  # [3, 7]
  np.testing.assert_array_equal(read_features(path), X.T)
  np.testing.assert_array_equal(read_features(path, layout="dt"), X)
  np.testing.assert_array_equal(read_features(path, width=3), X)
  np.testing.assert_array_equal(read_features(path, width=7), X.T)
  assert read_features(path, layout="dt").flags.c_contiguous
  for options in ({"width": 4}, {"width": 3, "layout": "td"}):
    assert f"but {options['width']} numbers" in sentence(path, **options)
  square = save(tmp_path / "b.npy", X[:3])
  np.testing.assert_array_equal(read_features(square, width=3), X[:3])


CONTENTS = {
  "nan": (np.where(X[4, 1] == X, np.nan, X), "first at time step 4, number 1"),
  "infinite": (np.where(X[2, 0] == X, np.inf, X), "1 values that are NaN or infinite"),
  "beyond float32": (np.full((2, 2), 1e300), "4 values"),
  "one axis": (X[0], "shape (3,)"),
  "three axes": (np.zeros((2, 2, 2)), "shape (2, 2, 2)"),
  "empty": (np.zeros((0, 3)), "shape (0, 3)"),
  "complex": (X + 1j, "complex"),
  "text": (np.array([["a"]]), "of type <U1"),
  "bool": (X > 0, "of type bool"),
}


@pytest.mark.parametrize("case", CONTENTS)
def test_contents(tmp_path, case):
  x, expected = CONTENTS[case]
  assert expected in sentence(save(tmp_path / "a.npy", x))


@pytest.mark.parametrize("suffix", ["npy", "npz", "csv", "h5"])
@pytest.mark.parametrize("keep", [0, 9, -1])
def test_cut_off(tmp_path, suffix, keep):
  path = save(tmp_path / f"a.{suffix}")
  data = path.read_bytes()
  if suffix == "csv" and keep:  # in the middle of the last row
    keep = data.rindex(b",")
  path.write_bytes(data[:keep])
  assert "damaged or cut off" in sentence(path)


def test_pickles_are_refused_unless_asked_for(tmp_path):
  x = np.empty(len(X), object)
  x[:] = [row.tolist() for row in X]
  for path in (save(tmp_path / "a.npy", x), save(tmp_path / "a.npz", x)):
    assert "allow_pickle=True" in sentence(path)
    np.testing.assert_array_equal(read_features(path, allow_pickle=True), X)
  path = tmp_path / "b.npy"
  path.write_bytes(pickle.dumps(X))  # no .npy at all
  assert "damaged" in sentence(path) and "damaged" in sentence(path, allow_pickle=True)
  ragged = np.array([[1], [2, 3]], object)
  assert "no array of numbers" in sentence(
    save(tmp_path / "c.npy", ragged), allow_pickle=True
  )


def test_missing_and_unknown_files(tmp_path):
  assert "no feature file" in sentence(tmp_path / "none.npy")
  assert "give one of .npy" in sentence(tmp_path / "a.txt")
  assert "no keys" in sentence(f"{save(tmp_path / 'a.npy')}::x")


def test_missing_h5py(tmp_path, monkeypatch):
  monkeypatch.setitem(__import__("sys").modules, "h5py", None)
  path = tmp_path / "a.h5"
  path.write_bytes(b"x")
  assert "pip install 'jaxvision[h5]'" in sentence(path)


def test_keys_of_archives(tmp_path):
  path = tmp_path / "all.npz"
  np.savez(path, v_a=X, b=X[:2])
  np.testing.assert_array_equal(read_features(f"{path}::b"), X[:2])
  assert "holds 2 arrays, v_a, b" in sentence(path)
  assert "no array 'c'" in sentence(f"{path}::c")
  assert find_features(path, ["a", "b", "c"]) == {
    "a": f"{path}::v_a",
    "b": f"{path}::b",
  }
  np.savez(path, features=X, time=np.arange(7))
  np.testing.assert_array_equal(read_features(path), X)


def test_keys_of_hdf5(tmp_path):
  path = save(tmp_path / "all.h5")
  assert find_features(path, ["a"]) == {"a": f"{path}::v_a/features"}
  np.testing.assert_array_equal(read_features(f"{path}::v_a/features"), X)


def test_find_features(tmp_path):
  for name in ("v_a.npy", "b.csv", "rgb_a.npz", "notes.txt", ".b.npy", "x.y.npy"):
    (tmp_path / name).touch()
  place = lambda name: str(tmp_path / name)
  assert find_features(tmp_path, ["b", "a", "c"]) == {
    "b": place("b.csv"),
    "a": place("v_a.npy"),
  }
  assert find_features(tmp_path, ["a"], prefix="rgb_") == {"a": place("rgb_a.npz")}
  assert list(list_features(tmp_path)) == ["b", "rgb_a", "v_a", "x.y"]
  (tmp_path / "b.npy").touch()
  with pytest.raises(UserError, match=r"'b' are in both .*b.csv and .*b.npy"):
    find_features(tmp_path, ["b"])
  assert find_features(tmp_path, ["a"]) == {"a": place("v_a.npy")}
  with pytest.raises(UserError, match="no folder"):
    find_features(tmp_path / "none", ["a"])


def test_infer_layout(tmp_path):
  rng = np.random.default_rng(0)
  files = [save(tmp_path / f"{t}.npy", rng.normal(size=(t, 3))) for t in (2, 5, 9)]
  assert infer_layout(files) == ("td", 3)
  turned = [save(tmp_path / "dt" / f.name, np.load(f).T) for f in files]
  assert infer_layout(turned) == ("dt", 3)
  resized = [save(tmp_path / f"r{i}.npy", np.ones((4, 3))) for i in range(3)]
  assert infer_layout(resized) == ("td", 3)
  odd = save(tmp_path / "odd.npy", np.ones((4, 4)))
  for others in (files, resized):  # also if all agree on the other axis
    with pytest.raises(UserError, match=r"odd.npy has .* \(4, 4\), but most files"):
      infer_layout([odd, *others])
  with pytest.raises(UserError, match="no feature files"):
    infer_layout([])
