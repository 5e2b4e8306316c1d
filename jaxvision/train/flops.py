"""Counts the arithmetic of a function from its jaxpr, loops multiplied.

XLA's own `cost_analysis` counts the body of a loop once and depends on the backend.
This counts what matters in a network, products in dots and convolutions, exactly.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np


def count_flops(fn: Callable[..., Any], *args: Any) -> int:
  """Returns floating-point operations (two a multiply-add) of dots and convolutions.

  Scans count their length times, of a cond's branches the costliest counts. A `while`
  whose number of turns is not in the program counts once.

  Args:
    fn: a function of arrays.
    *args: arrays or `jax.ShapeDtypeStruct`s.
  """
  return _count(jax.make_jaxpr(fn)(*args).jaxpr)


def _count(jaxpr: Any) -> int:
  return sum(_equation(equation) for equation in jaxpr.eqns)


def _equation(equation: Any) -> int:
  name, params = equation.primitive.name, equation.params
  if name == "dot_general":
    return _dot(equation)
  if name == "conv_general_dilated":
    return _convolution(equation)
  if name == "cond":
    return max(_count(branch.jaxpr) for branch in params["branches"])
  inner = sum(_count(sub) for sub in _subprograms(params))
  return inner * params["length"] if name == "scan" else inner


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
