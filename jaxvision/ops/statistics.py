"""Statistics of features: of a layer's detectors, and of domains.

Dependence among detectors is here; banks of the domains' moments and the transport from
one domain to another come from `ops.moment_bank` and `ops.transport`.
"""

import jax.numpy as jnp

from jaxvision.ops.moment_bank import MomentBank, batch_moments, update_bank
from jaxvision.ops.transport import draw_domains, transport
from jaxvision.typing import Array, Bool, Float

__all__ = [
  "MomentBank", "batch_moments", "correlation_matrix", "covariance_matrix",
  "detector_dependence", "draw_domains", "transport", "update_bank",
]  # fmt: skip


def covariance_matrix(h: Float[Array, "n d"]) -> Float[Array, "d d"]:
  """Unbiased covariance of the columns of `h`: (h - mean)^T (h - mean) / (n - 1).

  Raises:
    ValueError: fewer than two rows.
  """
  n = h.shape[0]
  if n < 2:
    raise ValueError(f"h has {n} rows; a covariance needs at least two.")
  centred = h - h.mean(axis=0)
  return centred.T @ centred / (n - 1)


def correlation_matrix(
  h: Float[Array, "n d"],
) -> tuple[Float[Array, "d d"], Bool[Array, " d"]]:
  """Correlation of the columns of `h`, and which columns are live.

  A unit that is constant over all rows is dead: it has no correlation, and its row and
  column are 0. Shapes do not depend on how many are, so it can be jitted.
  """
  covariance = covariance_matrix(h)
  variance = jnp.diagonal(covariance)
  # A constant column's variance need not be exactly 0 in floats; its range is.
  live = (h.max(axis=0) > h.min(axis=0)) & (variance > 0)
  scale = jnp.where(live, 1.0 / jnp.sqrt(jnp.where(live, variance, 1.0)), 0.0)
  return covariance * scale[:, None] * scale[None, :], live


def detector_dependence(h: Float[Array, "n d"]) -> dict[str, Array]:
  """Dependence among feature detectors: mean size of off-diagonal (co)variances.

  Shen et al. (2018) argue that continuous masks lower it; whether they measure it on
  activations or on weights could not be established, so say which `h` is.

  Args:
    h: activations of a held-out set without noise (examples by units), or a kernel,
      whose columns are the units.

  Returns:
    "mean_abs_cov", "mean_abs_corr": mean |covariance|, |correlation| over pairs of live
    units (dead ones are constant); "mean_abs_cov_all": over all pairs; "n_dead". A mean
    over no pairs is 0.
  """
  covariance = covariance_matrix(h)
  correlation, live = correlation_matrix(h)
  pairs = ~jnp.eye(live.size, dtype=bool)
  live_pairs = pairs & live[:, None] & live[None, :]
  return {
    "mean_abs_cov": _mean_abs(covariance, live_pairs),
    "mean_abs_cov_all": _mean_abs(covariance, pairs),
    "mean_abs_corr": _mean_abs(correlation, live_pairs),
    "n_dead": jnp.sum(~live, dtype=jnp.int32),
  }


def _mean_abs(x: Float[Array, "d d"], where: Bool[Array, "d d"]) -> Float[Array, ""]:
  return jnp.sum(jnp.abs(x), where=where) / jnp.maximum(where.sum(), 1)
