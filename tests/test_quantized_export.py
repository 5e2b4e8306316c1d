"""A quantized network leaves: packed, as one artefact, where there is no model code."""

import json
import subprocess
import sys

import jax
import numpy as np
import pytest

from configs import quantization_networks as config_file
from jaxvision import experiment
from jaxvision.interop import packing
from jaxvision.methods import quantization_networks as method
from jaxvision.methods.common import quantized, supervised

TINY = {
  "data.name": "digits",
  "data.limit": 120,
  "batch_size": 40,
  "per_dispatch": 3,
  "quantize.weights": (
    {"at": "dense1/.*|logits/.*", "quantizer": "none"},
    {"at": ".*kernel", "levels": "w2"},
  ),
  "quantize.options.method": "linear",
  "data.validation": 0.0,
  "pretrain": False,
  "phases.weights.epochs": 1.0,
  "eval.every": 0,
  "log.figures": False,
}
SCRIPT = """
import sys, jax, numpy as np
import jax.export
fn = jax.export.deserialize(open("model.stablehlo", "rb").read()).call
np.save("logits.npy", fn(np.load("image.npy"))["logits"])
absent = {"jaxvision", "flax", "optax", "orbax"} & set(sys.modules)
assert not absent, absent
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
  """A trained and exported run: config, folder of the export, printed lines."""
  folder = tmp_path_factory.mktemp("quantized")
  config = config_file.get_config()
  with config.unlocked():
    config.model = {"name": "mlp", "hidden": (48, 40, 40)}
  config.update_from_flattened_dict(TINY)
  experiment.run(config, folder)
  experiment.run(config, folder, "export")
  return config, folder


def test_the_packed_checkpoint_is_bit_equal_and_its_size_is_told(exported):
  config, folder = exported
  facts = json.loads((folder / "export" / packing.FACTS).read_text())
  path = folder / "export" / packing.FILE
  assert facts["bytes"] == path.stat().st_size < facts["float_bytes"]
  assert facts["quantized_compression"] > 12  # 16 but for rounding up and the levels
  plan = experiment.prepare(method, config)
  state = experiment.final_state(plan, folder)
  hard = supervised.build_model(config, 10)
  plain = jax.jit(quantized.plain(hard).apply)
  x = jax.random.uniform(jax.random.key(0), (5, 8, 8, 1))
  expected = jax.jit(hard.apply)(plan.method.variables(state), x)
  np.testing.assert_array_equal(plain(packing.read(path), x), expected)


def test_the_artefact_needs_no_model_code_and_is_quantized(exported):
  config, folder = exported
  target = folder / "export"
  image = np.random.default_rng(0).integers(0, 256, (7, 8, 8, 1), np.uint8)
  np.save(target / "image.npy", image)
  command = [sys.executable, "-c", SCRIPT]
  subprocess.run(command, cwd=target, check=True, timeout=60)
  packed = packing.read(target / packing.FILE)
  model = quantized.plain(supervised.build_model(config, 10))
  expected = jax.jit(model.apply)(packed, image / np.float32(255))
  found = np.load(target / "logits.npy")
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
  ("variant", "count", "side"),
  [("resnet50", 52, 64), ("alexnet", 6, 64), ("vgg16", 14, 32)],
)
def test_as_many_layers_as_in_the_paper_are_quantized(variant, count, side):
  config = config_file.get_config(variant)
  config.quantize.options.method = "linear"  # k-means takes long to trace
  model = supervised.build_model(config, 1000)
  x = jax.ShapeDtypeStruct((1, side, side, 3), np.float32)
  assert len(quantized.parameters(model, x).quantized) == count
