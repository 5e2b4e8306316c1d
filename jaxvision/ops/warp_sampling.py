"""Sampling of images at real coordinates: bilinear or nearest, three kinds of border.

A sample is a weighted sum of the pixels of a small window: 2 x 2 for bilinear, 1 x 1
for nearest sampling. A window is its first row and column, and weights for each axis.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxvision.typing import Array, Float, Int

BORDERS = ("zero", "clamp", "reflect")
INTERPOLATIONS = ("bilinear", "nearest")
FEW_CHANNELS = 4  # up to here pairs are faster than windows, see `_tangent`


class Taps(NamedTuple):
  """The pixels along one axis that make up each sample.

  Attributes:
    first: index of the first one.
    weights: of the first one, and of the next one if there are two.
  """

  first: Int[Array, "*k i j"]
  weights: tuple[Float[Array, "*k i j"], ...]


def check_sampling(border: str, interpolation: str) -> None:
  """Raises ValueError if one of the two is unknown."""
  if border not in BORDERS:
    raise ValueError(f"border is {border!r}; choose one of {', '.join(BORDERS)}.")
  if interpolation not in INTERPOLATIONS:
    raise ValueError(
      f"interpolation is {interpolation!r}; choose one of {', '.join(INTERPOLATIONS)}."
    )


def warp(
  x: Float[Array, "b h w c"],
  coordinates: Float[Array, "k i j 2"],
  *,
  border: str = "zero",
  interpolation: str = "bilinear",
) -> Float[Array, "b i j c"]:
  """Samples images at coordinates; linear in `x`, without a gradient to coordinates.

  Shen et al. (2016), TICNN, with the authors' rules. Two of them differ from other
  libraries: border "zero" repeats the rim for half a pixel and then stops at once
  (torch fades to 0 over a whole pixel); nearest rounds halves away from 0. We leave
  their code where it reads wrong pixels: coordinates just below an integer on the CPU,
  and "reflect" beyond one fold, whose variants there differ from each other.

  Args:
    x: images.
    coordinates: (y, x) in pixels of the input; k is 1 (shared) or b.
    border: beyond the image, "zero", "clamp" (the nearest pixel) or "reflect" (a
      mirror on the centre of the rim's pixels, which are not repeated).
    interpolation: "bilinear" or "nearest".

  Raises:
    ValueError: an unknown mode, or k neither 1 nor b.
  """
  q = lax.stop_gradient(coordinates.astype(jnp.float32))
  rows, columns = _taps(x, q, border, interpolation)
  wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
  return _sample(wide, rows, columns).astype(x.dtype)


def bilinear_sample(
  x: Float[Array, "b h w c"],
  coordinates: Float[Array, "k i j 2"],
  *,
  border: str = "zero",
) -> Float[Array, "b i j c"]:
  """Samples images at coordinates as `warp` does, with a gradient to coordinates too.

  Jaderberg et al. (2015), "Spatial Transformer Networks", equations 5 to 7. Values are
  those of bilinear `warp`, which is faster where coordinates are given. On the lines
  between pixels, where the slope jumps, the gradient is that of one side; beyond the
  rim it is 0, and the jump to 0 of border "zero" has none.

  Args:
    x: images.
    coordinates: (y, x) in pixels of the input; k is 1 (shared) or b.
    border: "zero", "clamp" or "reflect", see `warp`.

  Raises:
    ValueError: an unknown border, or k neither 1 nor b.
  """
  rows, columns = _taps(x, coordinates.astype(jnp.float32), border, "bilinear")
  wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
  rows, columns = _one_an_image(x.shape[0], rows, columns)
  return jax.vmap(_sum_of_windows)(wide, rows, columns).astype(x.dtype)


def _taps(x: Array, q: Array, border: str, interpolation: str) -> tuple[Taps, Taps]:
  """The taps of each warp along rows and along columns."""
  check_sampling(border, interpolation)
  b, k = x.shape[0], q.shape[0]
  if k not in (1, b):
    raise ValueError(f"there are {k} warps for {b} images; give one, or one an image.")
  taps = _bilinear_taps if interpolation == "bilinear" else _nearest_taps
  return taps(q[..., 0], x.shape[1], border), taps(q[..., 1], x.shape[2], border)


def _one_an_image(b: int, *taps: Taps) -> tuple[Taps, ...]:
  """Gives each of `b` images its own copy even of shared taps.

  So the batch remains an axis of its own in the gather, along which it can be sharded.
  """
  return jax.tree.map(lambda t: jnp.broadcast_to(t, (b, *t.shape[1:])), taps)


def _reflected(q: Array, size: int) -> Array:
  """Folds coordinates into the image, as often as it takes."""
  last = size - 1
  return last - jnp.abs(jnp.mod(q, max(2 * last, 1)) - last)


def _bilinear_taps(q: Float[Array, "k i j"], size: int, border: str) -> Taps:
  if border == "reflect":
    q = _reflected(q, size)
  inside = (q >= -0.5) & (q < size - 0.5)
  q = jnp.clip(q, 0, size - 1)
  # Clipped as an integer too: NaN, cast to one, would read from anywhere in memory.
  first = jnp.clip(jnp.floor(q).astype(jnp.int32), 0, max(size - 2, 0))
  second = q - first
  weights = (1 - second, second) if size > 1 else (1 - second,)
  return Taps(first, tuple(_masked(weight, inside, border) for weight in weights))


def _nearest_taps(q: Float[Array, "k i j"], size: int, border: str) -> Taps:
  if border == "reflect":
    q = _reflected(q, size)
  whole = jnp.trunc(q)  # q + 1/2 would round up the number just below 1/2
  nearest = jnp.where(jnp.abs(q - whole) >= 0.5, whole + jnp.sign(q), whole)
  inside = (nearest >= 0) & (nearest < size)
  first = jnp.clip(jnp.clip(nearest, 0, size - 1).astype(jnp.int32), 0, size - 1)
  return Taps(first, (_masked(jnp.ones_like(q), inside, border),))


def _masked(weight: Array, inside: Array, border: str) -> Array:
  return jnp.where(inside, weight, 0) if border == "zero" else weight


@jax.custom_jvp
def _sample(
  x: Float[Array, "b h w c"], rows: Taps, columns: Taps
) -> Float[Array, "b i j c"]:
  """Sums tap after tap, each gathered by itself, which is the fastest form."""
  return jax.vmap(_sum_of_taps)(x, *_one_an_image(x.shape[0], rows, columns))


@_sample.defjvp
def _sample_jvp(primals, tangents):
  return _sample(*primals), _tangent(tangents[0], *primals[1:])


def _tangent(
  dx: Float[Array, "b h w c"], rows: Taps, columns: Taps
) -> Float[Array, "b i j c"]:
  """`_sample` in the form of which the transpose is fast on the CPU.

  XLA scatters there one update at a time, so it should get whole windows (on 14x14x64
  maps half the time of an update a tap). With few channels a window is little work for
  an update, and pairs are faster: forward and backward of 64 maps, each with its warp,
  take .6 of the CPU time of windows on 32x32x1, .8 or less on 28x28x4, as much on
  28x28x8 and 1.4 on 28x28x16. Images that share a warp are then like channels of one
  image, and each index moves them all: .4 on 32x32x1.
  """
  b, h, w, c = dx.shape
  if c > FEW_CHANNELS or len(columns.weights) == 1:
    rows, columns = _one_an_image(b, rows, columns)
    return jax.vmap(_sum_of_windows)(dx, rows, columns)
  if len(rows.first) == b:
    return jax.vmap(_sum_of_pairs)(dx, rows, columns)
  rows, columns = jax.tree.map(lambda t: t[0], (rows, columns))
  y = _sum_of_pairs(jnp.moveaxis(dx, 0, 2).reshape(h, w, b * c), rows, columns)
  return jnp.moveaxis(y.reshape(*y.shape[:2], b, c), 2, 0)


def _sum_of_taps(
  x: Float[Array, "h w c"], rows: Taps, columns: Taps
) -> Float[Array, "i j c"]:
  total = 0.0
  for a, row_weight in enumerate(rows.weights):
    for b, column_weight in enumerate(columns.weights):
      pixels = x.at[rows.first + a, columns.first + b].get(mode="promise_in_bounds")
      total += pixels * (row_weight * column_weight)[..., None]
  return total


def _sum_of_windows(
  x: Float[Array, "h w c"], rows: Taps, columns: Taps
) -> Float[Array, "i j c"]:
  size = (len(rows.weights), len(columns.weights), x.shape[-1])
  cut = lambda row, column: lax.dynamic_slice(x, (row, column, 0), size)
  windows = jax.vmap(jax.vmap(cut))(rows.first, columns.first)
  row_weights, column_weights = (jnp.stack(t.weights, -1) for t in (rows, columns))
  weights = row_weights[..., :, None] * column_weights[..., None, :]
  return jnp.sum(windows * weights[..., None], (2, 3))


def _sum_of_pairs(
  x: Float[Array, "h w c"], rows: Taps, columns: Taps
) -> Float[Array, "i j c"]:
  """Gathers a pixel and its right neighbour at once, as one complex number.

  The image is moved for each row of the window, not the index: all share one.
  """
  h, w, c = x.shape
  first = rows.first * w + columns.first
  left, right = (weight[..., None] for weight in columns.weights)
  pixels = jnp.pad(x.reshape(h * w, c), ((0, w + 1), (0, 0)))
  total = 0.0
  for a, row_weight in enumerate(rows.weights):
    here, next_one = (pixels[a * w + k :][: h * w] for k in (0, 1))
    pairs = lax.complex(here, next_one).at[first].get(mode="promise_in_bounds")
    total += row_weight[..., None] * (left * pairs.real + right * pairs.imag)
  return total
