"""Exports a model as one StableHLO artefact that runs without its code."""

from collections.abc import Callable
from pathlib import Path

import jax
from jax import export

from jaxvision import files
from jaxvision.errors import UserError
from jaxvision.typing import PyTree

PLATFORMS = ("cpu", "cuda", "tpu")
MODEL, FACTS = "model.stablehlo", "model.json"


def write(
  predict: Callable[[PyTree, PyTree], PyTree],
  variables: PyTree,
  inputs: PyTree,
  folder: Path,
) -> None:
  """Writes `model.stablehlo`, for any batch size on CPU, GPU and TPU, and its facts.

  Args:
    predict: (variables, inputs) -> outputs, pure.
    variables: become part of the artefact.
    inputs: `jax.ShapeDtypeStruct`s with batch size 1.
    folder: is made if need be.

  Raises:
    UserError: the model cannot be exported.
  """
  (batch,) = export.symbolic_shape("b")
  symbolic = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct((batch, *x.shape[1:]), x.dtype), inputs
  )
  fn = jax.jit(lambda x: predict(jax.device_get(variables), x))
  try:
    exported = export.export(fn, platforms=PLATFORMS)(symbolic)
  except Exception as error:
    reason = str(error).partition("\n")[0]
    raise UserError(f"this model cannot be exported: {reason}") from error
  files.write_bytes(folder / MODEL, bytes(exported.serialize()))
  facts = {
    "inputs": [str(x) for x in exported.in_avals],
    "outputs": [str(x) for x in exported.out_avals],
    "platforms": list(exported.platforms),
    "call": "jax.export.deserialize(open('model.stablehlo', 'rb').read()).call(x)",
  }
  files.write_json(folder / FACTS, facts)


def read(folder: Path) -> Callable[[PyTree], PyTree]:
  """Returns the exported function.

  Raises:
    UserError: there is no artefact in the folder, or a damaged one.
  """
  path = folder / MODEL
  if not path.is_file():
    raise UserError(f"there is no {path}; run --mode=export first.")
  try:
    return export.deserialize(path.read_bytes()).call
  except Exception as error:  # flatbuffers' errors have no common type
    raise UserError(f"{path} is damaged; run --mode=export again.") from error
