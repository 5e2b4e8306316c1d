"""Distances between descriptors, on the host."""

import numpy as np

from jaxvision.typing import Array, Float

KINDS = ("euclidean", "sqeuclidean", "cosine")


def pairwise_distances(
  query: Float[np.ndarray | Array, "q d"],
  gallery: Float[np.ndarray | Array, "g d"],
  *,
  kind: str = "euclidean",
) -> Float[np.ndarray, "q g"]:
  """Distances of every query to every gallery entry.

  Euclidean distances come from |a|^2 + |b|^2 - 2ab, cut at 0: those of near twins are
  only known to about 1e-3 of the features' length in float32.

  Args:
    query: float32 or float64; narrower types are computed in float32.
    gallery: likewise.
    kind: "euclidean"; "sqeuclidean", its square, which torchreid calls euclidean; or
      "cosine", 1 - cos in [0, 2], where a zero vector is at 1 from everything.

  Raises:
    ValueError: an unknown kind, or features of two lengths.
  """
  query, gallery = widened(np.asarray(query)), widened(np.asarray(gallery))
  if kind not in KINDS:
    raise ValueError(f"kind of distance is {kind!r}; choose {', '.join(KINDS)}")
  if query.shape[1] != gallery.shape[1]:
    raise ValueError(
      f"queries have {query.shape[1]} features and the gallery {gallery.shape[1]};"
      " describe both by the same network and layer"
    )
  if kind == "cosine":
    return 1 - _unit(query) @ _unit(gallery).T
  # In place: of a large gallery this is the one big array.
  distances = query @ gallery.T
  distances *= -2
  distances += np.square(query).sum(1)[:, None]
  distances += np.square(gallery).sum(1)
  np.maximum(distances, 0, out=distances)
  return np.sqrt(distances, out=distances) if kind == "euclidean" else distances


def widened(x: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
  """Half precision as float32, which is exact; other types as they are."""
  return x.astype(np.promote_types(x.dtype, np.float32), copy=False)


def _unit(x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
  length = np.linalg.norm(x, axis=1, keepdims=True)
  return x / np.maximum(length, np.finfo(x.dtype).tiny)
