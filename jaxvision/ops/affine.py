"""Affine maps of the plane of an image: matrices, and where output pixels come from.

Shen et al. (2016), "Transform-Invariant Convolutional Neural Networks for Image
Classification and Search", with the geometry of the authors' code: points are row
vectors [y, x, 1] relative to the centre of the image, and a matrix acts from the right.
"""

from collections.abc import Sequence

import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxvision.typing import Array, Float

Pair = Sequence[ArrayLike] | ArrayLike  # (down, right), or an array whose last axis is


def affine_matrix(
  angle: ArrayLike = 0.0, scale: ArrayLike = 1.0, shift: Pair = (0.0, 0.0)
) -> Float[Array, "*k 3 3"]:
  """Rotation, then isotropic scaling, then translation: T = R S D, float32.

  Args:
    angle: degrees; positive is counter-clockwise on the screen.
    scale: above 1 magnifies.
    shift: (down, right) in pixels of the output: a sequence of two scalars or arrays,
      or one array whose last axis has the two.

  Returns:
    Matrices from input to output coordinates; the arguments' shapes broadcast to `k`.
  """
  down, right = _pair(shift)
  radians = jnp.deg2rad(jnp.asarray(angle, jnp.float32))
  scale = jnp.asarray(scale, jnp.float32)
  cos, sin = scale * jnp.cos(radians), scale * jnp.sin(radians)
  entries = jnp.broadcast_arrays(cos, sin, -sin, cos, down, right)
  linear = jnp.stack(entries, -1).reshape(*entries[0].shape, 3, 2)
  last = jnp.array([[0], [0], [1]], jnp.float32)
  last = jnp.broadcast_to(last, (*linear.shape[:-1], 1))
  return jnp.concatenate([linear, last], -1)


def _pair(shift: Pair) -> tuple[Array, Array]:
  """The shift's two components, each a scalar or one value a matrix."""
  if not isinstance(shift, Sequence):
    shift = jnp.moveaxis(jnp.asarray(shift), -1, 0)
  if len(shift) != 2:
    raise ValueError(f"shift has {len(shift)} components; it is (down, right).")
  return jnp.asarray(shift[0], jnp.float32), jnp.asarray(shift[1], jnp.float32)


def determinant(matrix: Float[Array, "*k 3 3"]) -> Float[Array, "*k"]:
  """Determinant of the linear part, which is that of the whole matrix."""
  (a, b), (c, d) = ([matrix[..., i, j] for j in (0, 1)] for i in (0, 1))
  return a * d - b * c


def affine_coordinates(
  matrix: Float[Array, "*k 3 3"],
  size: tuple[int, int],
  *,
  source: tuple[int, int] | None = None,
) -> Float[Array, "*k h w 2"]:
  """Where in the input each output pixel comes from: q = (p - c) T^-1 + c.

  In float32 whatever the images are: bfloat16 is off by whole pixels beyond 256. The
  inverse is written out, since a matrix product may be rounded to bfloat16 on a TPU.

  Args:
    matrix: from input to output, as from `affine_matrix`; invertible.
    size: (height, width) of the output.
    source: those of the input, by default the same. The centres coincide.

  Returns:
    Coordinates (y, x) in pixels of the input, 0 for the centre of the first one.
  """
  center = [(n - 1) / 2 for n in source or size]
  y, x = (jnp.arange(n, dtype=jnp.float32) - (n - 1) / 2 for n in size)
  (a, b), (c, d), (down, right) = (
    [matrix[..., i, j].astype(jnp.float32)[..., None, None] for j in (0, 1)]
    for i in range(3)
  )
  det = determinant(matrix).astype(jnp.float32)[..., None, None]
  v, u = y[:, None] - down, x[None, :] - right
  rows = (v * d - u * c) / det + center[0]
  columns = (u * a - v * b) / det + center[1]
  return jnp.stack([rows, columns], -1)
