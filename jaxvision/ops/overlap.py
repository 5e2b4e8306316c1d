"""Overlap of one-dimensional segments, given as (start, end)."""

import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxvision.typing import Array, Float


def pair_iou(
  a: Float[Array, "*#s 2"],
  b: Float[Array, "*#s 2"],
  *,
  length_offset: ArrayLike = 0.0,
) -> Float[Array, "*s"]:
  """Intersection over union of corresponding segments, in [0, 1].

  Args:
    a: segments, (start, end).
    b: segments in the same unit, broadcast against `a`.
    length_offset: added to both lengths in the union; the C++ NMS of ActionFormer and
      OpenTAD has 1e-6, other evaluators and detectors have 0.

  Returns:
    The IoU; 0, not NaN, where the union is empty. A segment that runs backwards
    (end < start) meets nothing, itself included.
  """
  intersection = _intersection(a, b)
  union = _length(a) + _length(b) + 2 * length_offset - intersection
  return _safe_ratio(intersection, union)


def segment_iou(
  a: Float[Array, "*#s n 2"],
  b: Float[Array, "*#s m 2"],
  *,
  length_offset: ArrayLike = 0.0,
) -> Float[Array, "*s n m"]:
  """Intersection over union of every segment of `a` with every one of `b`.

  Args:
    a: segments, (start, end).
    b: segments in the same unit; leading axes broadcast.
    length_offset: see `pair_iou`, as for empty and backward segments.
  """
  a, b = a[..., :, None, :], b[..., None, :, :]
  return pair_iou(a, b, length_offset=length_offset)


def segment_coverage(
  a: Float[Array, "*#s n 2"], b: Float[Array, "*#s m 2"]
) -> Float[Array, "*s n m"]:
  """The fraction of every segment of `a` that lies inside each segment of `b`.

  With actions as `a` and sliding windows as `b` it decides which of the actions that a
  window cuts are kept: Decouple-SSAD asks for .9.

  Args:
    a: segments, (start, end).
    b: segments in the same unit; leading axes broadcast.

  Returns:
    Intersection over the length of `a`; 0 where that is not positive.
  """
  a, b = a[..., :, None, :], b[..., None, :, :]
  return _safe_ratio(_intersection(a, b), _length(a))


def _intersection(a: Array, b: Array) -> Array:
  start = jnp.maximum(a[..., 0], b[..., 0])
  end = jnp.minimum(a[..., 1], b[..., 1])
  return jnp.maximum(end - start, 0)


def _length(a: Array) -> Array:
  return a[..., 1] - a[..., 0]


def _safe_ratio(part: Array, whole: Array) -> Array:
  # The inner `where` keeps 0 / 0 out of the gradient, which the outer one would not.
  ratio = part / jnp.where(whole > 0, whole, 1)
  return jnp.where(whole > 0, ratio, 0)
