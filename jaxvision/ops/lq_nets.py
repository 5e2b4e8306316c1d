"""LQ-Nets: levels are sums and differences of a few fitted basis values.

Zhang, Yang, Ye, Hua (2018), "LQ-Nets", ECCV. With K bits the 2^K levels are B v, where
v holds K basis values and B all codes: of -1 and 1 for weights, of 0 and 1 for
activations. The basis is fitted to the values, it gets no gradient.
"""

import itertools
import math

import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxvision.ops.straight_through import straight_through
from jaxvision.typing import Array, Float, Int

NORMAL_QUARTILE = 0.6745
# Keeps the least squares solvable when some code is not used; of the mean square of a
# code, which is 1 or about a half.
RIDGE = 1e-6


def codes(bits: int, *, signed: bool) -> Float[np.ndarray, "levels bits"]:
  """Returns all codes of K bits, one a row."""
  digits = (-1.0, 1.0) if signed else (0.0, 1.0)
  return np.asarray(list(itertools.product(digits, repeat=bits)), np.float32)


def init_basis(
  x: Float[Array, " n *c"], bits: int, *, signed: bool
) -> Float[Array, " bits *c"]:
  """Returns powers of two times a scale, fit for any scale of the values.

  The authors assume standard deviations, sqrt(2 / n) of weights and 1 of what an
  activation clips; here they are measured: sqrt(mean x^2), and that times sqrt(2).

  Args:
    x: values along the first axis; each channel has its own basis.
    bits: K.
    signed: codes of -1 and 1, for weights; otherwise 0 and 1.
  """
  scale = NORMAL_QUARTILE * jnp.sqrt(jnp.mean(x**2, axis=0))
  scale *= 1.0 / 2 ** (bits - 1) if signed else 2.0 * math.sqrt(2.0) / (2**bits - 1)
  return jnp.stack([scale * 2**i for i in range(bits)])


def nearest_code(
  x: Float[Array, " n *c"], basis: Float[Array, " bits *c"], *, signed: bool
) -> Int[Array, " n *c"]:
  """Returns the row of `codes` whose level is nearest, the earlier of two as near.

  The same as cutting at the mid-points of the sorted levels.
  """
  best = jnp.full(x.shape, jnp.inf, x.dtype)
  chosen = jnp.zeros(x.shape, jnp.int32)
  for number, code in enumerate(codes(basis.shape[0], signed=signed)):
    distance = jnp.abs(x - jnp.tensordot(code, basis, 1))
    chosen = jnp.where(distance < best, number, chosen)
    best = jnp.minimum(distance, best)
  return chosen


def fit_basis(
  x: Float[Array, " n *c"],
  basis: Float[Array, " bits *c"],
  *,
  signed: bool,
  iterations: int = 1,
) -> Float[Array, " bits *c"]:
  """Alternates nearest codes and least squares: the paper's QEM algorithm.

  Args:
    x: values along the first axis; each channel has its own basis.
    basis: to start from.
    signed: as in `init_basis`.
    iterations: alternations; the squared error never rises.
  """
  table = jnp.asarray(codes(basis.shape[0], signed=signed), x.dtype)

  def alternate(_: Array, basis: Array) -> Array:
    used = table[nearest_code(x, basis, signed=signed)]  # [n, *c, bits]
    gram = jnp.einsum("n...i,n...j->...ij", used, used) / len(x)
    moment = jnp.einsum("n...i,n...->...i", used, x) / len(x)
    gram += RIDGE * jnp.eye(basis.shape[0], dtype=x.dtype)
    solved = jnp.linalg.solve(gram, moment[..., None])[..., 0]
    return jnp.moveaxis(solved, -1, 0)

  return lax.fori_loop(0, iterations, alternate, basis)


def lq_quantize(
  x: Float[Array, " n *c"], basis: Float[Array, " bits *c"], *, signed: bool
) -> Float[Array, " n *c"]:
  """Replaces each value by the nearest level.

  The gradient is that of the identity, but 0 for activations above the top level. The
  basis gets none.

  Args:
    x: values along the first axis; each channel has its own basis.
    basis: K values a channel.
    signed: as in `init_basis`.
  """
  basis = lax.stop_gradient(basis)
  used = codes(basis.shape[0], signed=signed)
  levels = jnp.tensordot(used, basis, 1)  # [2^K, *c]
  chosen = nearest_code(x, basis, signed=signed)
  value = jnp.take_along_axis(levels, chosen, axis=0).astype(x.dtype)
  if signed:
    return straight_through(value, x)
  return straight_through(value, jnp.where(x > levels.max(0), 0.0, x).astype(x.dtype))
