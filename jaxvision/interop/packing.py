"""Packed checkpoints: quantized weights as integer codes of a few bits.

A safetensors file. Of a quantized weight "conv2/kernel" it holds the codes, packed in
32-bit words, as "codes/conv2/kernel", and what they stand for, alpha times the levels,
as "values/conv2/kernel": [levels], or [channels, levels] where every output channel has
its own scale. All other variables are there as they are, under "params/...". The
quantizers of the weights are not: nothing is left for them to do.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import safetensors
import safetensors.numpy
from flax import traverse_util

from jaxvision import files
from jaxvision.errors import UserError
from jaxvision.ops import quantization_codes as codes
from jaxvision.typing import Array, PyTree

FILE, FACTS = "packed.safetensors", "packed.json"
MOST_BITS = 8  # more would be no packing
CODES, VALUES, PARAMS = "codes", "values", "params"


class Packed(NamedTuple):
  """One quantized weight.

  Attributes:
    words: uint32, codes in order.
    values: float32, what the codes stand for.
    shape: of the weight.
    bits: of one code.
  """

  words: np.ndarray
  values: np.ndarray
  shape: tuple[int, ...]
  bits: int


def pack(weight: Array | np.ndarray) -> Packed | None:
  """Packs a hard-quantized weight; None if it has more than 256 values a channel.

  The values are found, not assumed, so that any quantizer's weights unpack bit for bit:
  in the whole tensor or, where that takes fewer bits, in each output channel.
  """
  w = np.asarray(weight, np.float32)
  rows = w.reshape(1, -1), w.reshape(-1, w.shape[-1]).T
  packed = [found for found in map(_code_rows, rows) if found is not None]
  if not packed:
    return None
  number, values, bits = min(packed, key=lambda found: found[2])
  number = number.T.reshape(w.shape)
  values = values[0] if len(values) == 1 else values
  words = codes.pack_codes(jax.numpy.asarray(number), bits)
  return Packed(np.asarray(words), values, w.shape, bits)


def _code_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, int] | None:
  """Codes [r, n], values [r, k] and bits of rows [r, n] with few values each."""
  each = [np.unique(row, return_inverse=True) for row in rows]
  most = max(len(values) for values, _ in each)
  if most > 2**MOST_BITS:
    return None
  table = np.stack([np.pad(v, (0, most - len(v)), mode="edge") for v, _ in each])
  number = np.stack([inverse.reshape(-1) for _, inverse in each])
  return number.astype(np.uint8), table, codes.code_bits(most)


def unpack(packed: Packed) -> np.ndarray:
  """Undoes `pack`, to the bit."""
  words = jax.numpy.asarray(packed.words)
  number = np.asarray(codes.unpack_codes(words, packed.shape, packed.bits))
  if packed.values.ndim == 1:
    return packed.values[number]
  return packed.values[np.arange(packed.shape[-1]), number]


def write(path: Path, variables: PyTree, quantized: Mapping[str, Array]) -> dict:
  """Writes variables with some weights packed.

  Args:
    path: of the file.
    variables: of the network, without the quantizers of its weights.
    quantized: {path in "params": hard-quantized weight}.

  Returns:
    Facts, also in the file: {"bytes", "float_bytes", "compression", of the whole file;
    "quantized_bytes", "quantized_compression", of the packed weights; "weights":
    {path: {"bits", "shape"}}}.

  Raises:
    UserError: a weight that has more than 256 values a channel.
  """
  flat = traverse_util.flatten_dict(jax.device_get(dict(variables)), sep="/")
  arrays = {name: np.asarray(value, order="C") for name, value in flat.items()}
  float_bytes = sum(value.nbytes for value in arrays.values())
  weights, packed_bytes, was = {}, 0, 0
  for name, weight in jax.device_get(dict(quantized)).items():
    packed = pack(weight)
    if packed is None:
      raise UserError(f"{name} is not quantized to a few levels and cannot be packed.")
    was += arrays.pop(f"{PARAMS}/{name}").nbytes
    arrays[f"{CODES}/{name}"] = packed.words
    arrays[f"{VALUES}/{name}"] = packed.values
    packed_bytes += packed.words.nbytes + packed.values.nbytes
    weights[name] = {"bits": packed.bits, "shape": list(packed.shape)}
  content = safetensors.numpy.save(arrays, {"weights": json.dumps(weights)})
  files.write_bytes(path, content)
  return {
    "bytes": len(content),
    "float_bytes": float_bytes,
    "compression": round(float_bytes / len(content), 2),
    "quantized_bytes": packed_bytes,
    "quantized_compression": round(was / max(packed_bytes, 1), 2),
    "weights": weights,
  }


def read(path: Path) -> PyTree:
  """Returns the variables of the network, its weights unpacked.

  Raises:
    UserError: there is no such file, or it is damaged or of another kind.
  """
  if not path.is_file():
    raise UserError(f"there is no {path}; run --mode=export first.")
  try:
    with safetensors.safe_open(path, "numpy") as file:
      weights: dict[str, Any] = json.loads((file.metadata() or {})["weights"])
      arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    for name, facts in weights.items():
      own = [arrays.pop(f"{kind}/{name}") for kind in (CODES, VALUES)]
      packed = Packed(*own, tuple(facts["shape"]), facts["bits"])
      arrays[f"{PARAMS}/{name}"] = unpack(packed)
  except (safetensors.SafetensorError, KeyError, ValueError) as error:
    raise UserError(f"{path} is no packed checkpoint, or a damaged one.") from error
  variables = {name: jax.numpy.asarray(value) for name, value in arrays.items()}
  return traverse_util.unflatten_dict(variables, sep="/")
