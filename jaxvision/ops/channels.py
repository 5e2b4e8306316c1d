"""Channels of a feature divided into two parts, by indices that are data."""

import math

import jax
import jax.numpy as jnp

from jaxvision.typing import Array, Float, Int, PRNGKey

KINDS = ("natural", "random")


def make_split(
  channels: int, *, ratio: float = 0.5, kind: str = "natural", key: PRNGKey | None
) -> tuple[Int[Array, " i"], Int[Array, " e"]]:
  """Divides channels into those that inherit and those that explore.

  Huang et al. (2021): halves; "natural" takes the first channels, as their code does,
  "random" a permutation. Draw once and keep it: the parts must not change in training.

  Args:
    channels: their number C.
    ratio: share of the first part, floor(ratio C) channels.
    kind: "natural" or "random".
    key: of a random split.

  Raises:
    ValueError: another kind, or an empty part.
  """
  if kind not in KINDS:
    raise ValueError(f"split is {kind!r}; choose one of {', '.join(KINDS)}.")
  first = math.floor(ratio * channels + 1e-9)  # .29 * 100 is 28.999...
  if not 0 < first < channels:
    raise ValueError(f"ratio is {ratio}, which leaves {channels} channels undivided.")
  order = jnp.arange(channels)
  if kind == "random":
    order = jax.random.permutation(key, order)
  return order[:first], order[first:]


def take_channels(
  x: Float[Array, "... c"], index: Int[Array, " i"]
) -> Float[Array, "... i"]:
  """Returns the channels of these numbers, bit for bit.

  A product with a selection matrix: the gradient of a gather is a scatter, which XLA's
  CPU backend does one element at a time.
  """
  chosen = jax.nn.one_hot(index, x.shape[-1], dtype=x.dtype, axis=0)
  return jnp.matmul(x, chosen, precision=jax.lax.Precision.HIGHEST)
