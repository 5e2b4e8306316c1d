"""Cases and helpers for the tests of the convolution: ours and lax's side by side."""

import re

import chex
import jax
import jax.numpy as jnp
from jax import lax

from jaxvision.ops.convolution import convolution

LAYOUTS = {
  1: ("NWC", "WIO", "NWC"),
  2: ("NHWC", "HWIO", "NHWC"),
  3: ("NDHWC", "DHWIO", "NDHWC"),
}
# inputs, kernel, strides, padding, dilation
CASES = {
  "3x3": ((2, 6, 6, 3), (3, 3, 3, 4), (1, 1), "SAME", (1, 1)),
  "valid": ((2, 6, 7, 3), (3, 2, 3, 4), (1, 1), "VALID", (1, 1)),
  "stride": ((2, 8, 8, 3), (3, 3, 3, 4), (2, 2), "SAME", (1, 1)),
  "odd": ((2, 9, 7, 3), (4, 5, 3, 2), (3, 2), "SAME_LOWER", (1, 1)),
  "unread": ((2, 9, 9, 2), (2, 2, 2, 3), (4, 3), "VALID", (1, 1)),
  "explicit": ((2, 6, 5, 3), (3, 3, 3, 4), (2, 1), ((0, 3), (4, 1)), (1, 1)),
  "cropped": ((2, 9, 9, 2), (3, 3, 2, 3), (1, 2), ((-1, 0), (0, -2)), (1, 1)),
  "dilated": ((2, 9, 8, 3), (3, 2, 3, 4), (1, 2), "SAME", (2, 3)),
  "overhang": ((2, 6, 6, 3), (2, 2, 3, 4), (1, 1), ((1, 1), (1, 1)), (1, 1)),
  "1x1": ((2, 5, 4, 3), (1, 1, 3, 4), (1, 1), "SAME", (1, 1)),
  "1x1_stride": ((2, 7, 6, 3), (1, 1, 3, 4), (2, 3), "VALID", (1, 1)),
  "1x1_padded": ((2, 4, 5, 3), (1, 1, 3, 4), (1, 1), ((0, 0), (1, 2)), (1, 1)),
  "tall": ((2, 8, 5, 3), (3, 1, 3, 4), (1, 1), "SAME", (2, 1)),
  "wide": ((2, 5, 8, 3), (1, 3, 3, 4), (2, 2), "SAME", (1, 1)),
  "tiny": ((2, 2, 2, 3), (3, 3, 3, 4), (1, 1), "SAME", (1, 1)),
  "tiny_odd": ((2, 3, 2, 3), (5, 3, 3, 4), (2, 1), ((3, 2), (2, 4)), (1, 2)),
  "tiny_out": ((2, 4, 4, 3), (3, 3, 3, 4), (2, 2), "SAME", (1, 1)),
  "tiny_empty": ((2, 2, 2, 3), (3, 3, 3, 4), (1, 1), "VALID", (1, 1)),
  "batch1": ((1, 5, 5, 1), (3, 3, 1, 2), (1, 1), "SAME", (1, 1)),
  "batch0": ((0, 5, 5, 1), (3, 1, 1, 2), (1, 1), "SAME", (1, 1)),
  "1d": ((2, 11, 3), (3, 3, 4), (1,), "SAME", (1,)),
  "1d_stride": ((2, 11, 3), (5, 3, 4), (2,), "SAME", (2,)),
  "1d_point": ((2, 11, 3), (1, 3, 4), (1,), "VALID", (1,)),
  "shifts": ((2, 6, 5, 32), (1, 3, 32, 4), (1, 1), ((0, 0), (1, 1)), (1, 1)),
  "shifts_dilated": ((2, 7, 32), (2, 32, 3), (1,), ((-1, 4),), (2,)),
  "3d": ((2, 4, 5, 4, 2), (2, 3, 1, 2, 3), (1, 2, 1), "SAME", (1, 1, 1)),
}


def arrays(case, dtype=jnp.float32):
  """Inputs and kernel."""
  keys = jax.random.split(jax.random.key(0))
  draw = lambda key, shape: jax.random.normal(key, shape, dtype)
  return [draw(*pair) for pair in zip(keys, CASES[case][:2], strict=True)]


def pair(case, **options):
  """Ours and lax's as functions of inputs and kernel."""
  shape, _, strides, padding, dilation = CASES[case]
  options.setdefault("rhs_dilation", dilation)
  options.setdefault("dimension_numbers", LAYOUTS[len(shape) - 2])
  bind = lambda f: lambda x, w: f(x, w, strides, padding, **options)
  return bind(convolution), bind(lax.conv_general_dilated)


def gradient(conv):
  """Gradient of a curved function of the outputs in both arguments."""
  return jax.grad(lambda x, w: jnp.sum(jnp.sin(conv(x, w)).astype(jnp.float32)), (0, 1))


def descend(conv, count=3):
  """Gradient steps in a loop: what training steps and attacks do."""

  def step(_, carry):
    return jax.tree.map(lambda a, d: a - 0.01 * d, carry, gradient(conv)(*carry))

  return lambda x, w: lax.fori_loop(0, count, step, (x, w))


def assert_close(actual, expected, tolerance=1e-5):
  chex.assert_trees_all_equal_shapes_and_dtypes(actual, expected)
  chex.assert_trees_all_close(actual, expected, rtol=tolerance, atol=10 * tolerance)


def dimension_orders(hlo):
  """Dimension orders of the convolutions in a program."""
  return set(re.findall(r" convolution\(.*dim_labels=([\w>-]+)", hlo))
