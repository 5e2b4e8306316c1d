"""Packed checkpoints: bit for bit what they were made of, and small."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.errors import UserError
from jaxvision.interop import packing
from jaxvision.layers.insertion import Inserted
from jaxvision.layers.quantized_weights import QuantizedWeights
from jaxvision.models.mlp import MLP
from jaxvision.ops import tree_quantization as tq
from jaxvision.ops.quantization import LEVELS
from jaxvision.ops.quantizers import make_scheme

X = jax.random.normal(jax.random.key(1), (5, 8, 8, 1))
BITS = {"w1": 1, "w2": 2, "w3pm2": 3, "w3pm4": 3, "w5": 5}


@pytest.mark.parametrize(
  "name, shape",
  [*((name, (3, 3, 5, 7)) for name in BITS), ("w2", (64, 33)), ("w3pm4", (200,))],
)
def test_unpacking_undoes_packing(name, shape):
  number = np.random.default_rng(0).integers(len(LEVELS[name]), size=shape)
  w = np.float32(0.0371) * np.asarray(LEVELS[name], np.float32)[number]
  packed = packing.pack(w)
  assert packed.bits <= BITS[name] and packed.words.dtype == np.uint32
  np.testing.assert_array_equal(packing.unpack(packed), w)
  each = 32 // packed.bits
  assert packed.words.size == -(-w.size // each)


def test_scales_a_channel_take_the_bits_of_one_channel():
  rng = np.random.default_rng(0)
  scale = rng.uniform(0.1, 1, 40).astype(np.float32)
  w = scale * rng.choice(np.float32([-1, 1]), (6, 40))
  packed = packing.pack(w)
  assert packed.bits == 1 and packed.values.shape == (40, 2)
  np.testing.assert_array_equal(packing.unpack(packed), w)


def test_floats_are_not_packed():
  assert packing.pack(np.random.default_rng(0).normal(size=(300, 300))) is None


def network(quantizer, levels):
  scheme = make_scheme(quantizer, levels, target="weights")
  rules = (("dense1/.*|logits/.*", None), (".*kernel", scheme))
  return Inserted(QuantizedWeights(MLP(hidden=(32, 32, 32)), rules), ())


@pytest.mark.parametrize(
  "quantizer, levels, bits",
  [
    ("quantization_networks", "w1", 1),
    ("quantization_networks", "w3pm4", 3),
    ("bwn", "w1", 1),
  ],
)
def test_outputs_of_the_packed_network_are_bit_equal(tmp_path, quantizer, levels, bits):
  model = network(quantizer, levels)
  variables = jax.jit(model.init)(jax.random.key(0), X)
  hard = model.model.quantize(variables)
  chosen = tq.quantized_paths(hard, model.model.rules)
  weights = {path: hard[path.split("/")[0]]["kernel"] for path in chosen}
  path = tmp_path / packing.FILE
  facts = packing.write(path, {"params": hard}, weights)
  loaded = packing.read(path)
  plain = jax.jit(lambda v: model.model.model.apply(v, X))
  expected = jax.jit(lambda v: model.apply(v, X))(variables)
  np.testing.assert_array_equal(plain(loaded), plain({"params": hard}))
  if quantizer == "quantization_networks":
    np.testing.assert_array_equal(plain(loaded), expected)
  else:  # its scale is a mean, which a compiler may sum in another order
    np.testing.assert_allclose(plain(loaded), expected, atol=1e-5)
  assert {w["bits"] for w in facts["weights"].values()} == {bits}
  assert facts["bytes"] == path.stat().st_size < facts["float_bytes"]
  assert facts["quantized_compression"] > 0.3 * 32 / bits


def test_a_float_weight_is_refused(tmp_path):
  w = jax.random.normal(jax.random.key(0), (600, 2))
  with pytest.raises(UserError, match="d/kernel is not quantized"):
    packing.write(tmp_path / "a", {"params": {"d": {"kernel": w}}}, {"d/kernel": w})
  assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("content", [None, b"", b"12345678901234567890"])
def test_a_missing_or_damaged_file_is_one_sentence(tmp_path, content):
  path = tmp_path / packing.FILE
  if content is not None:
    path.write_bytes(content)
  with pytest.raises(UserError, match="packed"):
    packing.read(path)


def test_other_collections_and_shapes_survive(tmp_path):
  w = jnp.ones((2, 3)) * 0.5
  variables = {
    "params": {"d": {"kernel": w, "bias": jnp.arange(3.0)}},
    "batch_stats": {"n": {"mean": jnp.zeros(3)}},
  }
  packing.write(tmp_path / "p", variables, {"d/kernel": w})
  found = packing.read(tmp_path / "p")
  assert jax.tree.structure(found) == jax.tree.structure(variables)
  for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(variables), strict=True):
    np.testing.assert_array_equal(a, b)
