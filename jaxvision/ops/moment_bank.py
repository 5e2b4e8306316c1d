"""Means and covariances of groups of features, carried from batch to batch.

The bank of the domains' statistics in domain-class correlation decomposition (Yang and
Tian, 2021, arXiv 2106.15206). The paper's update rule could not be had; both forms here
blend two samples exactly (Chan, Golub and LeVeque, 1983).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxvision.typing import Array, Float, Int

MODES = ("ema", "cumulative")
Features = Float[Array, "b d"]
Domains = Int[Array, " b"]


class MomentBank(NamedTuple):
  """Statistics of n groups of features: of domains, or of classes.

  Attributes:
    mean: [n, d].
    cov: [n, d, d] covariances, or [n, d] variances; biased: divided by the count.
    count: [n] features seen; 0 is a group whose other statistics mean nothing yet.
  """

  mean: Array
  cov: Array
  count: Array

  @classmethod
  def zeros(cls, n: int, d: int, *, full: bool = False) -> "MomentBank":
    """Returns a bank of n groups that has seen nothing.

    Args:
      n: groups.
      d: size of a feature.
      full: covariances instead of variances.
    """
    shape = (n, d, d) if full else (n, d)
    return cls(jnp.zeros((n, d)), jnp.zeros(shape), jnp.zeros(n))

  @property
  def variance(self) -> Float[Array, "n d"]:
    """Variances, also of a bank of covariances."""
    full = self.cov.ndim == 3
    return jnp.diagonal(self.cov, axis1=1, axis2=2) if full else self.cov


def batch_moments(
  z: Features,
  domain: Domains,
  n: int,
  *,
  full: bool = False,
  axis_name: str | None = None,
) -> MomentBank:
  """Statistics of each group within a batch; zeros of a group that is not in it.

  Args:
    z: features.
    domain: group of each, in [0, n).
    n: groups.
    full: covariances instead of variances.
    axis_name: of `shard_map` or `pmap` whose devices hold parts of the batch; under
      `jit` a batch that is split over devices needs none.
  """
  over = lambda x: jax.lax.psum(x, axis_name) if axis_name else x
  own = jax.nn.one_hot(domain, n, dtype=jnp.float32)
  z = z.astype(jnp.float32)
  count = over(own.sum(0))
  size = jnp.maximum(count, 1.0)[:, None]
  # Accelerators would multiply in bfloat16, and spoil statistics that add up.
  total = lambda form, *x: over(jnp.einsum(form, own, *x, precision="highest"))
  mean = total("bn,bi->ni", z) / size
  centred = z - mean[domain]
  if full:
    cov = total("bn,bi,bj->nij", centred, centred) / size[..., None]
  else:
    cov = total("bn,bi->ni", centred**2) / size
  return MomentBank(mean, cov, count)


def update_bank(
  bank: MomentBank,
  z: Features,
  domain: Domains,
  *,
  mode: str = "ema",
  momentum: ArrayLike = 0.9,
  grad: bool = False,
  axis_name: str | None = None,
) -> MomentBank:
  """Takes a batch into the bank.

  With rho the weight of the past: mean' = rho mean + (1 - rho) m and cov' = rho cov +
  (1 - rho) S + rho (1 - rho) (m - mean)(m - mean)^T, the covariance of the mixture. A
  group that is not in the batch stays as it is, one that was never seen before takes
  the batch's statistics.

  Args:
    bank: so far; whether it holds variances or covariances decides what is updated.
    z: features of the batch, not transported ones.
    domain: group of each, in [0, n).
    mode: "ema", rho = `momentum`; or "cumulative", rho = count / (count + the batch's):
      then these are the statistics of all that was ever seen, in whatever order.
    momentum: in [0, 1); 0 keeps the statistics of the latest batch alone.
    grad: whether the gradient flows from the bank into `z`.
    axis_name: as of `batch_moments`.

  Raises:
    ValueError: another mode.
  """
  if mode not in MODES:
    raise ValueError(f"mode is {mode!r}; choose one of {', '.join(MODES)}.")
  z = z if grad else jax.lax.stop_gradient(z)
  n, full = bank.count.size, bank.cov.ndim == 3
  new = batch_moments(z, domain, n, full=full, axis_name=axis_name)
  count = bank.count + new.count
  if mode == "ema":
    rho = jnp.where(bank.count > 0, jnp.asarray(momentum, jnp.float32), 0.0)
    rho = jnp.where(new.count > 0, rho, 1.0)
  else:
    rho = jnp.where(count > 0, bank.count / jnp.maximum(count, 1.0), 1.0)
  return _blend(bank, new, rho)._replace(count=count)


def _blend(bank: MomentBank, new: MomentBank, rho: Float[Array, " n"]) -> MomentBank:
  """Moments of a mixture that has the share `rho` of `bank`."""
  apart = new.mean - bank.mean
  full = bank.cov.ndim == 3
  between = jnp.einsum("ni,nj->nij", apart, apart) if full else apart**2
  past = rho[:, None]
  share = past[..., None] if full else past
  return MomentBank(
    mean=bank.mean + (1 - past) * apart,
    cov=share * bank.cov + (1 - share) * new.cov + share * (1 - share) * between,
    count=bank.count,
  )
