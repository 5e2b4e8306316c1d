"""Files of weights: safetensors and npz in, safetensors out, torch's .pth in."""

import re
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy
from flax import traverse_util

from jaxvision import files
from jaxvision.errors import UserError
from jaxvision.interop.torch import import_state_dict
from jaxvision.layers.insertion import Inserted
from jaxvision.typing import PyTree

FILE = "variables.safetensors"  # of an export
# The format's own reader for numpy knows no bfloat16.
DTYPES = {
  "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16",
  "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8",
  "U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip
WRAPPERS = ("state_dict", "model")  # under which training scripts save the weights


def load_variables(
  path: str | Path,
  model: nn.Module | Inserted,
  spec: PyTree,
  *,
  leave: str = "",
  part: str = "",
) -> PyTree:
  """Reads the variables of a network: our own file, or one with torch's names.

  Args:
    path: see `read_weights`.
    model: the network; see `interop.torch.import_state_dict`.
    spec: shapes of its variables, `jax.eval_shape(model.init, key, x)`.
    leave: regular expression that fully matches the paths of modules to leave out, as
      "logits|neck": the caller has other values for them.
    part: name that the network has in our own file of several networks, as "model" in
      "params/model/conv1/kernel"; the others are not read.

  Returns:
    Variables like `spec`, but for what is left out.

  Raises:
    UserError: naming the file, if it cannot be read or does not fit.
  """
  weights = read_weights(path)
  try:
    if any(name.startswith("params/") for name in weights):
      return _own_variables(_of_part(weights, part), spec, leave)
    return import_state_dict(model, weights, spec=spec, leave=leave)
  except UserError as error:
    raise UserError(f"{path}: {error}") from error


def read_weights(path: str | Path) -> dict[str, np.ndarray]:
  """Reads named arrays from a .safetensors, .npz, .pth, .pt or .pth.tar file.

  Never unpickles: torch's files go through `torch.load(weights_only=True)` and need
  torch.

  Raises:
    UserError: naming the file, if it is missing, damaged or of another kind.
  """
  path = Path(path).expanduser()
  if path.suffix not in READERS:
    raise UserError(
      f"{path} is no file of weights; their names end in {', '.join(READERS)}."
    )
  if not path.is_file():
    raise UserError(f"there is no file of weights {path}.")
  return READERS[path.suffix](path)


def write_safetensors(
  path: str | Path, variables: PyTree, *, metadata: Mapping[str, str] | None = None
) -> None:
  """Writes variables, whole or not at all, under names such as "params/conv1/kernel".

  Args:
    path: ends in .safetensors.
    variables: as of `model.init`.
    metadata: what else the file says, such as where the variables come from.

  Raises:
    UserError: the name ends in something else.
  """
  path = Path(path).expanduser()
  if path.suffix != ".safetensors":
    raise UserError(f"{path} is to be a .safetensors file; rename it.")
  flat = traverse_util.flatten_dict(jax.device_get(dict(variables)), sep="/")
  # The format's writer copies memory as it lies: a transposed view would be scrambled.
  arrays = {name: np.asarray(value, order="C") for name, value in flat.items()}
  files.write_bytes(path, safetensors.numpy.save(arrays, dict(metadata or {})))


def _of_part(weights: Mapping[str, np.ndarray], part: str) -> Mapping[str, np.ndarray]:
  """The arrays of one network out of several; all, if the file has no such part."""
  own = {}
  for name, value in weights.items():
    collection, _, rest = name.partition("/")
    if part and rest.startswith(f"{part}/"):
      own[f"{collection}/{rest.removeprefix(f'{part}/')}"] = value
  return own or weights


def _own_variables(
  weights: Mapping[str, np.ndarray], spec: PyTree, leave: str
) -> PyTree:
  flat = traverse_util.flatten_dict(dict(spec), sep="/")
  wanted = {name: leaf for name, leaf in flat.items() if not _left(name, leave)}
  found = {name: value for name, value in weights.items() if not _left(name, leave)}
  if lost := sorted(set(wanted) - set(found)):
    raise UserError(f"{lost[0]!r}, which the network needs, is not in it.")
  if foreign := sorted(set(found) - set(wanted)):
    raise UserError(f"it has {foreign[0]!r}, for which the network has no place.")
  for name, leaf in wanted.items():
    if found[name].shape != leaf.shape:
      raise UserError(
        f"{name!r} has shape {found[name].shape}, but the network's has {leaf.shape}; "
        "give the model the file's classes, widths and image size, or leave it out."
      )
  variables = {n: jnp.asarray(found[n], leaf.dtype) for n, leaf in wanted.items()}
  return traverse_util.unflatten_dict(variables, sep="/")


def _left(name: str, leave: str) -> bool:
  """Whether the module of "params/<module>/kernel" is to be left out."""
  module = name.partition("/")[2].rpartition("/")[0]
  return bool(leave) and re.fullmatch(leave, module) is not None


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
  try:
    content = safetensors.deserialize(path.read_bytes())
  except safetensors.SafetensorError as error:
    raise UserError(f"{path} is no whole safetensors file: {error}.") from error
  return {name: _array(path, name, **value) for name, value in content}


def _array(
  path: Path, name: str, *, dtype: str, data: bytearray, shape: list[int]
) -> np.ndarray:
  if dtype not in DTYPES:
    known = ", ".join(DTYPES)
    raise UserError(f"{path}: {name!r} has numbers of type {dtype}; known are {known}.")
  return np.frombuffer(data, jnp.dtype(DTYPES[dtype])).reshape(shape)


def _read_npz(path: Path) -> dict[str, np.ndarray]:
  try:
    with np.load(path, allow_pickle=False) as archive:
      return {name: archive[name] for name in archive.files}
  except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
    reason = str(error).partition("\n")[0]
    raise UserError(f"{path} is no npz file of plain arrays: {reason}.") from error


def _read_torch(path: Path) -> dict[str, np.ndarray]:
  try:
    import torch
  except ImportError as error:
    raise UserError(
      f"reading {path} needs torch (pip install 'jaxvision[torch]'), or convert it to "
      "safetensors."
    ) from error
  try:
    content = torch.load(path, map_location="cpu", weights_only=True)
  except Exception as error:  # torch's errors have no common type
    raise UserError(
      f"{path} is damaged, or holds more than weights and is not read for safety; save "
      "the state dict alone."
    ) from error
  for wrapper in WRAPPERS:
    if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
      content = content[wrapper]
  if not isinstance(content, Mapping) or not all(
    map(torch.is_tensor, content.values())
  ):
    raise UserError(f"{path} holds no state dict; save model.state_dict() alone.")
  return {name: _numpy(value) for name, value in content.items()}


def _numpy(tensor: Any) -> np.ndarray:
  tensor = tensor.detach()
  return (tensor.float() if tensor.is_floating_point() else tensor).numpy()


READERS: dict[str, Callable[[Path], dict[str, np.ndarray]]] = {
  ".safetensors": _read_safetensors,
  ".npz": _read_npz,
  ".pth": _read_torch,
  ".pt": _read_torch,
  ".tar": _read_torch,
}
