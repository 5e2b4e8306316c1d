"""Every method leaves: as StableHLO to a process with JAX alone, and as safetensors."""

import re
import subprocess
import sys

import jax
import jaxtyping
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from experiments.checks import tiny_methods
from jaxvision import experiment
from jaxvision.errors import UserError
from jaxvision.interop import export, weights
from jaxvision.methods.common import quantized

METHODS = tuple(tiny_methods.CHANGES)
each_method = pytest.mark.parametrize("name", METHODS)
SIZE = 3
SCRIPT = """
import pathlib, sys
import jax.export
import numpy as np
for folder in pathlib.Path(".").iterdir():
  fn = jax.export.deserialize((folder / "model.stablehlo").read_bytes()).call
  np.savez(folder / "outputs.npz", **fn(np.load(folder / "inputs.npy")))
absent = {"jaxvision", "flax", "optax", "orbax"} & set(sys.modules)
assert not absent, absent
"""


@pytest.fixture(scope="module")
def methods():
  # jaxtyping does not understand symbolic batch sizes; see `conftest.unchecked`.
  jaxtyping.config.update("jaxtyping_disable", True)
  yield {name: tiny_methods.build(name) for name in METHODS}
  jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="module")
def folder(methods, tmp_path_factory):
  """Exports of all methods, and what a process with JAX alone makes of them."""
  target = tmp_path_factory.mktemp("exports")
  for name, tiny in methods.items():
    own = target / name
    export.write(tiny.method.predict, tiny.variables, tiny.method.inputs, own)
    np.save(own / "inputs.npy", tiny_methods.inputs(tiny.method, SIZE))
  subprocess.run([sys.executable, "-c", SCRIPT], cwd=target, check=True, timeout=300)
  return target


def test_no_method_is_forgotten():
  with pytest.raises(UserError) as error:
    experiment.method_module("")
  known = str(error.value).partition("choose one of ")[2].rstrip(".").split(", ")
  assert sorted(METHODS) == sorted(known)


@each_method
def test_outputs_are_those_of_predict(methods, folder, name):
  tiny = methods[name]
  x = np.load(folder / name / "inputs.npy")
  expected = jax.device_get(jax.jit(tiny.method.predict)(tiny.variables, x))
  found = np.load(folder / name / "outputs.npz", allow_pickle=False)
  assert set(found.files) == set(expected)
  for key, value in expected.items():
    assert found[key].dtype == value.dtype and found[key].shape == value.shape
    tolerance = 1e-5 * np.abs(value).max()
    np.testing.assert_allclose(found[key], value, rtol=0, atol=tolerance)
  assert any(np.std(value) > 0 for value in expected.values())


@each_method
def test_exported_variables_start_a_run_bit_for_bit(methods, tmp_path, name):
  config, _, states, variables = methods[name]
  path = tmp_path / weights.FILE
  weights.write_safetensors(path, variables)
  config = config.copy_and_resolve_references()
  config.init_from = str(path)
  module = experiment.method_module(name)
  stages = module.build(config, module.load(config, abstract=True)).stages
  each = (stage.frozen(states) for stage in stages)
  found = flatten_dict(next(f["start"] for f in each if "start" in f), sep="/")
  if name == "domain_class_decomposition":  # the network, of all that is trained
    variables = {c: tree["model"] for c, tree in variables.items()}
  expected = flatten_dict(variables, sep="/")
  # Quantizers are not read: they are fitted to the weights.
  fitted = {key for key in expected if re.fullmatch(quantized.MODULES, module_of(key))}
  assert set(found) == set(expected) - fitted
  assert bool(fitted) == (name == "quantization_networks")
  for key, value in found.items():
    np.testing.assert_array_equal(value, expected[key], strict=True)


def module_of(key):
  return key.partition("/")[2].rpartition("/")[0]
