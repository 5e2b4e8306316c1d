"""Features in Python's and torch's own formats, which can hold more than numbers."""

import pathlib
import pickle
from collections.abc import Mapping
from typing import Any

from jaxvision.errors import UserError


def refuse_pickle(file: pathlib.Path) -> UserError:
  """What to say of a file that would have to be unpickled."""
  return UserError(
    f"{file} holds Python objects (a pickle), which may run any code when loaded: save"
    " numbers, or set allow_pickle=True (--config.data.allow_pickle=True) if you trust"
    " the file."
  )


def damaged(file: pathlib.Path, error: Exception) -> UserError:
  """What to say of a file that its reader cannot make sense of: one line."""
  reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".: ")
  return UserError(f"{file} is damaged or cut off ({reason}): write or copy it again.")


def read_pickle(file: pathlib.Path, *, allow_pickle: bool) -> Any:
  """Unpickles a file, which can run any code: only if that is allowed.

  Args:
    file: the `.pkl` file.
    allow_pickle: whether the user trusts it.

  Returns:
    Whatever it holds: an array, or arrays by key.

  Raises:
    UserError: if it is not allowed, or the file is damaged.
  """
  if not allow_pickle:
    raise refuse_pickle(file)
  try:
    with file.open("rb") as stream:
      return pickle.load(stream, encoding="latin1")  # for arrays of Python 2
  except Exception as error:  # a pickle may raise whatever its classes raise
    raise damaged(file, error) from error


def read_torch(file: pathlib.Path) -> Any:
  """Reads tensors, and nothing else: `weights_only` runs no code of the file's.

  Args:
    file: the `.pt` file, of `torch.save`.

  Returns:
    An array, or arrays by key.

  Raises:
    UserError: if torch is missing, or the file is damaged or holds other objects.
  """
  try:
    import torch
  except ImportError as error:
    raise UserError(
      f"{file} needs torch, which is not installed: pip install 'jaxvision[torch]', or"
      " save it as .npy."
    ) from error

  def to_numpy(x: Any) -> Any:
    if not isinstance(x, torch.Tensor):
      return x
    x = x.detach()
    return (x.float() if x.is_floating_point() else x).numpy()  # bfloat16 has no numpy

  try:
    content = torch.load(file, map_location="cpu", weights_only=True)
    if isinstance(content, Mapping):
      return {key: to_numpy(x) for key, x in content.items()}
    return to_numpy(content)
  except Exception as error:  # its readers raise of many kinds
    raise damaged(file, error) from error
