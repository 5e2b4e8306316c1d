"""Integer codes of hard-quantized tensors."""

import chex
import jax
from quantization_support import each_set, sample

from jaxvision.ops import quantization as q
from jaxvision.ops import quantization_codes as qc


@each_set
def test_codes_pack_and_unpack(levels):
  x, own = sample(levels, 105)
  x = x.reshape(3, 5, 7)
  codes = qc.hard_codes(x, beta=own["beta"], biases=own["biases"])
  decoded = qc.decode(codes, alpha=own["alpha"], levels=levels)
  chex.assert_trees_all_equal(decoded, q.hard_quantize(x, **own, levels=levels))
  bits = qc.code_bits(len(levels))
  words = jax.jit(qc.pack_codes, static_argnums=1)(codes, bits)
  assert words.size == -(-105 // (32 // bits))
  chex.assert_trees_all_equal(qc.unpack_codes(words, x.shape, bits), codes)


def test_bits_of_a_code():
  sizes = {name: qc.code_bits(len(q.LEVELS[name])) for name in ("w1", "w2", "w3pm2")}
  assert sizes == {"w1": 1, "w2": 2, "w3pm2": 3}
  assert [qc.code_bits(len(q.LEVELS[n])) for n in ("w3pm4", "w5", "a8")] == [3, 5, 8]
