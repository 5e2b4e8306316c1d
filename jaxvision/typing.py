"""Types that many modules share."""

from typing import Any

from jaxtyping import Array, Bool, Float, Int, Int8, Key, UInt8, UInt32

PyTree = Any
PRNGKey = Key[Array, ""]

__all__ = [
  "Array", "Bool", "Float", "Int", "Int8", "Key", "PRNGKey", "PyTree", "UInt8",
  "UInt32",
]  # fmt: skip
