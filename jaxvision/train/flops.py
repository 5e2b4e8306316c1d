"""Counts the arithmetic of a function from its jaxpr, loops multiplied.

XLA's own `cost_analysis` counts the body of a loop once and depends on the backend.
This counts what matters in a network, products in dots and convolutions, exactly.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np


def count_flops(fn: Callable[..., Any], *args: Any) -> int:
  """Returns floating-point operations (two a multiply-add) of dots and convolutions.

  Scans count their length times, of a cond's branches the costliest counts. A `while`
  whose number of turns is not in the program counts once. What no output depends on
  counts nothing. What is written twice counts twice, even where XLA computes it once:
  in AherNet's six updates about a seventh of the count.

  Args:
    fn: a function of arrays.
    *args: arrays or `jax.ShapeDtypeStruct`s.
  """
  return _whole(jax.make_jaxpr(fn)(*args).jaxpr)


def _whole(jaxpr: Any) -> int:
  return _count(jaxpr, [True] * len(jaxpr.outvars))[0]


def _count(jaxpr: Any, wanted: Sequence[bool]) -> tuple[int, list[bool]]:
  """Counts what the wanted outputs depend on, and says which inputs they depend on."""
  needed = {id(v) for v, want in zip(jaxpr.outvars, wanted, strict=True) if want}
  total = 0
  for equation in reversed(jaxpr.eqns):
    outputs = [id(v) in needed for v in equation.outvars]
    if any(outputs) or equation.effects:
      flops, inputs = _equation(equation, outputs)
      total += flops
      pairs = zip(equation.invars, inputs, strict=True)
      needed |= {id(v) for v, need in pairs if need}
  return total, [id(v) in needed for v in jaxpr.invars]


def _equation(equation: Any, wanted: Sequence[bool]) -> tuple[int, list[bool]]:
  programs = _subprograms(equation.params)
  if _is_call(equation, programs):
    return _count(programs[0], wanted)
  return _operation(equation, programs), [True] * len(equation.invars)


def _is_call(equation: Any, programs: Sequence[Any]) -> bool:
  """Whether the equation runs one program once, on its inputs as they are."""
  if len(programs) != 1 or equation.primitive.name == "scan":
    return False
  program = programs[0]
  return len(program.invars) == len(equation.invars) and (
    len(program.outvars) == len(equation.outvars)
  )


def _operation(equation: Any, programs: Sequence[Any]) -> int:
  name, params = equation.primitive.name, equation.params
  if name == "dot_general":
    return _dot(equation)
  if name == "conv_general_dilated":
    return _convolution(equation)
  counts = [_whole(program) for program in programs]
  if name == "cond":
    return max(counts)
  return sum(counts) * (params["length"] if name == "scan" else 1)


def _subprograms(params: dict[str, Any]) -> list[Any]:
  found = []
  for value in params.values():
    for item in value if isinstance(value, tuple | list) else (value,):
      item = getattr(item, "jaxpr", item)  # a closed jaxpr, or the jaxpr itself
      if hasattr(item, "eqns"):
        found.append(item)
  return found


def _dot(equation: Any) -> int:
  (contracted, _), _ = equation.params["dimension_numbers"]
  left = equation.invars[0].aval.shape
  depth = math.prod(left[axis] for axis in contracted)
  return 2 * depth * math.prod(equation.outvars[0].aval.shape)


def _convolution(equation: Any) -> int:
  """Counts taps that fall into padding and between dilated inputs too."""
  kernel = equation.invars[1].aval.shape
  out_axis = equation.params["dimension_numbers"].rhs_spec[0]
  taps = int(np.prod(kernel)) // kernel[out_axis]
  return 2 * taps * math.prod(equation.outvars[0].aval.shape)
