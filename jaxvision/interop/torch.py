"""Weights of torch networks as variables of ours; torch itself is not needed."""

import re
from collections.abc import Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from jaxvision.errors import UserError
from jaxvision.interop.torch_names import LEAVES, Names, names_of
from jaxvision.layers.insertion import Inserted
from jaxvision.typing import Array, PyTree


def import_state_dict(
  model: nn.Module | Inserted,
  state_dict: Mapping[str, np.ndarray],
  *,
  spec: PyTree | None = None,
  leave: str = "",
) -> PyTree:
  """Turns the state dict of a torch network into variables of the same network here.

  Knows torchvision's names and those of the papers' authors; "module." in front of all
  names (`DataParallel`) and `num_batches_tracked` are ignored. A trunk (`classes=0`)
  takes the weights of a whole classifier and does without its last layer.

  Args:
    model: one of the networks in `interop.torch_names.FAMILIES`, with insertions or
      without.
    state_dict: arrays in torch's layout by torch's names.
    spec: shapes of the variables, `jax.eval_shape(model.init, key, x)`; needed for
      inputs that are not the usual ones: images of 3 channels, and 224 pixels where a
      dense layer reads a map; sequences of 2 persons and 3 coordinates.
    leave: regular expression that fully matches the paths of modules to leave out, as
      "logits|neck": the caller has other values for them.

  Returns:
    {"params": ..., "batch_stats": ...}

  Raises:
    UserError: an unknown network; a missing or unexpected name; a wrong shape.
  """
  network = model.model if isinstance(model, Inserted) else model
  names = names_of(network)
  state = _plain(state_dict)
  spec = _usual_spec(model, names) if spec is None else spec
  kind, used, variables = type(network).__name__, set(), {}
  left = {"logits"} - set(spec["params"])  # a trunk's
  for path, leaf in traverse_util.flatten_dict(dict(spec)).items():
    module = "/".join(path[1:-1])
    if leave and re.fullmatch(leave, module):
      left.add(module)
      continue
    found, value = _value(path, leaf, names, state, kind)
    _check_shape(found[0], value, path, leaf, kind)
    variables[path] = jnp.asarray(value, leaf.dtype)
    used.update(found)
  _check_rest(set(state) - used, names, left, kind)
  return traverse_util.unflatten_dict(variables)


def _plain(state_dict: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
  """Drops the prefix of `DataParallel` and the counters of batches."""
  prefix = "module." if all(n.startswith("module.") for n in state_dict) else ""
  plain = {name.removeprefix(prefix): value for name, value in state_dict.items()}
  return {n: v for n, v in plain.items() if not n.endswith("num_batches_tracked")}


def _usual_spec(model: nn.Module | Inserted, names: Names) -> PyTree:
  shape = names.sequences or (1, names.side, names.side, 3)
  x = jax.ShapeDtypeStruct(shape, jnp.float32)
  return jax.eval_shape(model.init, jax.random.key(0), x)


def _value(
  path: tuple[str, ...],
  leaf: jax.ShapeDtypeStruct,
  names: Names,
  state: Mapping[str, np.ndarray],
  kind: str,
) -> tuple[list[str], np.ndarray]:
  """Returns torch's names of a leaf, and its value in our layout."""
  key, channels = "/".join(path[1:]), None
  if path[-1] == "kernel":
    channels = names.flattened.get("/".join(path[1:-1]))
  found, stacked = names.parts(key) or ([_find(path, names, state, kind)], False)
  if lost := [name for name in found if name not in state]:
    raise _lacking(lost[:1], path, kind)
  values = [np.asarray(state[name]) for name in found]
  if len({value.shape for value in values}) > 1:
    raise UserError(
      f"{found[0]!r} to {found[-1]!r} differ in shape; together they are to be "
      f"{'/'.join(path)} of {kind}."
    )
  if stacked:
    return found, np.stack(values) if len(values) > 1 else values[0]
  values = [_in_our_layout(value, channels) for value in values]
  value = np.concatenate(values, axis=-1) if len(values) > 1 else values[0]
  return found, _along_time(value, leaf.shape) if names.sequences else value


def _along_time(value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
  """Drops or moves the axes of a kernel of (k, 1) taps that it does not cover."""
  if value.ndim < 3:
    return value
  taps = lambda sizes: [n for n in sizes[:-2] if n > 1] + list(sizes[-2:])
  return value.reshape(shape) if taps(value.shape) == taps(shape) else value


def _find(
  path: tuple[str, ...], names: Names, state: Mapping[str, np.ndarray], kind: str
) -> str:
  """Returns torch's name of a leaf."""
  module = "/".join(path[1:-1])
  candidates = names.candidates(module)
  if not candidates or path[-1] not in LEAVES:
    raise UserError(
      f"torch's {kind} has no counterpart of {'/'.join(path)}; leave it out of the "
      f"import (leave={module!r})."
    )
  full = [f"{name}.{LEAVES[path[-1]]}" for name in candidates]
  for name in full:
    if name in state:
      return name
  raise _lacking(full, path, kind)


def _lacking(names: list[str], path: tuple[str, ...], kind: str) -> UserError:
  return UserError(
    f"the state dict lacks {' or '.join(map(repr, names))}, which {kind} needs for "
    f"{'/'.join(path)}; it is of another network, or the config of another size."
  )


def _in_our_layout(value: np.ndarray, channels: int | None) -> np.ndarray:
  """Moves input and output channels to the end; see `Names.flattened` for channels."""
  if value.ndim == 4:  # (out, in, height, width)
    return value.transpose(2, 3, 1, 0)
  if value.ndim != 2:
    return value
  if channels and value.shape[1] % channels == 0:
    value = value.reshape(len(value), channels, -1).swapaxes(1, 2)
  return value.reshape(len(value), -1).T


def _check_shape(
  name: str,
  value: np.ndarray | Array,
  path: tuple[str, ...],
  leaf: jax.ShapeDtypeStruct,
  kind: str,
) -> None:
  if value.shape != leaf.shape:
    raise UserError(
      f"{name!r} has shape {value.shape} in our layout, but {'/'.join(path)} of this "
      f"{kind} has {leaf.shape}; give the model the file's classes, widths and image "
      "size, or leave it out of the import."
    )


def _check_rest(rest: set[str], names: Names, left: set[str], kind: str) -> None:
  """Complains of names that are neither used nor known to be of no use."""
  unneeded = {name for module in left for name in names.candidates(module)}
  unexpected = sorted(
    name
    for name in rest
    if name.rpartition(".")[0] not in unneeded and not re.fullmatch(names.unused, name)
  )
  if unexpected:
    raise UserError(
      f"the state dict has {unexpected[0]!r} ({len(unexpected)} such), for which this "
      f"{kind} has no place; it is of another network, or the config of another size."
    )
