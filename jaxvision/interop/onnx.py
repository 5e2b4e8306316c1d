"""Writes a model as ONNX, by jax2onnx, and compares what onnxruntime makes of it.

jax2onnx wants an older Orbax than the rest of the package may have, so this belongs
into an environment of its own: `pip install 'jaxvision[onnx]'`.
"""

import contextlib
import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import export
from jax.extend import core

from jaxvision import files
from jaxvision.errors import UserError
from jaxvision.ops import trees
from jaxvision.typing import PyTree

FILE = "model.onnx"
TOLERANCE = 1e-4  # of the largest value of an output
SIZE = 3  # of the batch that is compared, where the model takes any
SILENT = 3  # onnxruntime's level of errors


def write(
  predict: Callable[[PyTree, PyTree], PyTree],
  variables: PyTree,
  inputs: PyTree,
  path: Path,
  *,
  batch_size: int | None = None,
) -> float:
  """Writes an ONNX file whose inputs and outputs have the names that they have here.

  Args:
    predict: (variables, inputs) -> outputs, pure.
    variables: become part of the file.
    inputs: `jax.ShapeDtypeStruct`s with batch size 1.
    path: of the file.
    batch_size: of the model; None is any, for which jax2onnx lacks some operations.

  Returns:
    How far onnxruntime's outputs are from those of `predict` on random inputs, as a
    part of the largest value of an output.

  Raises:
    UserError: jax2onnx is missing, it cannot convert the model, or it does so wrongly.
  """
  fn = lambda x: predict(variables, x)
  content = _convert(fn, inputs, batch_size)
  found = _difference(fn, content, random_inputs(inputs, batch_size or SIZE))
  if not found <= TOLERANCE:
    raise UserError(
      f"jax2onnx converts this model wrongly: outputs are off by {found}."
    )
  files.write_bytes(path, content)
  return found


def _convert(
  fn: Callable[[PyTree], PyTree], inputs: PyTree, batch_size: int | None
) -> bytes:
  try:
    import jax2onnx
  except ImportError as error:
    raise UserError(
      "ONNX needs jax2onnx and onnxruntime: pip install 'jaxvision[onnx]', in an "
      "environment of its own."
    ) from error
  size = batch_size or export.symbolic_shape("batch")[0]
  spec = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct((size, *x.shape[1:]), x.dtype), inputs
  )
  # Traced here, the model has primitive operations only. jax2onnx would replace
  # functions of jax.numpy and Flax while it traces, some by what does not fit.
  program, outputs = jax.make_jaxpr(fn, return_shape=True)(spec)
  try:
    with _quiet():
      model = jax2onnx.to_onnx(
        core.jaxpr_as_fun(program),
        jax.tree.leaves(spec),
        model_name="jaxvision",
        input_names=_names(spec, "inputs"),
        output_names=_names(outputs, "outputs"),
      )
  except Exception as error:  # its errors have no common type
    reason = str(error).partition("\n")[0]
    hint = "" if batch_size else "; a fixed size of the batch may help, config.onnx=1"
    raise UserError(f"jax2onnx cannot convert this model: {reason}{hint}.") from error
  return model.SerializeToString()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
  """Silences what jax2onnx says about its own inner workings."""
  logger = logging.getLogger("onnx_ir")
  level = logger.level
  logger.setLevel(logging.ERROR)
  try:
    with warnings.catch_warnings():
      warnings.simplefilter("ignore")
      yield
  finally:
    logger.setLevel(level)


def _names(tree: PyTree, alone: str) -> list[str]:
  """Names of a tree's leaves; of an array without a name, `alone`."""
  return [path or alone for path in trees.paths(tree)]


def random_inputs(inputs: PyTree, size: int, *, seed: int = 0) -> PyTree:
  """Returns a batch of normal numbers; of integers, of pixels.

  Args:
    inputs: `jax.ShapeDtypeStruct`s, whose first axis is the batch.
    size: of the batch.
    seed: of the numbers.
  """
  rng = np.random.default_rng(seed)

  def fill(leaf: jax.ShapeDtypeStruct) -> np.ndarray:
    shape = (size, *leaf.shape[1:])
    if jnp.issubdtype(leaf.dtype, jnp.integer):
      return rng.integers(0, 256, shape).astype(leaf.dtype)
    return rng.normal(size=shape).astype(leaf.dtype)

  return jax.tree.map(fill, inputs)


def _difference(fn: Callable[[PyTree], PyTree], content: bytes, x: PyTree) -> float:
  """Largest difference of onnxruntime's outputs, over the largest value of each."""
  import onnxruntime

  options = onnxruntime.SessionOptions()
  options.log_severity_level = SILENT
  try:
    session = onnxruntime.InferenceSession(
      content, options, providers=["CPUExecutionProvider"]
    )
    feeds = dict(zip(_names(x, "inputs"), jax.tree.leaves(x), strict=True))
    outputs = session.run(None, feeds)
  except Exception as error:  # its errors have no common type
    reason = str(error).partition("\n")[0]
    raise UserError(f"onnxruntime refuses what jax2onnx wrote: {reason}") from error
  expected = jax.tree.leaves(jax.device_get(jax.jit(fn)(x)))
  return max(map(relative_difference, outputs, expected))


def relative_difference(found: np.ndarray, expected: np.ndarray) -> float:
  """Largest difference over the largest expected value; infinite for other shapes."""
  if found.shape != expected.shape:
    return float("inf")
  found, expected = (np.asarray(a, np.float64) for a in (found, expected))
  return float(np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-30))
