"""Warps with a gradient to their parameters: the sampler of Spatial Transformers.

Jaderberg, Simonyan, Zisserman, Kavukcuoglu (2015), "Spatial Transformer Networks",
sections 3.2 and 3.3.
"""

import jax.numpy as jnp

from jaxvision.ops.warp_sampling import bilinear_sample
from jaxvision.typing import Array, Float

# Parameters of the identity, by kind of transform.
IDENTITY = {
  "affine": (1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
  "similarity": (1.0, 0.0, 0.0, 0.0),
  "translation": (0.0, 0.0),
}


def transformer_matrix(
  parameters: Float[Array, "b n"], *, kind: str = "affine"
) -> Float[Array, "b 2 3"]:
  """Rows (y, x) of the map from output to input that parameters describe.

  Args:
    parameters: "affine": the six entries, row after row; "similarity": (a, b, down,
      right), a rotation and isotropic scale [[a, b], [-b, a]] and a shift;
      "translation": (down, right).
    kind: one of `IDENTITY`, which also tells how many parameters there are.

  Raises:
    ValueError: an unknown kind, or another number of parameters.
  """
  if kind not in IDENTITY:
    raise ValueError(f"kind is {kind!r}; choose one of {', '.join(IDENTITY)}.")
  n = len(IDENTITY[kind])
  if parameters.shape[-1] != n:
    raise ValueError(f"{kind} has {n} parameters; {parameters.shape[-1]} are given.")
  if kind == "affine":
    return parameters.reshape(-1, 2, 3)
  *linear, down, right = jnp.unstack(parameters, axis=-1)
  a, b = linear or (jnp.ones_like(down), jnp.zeros_like(down))
  rows = jnp.stack([a, b, down], -1), jnp.stack([-b, a, right], -1)
  return jnp.stack(rows, -2)


def spatial_transform(
  x: Float[Array, "b h w c"],
  matrix: Float[Array, "b 2 3"],
  *,
  border: str = "zero",
) -> Float[Array, "b h w c"]:
  """Warps each image by its own affine map, with gradients to both.

  The matrix maps places of the output to places of the input, (y, x, 1) from the
  right, as in the paper's equation 1. Unlike there its linear part acts on pixels from
  the centre (a rotation stays one where height and width differ), and its last column
  is in halves of the image's size; on square images this is the same. Unlike
  `ops.warp.affine_warp`, whose matrices map input to output, nothing is inverted, so
  that no parameter is singular.

  Args:
    x: images or feature maps; the size remains.
    matrix: as from `transformer_matrix`; taken in float32.
    border: "zero", "clamp" or "reflect", see `ops.warp_sampling.warp`.
  """
  coordinates = transformer_coordinates(matrix.astype(jnp.float32), x.shape[1:3])
  return bilinear_sample(x, coordinates, border=border)


def transformer_coordinates(
  matrix: Float[Array, "b 2 3"], size: tuple[int, int]
) -> Float[Array, "b h w 2"]:
  """Where in the input each output pixel comes from, in pixels; exact for identity."""
  down, right = (jnp.arange(n, dtype=jnp.float32) - (n - 1) / 2 for n in size)
  axes = []
  for row, n in zip(jnp.unstack(matrix, axis=-2), size, strict=True):
    a, b, shift = (entry[:, None, None] for entry in jnp.unstack(row, axis=-1))
    axes.append(a * down[:, None] + b * right + shift * (n / 2) + (n - 1) / 2)
  return jnp.stack(axes, -1)
