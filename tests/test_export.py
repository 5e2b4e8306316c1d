"""Exported models run elsewhere, with JAX alone."""

import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.errors import UserError
from jaxvision.interop import export, onnx

X = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
VARIABLES = {"params": {"w": np.random.default_rng(1).normal(size=(3, 2))}}
SPEC = {"x": jax.ShapeDtypeStruct((1, 3), jnp.float32)}


def predict(variables, inputs):
  w = jnp.asarray(variables["params"]["w"], jnp.float32)
  return {"score": jnp.tanh(inputs["x"] @ w), "norm": jnp.sum(inputs["x"] ** 2, -1)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  path = tmp_path_factory.mktemp("run") / "a" / "export"
  export.write(predict, VARIABLES, SPEC, path)
  return path


@pytest.mark.parametrize("size", [1, 4, 7])
def test_any_batch_size_round_trips(folder, size):
  fn = export.read(folder)
  found, expected = fn({"x": X[:size]}), jax.jit(predict)(VARIABLES, {"x": X[:size]})
  for name, value in expected.items():
    np.testing.assert_array_equal(found[name], value)


def test_facts_tell_what_goes_in_and_out(folder):
  facts = json.loads((folder / "model.json").read_text())
  assert set(facts["platforms"]) == {"cpu", "cuda", "tpu"}
  assert facts["inputs"] == ["float32[b,3]"]
  assert sorted(facts["outputs"]) == ["float32[b,2]", "float32[b]"]
  assert (folder / "model.stablehlo").stat().st_size > 0


def test_it_runs_where_there_is_only_jax(folder):
  np.save(folder / "x.npy", X)
  script = """
import sys, jax, numpy as np
import jax.export
fn = jax.export.deserialize(open("model.stablehlo", "rb").read()).call
np.save("y.npy", fn({"x": np.load("x.npy")})["score"])
absent = {"jaxvision", "flax", "optax", "orbax"} & set(sys.modules)
assert not absent, absent
"""
  subprocess.run([sys.executable, "-c", script], cwd=folder, check=True, timeout=60)
  expected = jax.jit(predict)(VARIABLES, {"x": X})["score"]
  np.testing.assert_array_equal(np.load(folder / "y.npy"), expected)


def test_several_inputs_share_one_batch_size(tmp_path):
  spec = [jax.ShapeDtypeStruct((1, 2), jnp.float32)] * 2
  export.write(lambda _, xs: xs[0] + 2 * xs[1], {}, spec, tmp_path)
  found = export.read(tmp_path)([np.ones((3, 2), np.float32)] * 2)
  np.testing.assert_array_equal(found, np.full((3, 2), 3.0))


def test_a_model_that_cannot_be_exported_leaves_nothing(tmp_path):
  impossible = lambda _, inputs: jnp.zeros(()) if inputs["x"].shape[0] > 3 else 1.0
  with pytest.raises(UserError, match="this model cannot be exported: "):
    export.write(impossible, {}, SPEC, tmp_path / "export")
  assert not (tmp_path / "export").exists()


def test_onnx_without_its_packages_is_one_sentence(tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, "jax2onnx", None)
  with pytest.raises(UserError, match="ONNX needs jax2onnx and onnxruntime"):
    onnx.write(predict, VARIABLES, SPEC, tmp_path / "model.onnx")
  assert not list(tmp_path.iterdir())


def test_onnx_differences_are_relative_to_the_largest_value():
  found = np.array([[1.0, 2.0]], np.float32)
  assert onnx.relative_difference(found, 2 * found) == 0.5
  assert onnx.relative_difference(found, found[0]) == np.inf
  assert np.isnan(onnx.relative_difference(found * np.nan, found))


def test_reading_what_was_not_written_is_one_sentence(tmp_path):
  sentence = r"there is no .*model\.stablehlo; run --mode=export first"
  with pytest.raises(UserError, match=sentence):
    export.read(tmp_path)
