"""Features as they would be in another domain: matching of first and second moments.

Domain-class correlation decomposition (Yang and Tian, 2021, arXiv 2106.15206) estimates
z*, a representation after an intervention on its domain, by matching the statistics of
a `MomentBank`. Its operator could not be had; these are the usual ones. Which domains
are intervened for is drawn by `draw_domains`.
"""

import jax
import jax.numpy as jnp

from jaxvision.ops.moment_bank import Domains, Features, MomentBank
from jaxvision.typing import Array, Float, Int, PRNGKey

FULL = ("full", "ot")  # kinds that need covariances
KINDS = ("none", "mean", "diag", *FULL)
DRAWS = ("uniform", "others", "permute", "all")
Matrices = Float[Array, "... d d"]


def transport(
  z: Features,
  domain: Domains,
  target: Domains,
  bank: MomentBank,
  *,
  kind: str = "diag",
  eps: float = 1e-5,
  max_ratio: float = 0.0,
  grad: bool = False,
) -> Features:
  """Moves features from the statistics of their domain to those of another one.

  With mu, v and S the mean, variance and covariance of a domain, T = target:

  - "none": z itself.
  - "mean": z - mu + mu_T.
  - "diag": (z - mu) sqrt((v_T + eps) / (v + eps)) + mu_T, as AdaIN.
  - "full": S_T^1/2 S^-1/2 (z - mu) + mu_T with symmetric roots: whitens and colours.
  - "ot": optimal transport between Gaussians, S^-1/2 (S^1/2 S_T S^1/2)^1/2 S^-1/2 in
    place of that product.

  Where target and domain are one, z is returned bit for bit.

  Args:
    z: features.
    domain: of each.
    target: where each is moved to.
    bank: of the domains; `FULL` kinds need covariances, to which eps I is added.
    kind: one of the above.
    eps: added to variances, and so the least of them.
    max_ratio: of the standard deviations of "diag", up or down: a channel that is dead
      in one domain would be blown up. 0 is no bound.
    grad: whether the gradient flows into the bank. For `FULL` kinds it goes through
      eigenvectors, and is not finite where eigenvalues are equal.

  Raises:
    ValueError: another kind, or one that needs covariances on a bank without.
  """
  _check(kind, bank)
  if kind == "none":
    return z
  bank = bank if grad else jax.lax.stop_gradient(bank)
  centred = z - bank.mean[domain]
  if kind == "diag":
    centred = centred * _ratio(bank.variance, eps, max_ratio, domain, target)
  elif kind in FULL:
    centred = _reshaped(centred, domain, target, bank.cov, kind, eps)
  moved = centred + bank.mean[target]
  return jnp.where((domain == target)[:, None], z, moved.astype(z.dtype))


def draw_domains(
  key: PRNGKey, domain: Domains, n: int, *, kind: str = "uniform"
) -> Int[Array, "m b"]:
  """Draws the domains that features are moved to, whatever their class.

  Args:
    key: random key.
    domain: of each feature, in [0, n).
    n: domains.
    kind: "uniform" over all; "others", over all but the own; "permute", the batch's own
      domains in another order; or "all", each of them once.

  Returns:
    m targets for each feature: 1, with "all" n.

  Raises:
    ValueError: another kind, or "others" where there is one domain only.
  """
  if kind not in DRAWS:
    raise ValueError(f"kind is {kind!r}; choose one of {', '.join(DRAWS)}.")
  if kind == "others" and n < 2:
    raise ValueError("kind 'others' needs two domains or more.")
  if kind == "all":
    return jnp.broadcast_to(jnp.arange(n)[:, None], (n, domain.size))
  if kind == "permute":
    return jax.random.permutation(key, domain)[None]
  if kind == "others":
    return ((domain + jax.random.randint(key, domain.shape, 1, n)) % n)[None]
  return jax.random.randint(key, (1, domain.size), 0, n)


def _check(kind: str, bank: MomentBank) -> None:
  if kind not in KINDS:
    raise ValueError(f"kind is {kind!r}; choose one of {', '.join(KINDS)}.")
  if kind in FULL and bank.cov.ndim != 3:
    raise ValueError(f"kind {kind!r} needs a bank of covariances; make it with full.")


def _ratio(
  variance: Float[Array, "n d"],
  eps: float,
  limit: float,
  domain: Domains,
  target: Domains,
) -> Features:
  deviation = jnp.sqrt(variance + eps)
  ratio = deviation[target] / deviation[domain]
  return jnp.clip(ratio, 1 / limit, limit) if limit else ratio


def _reshaped(
  centred: Features,
  domain: Domains,
  target: Domains,
  cov: Float[Array, "n d d"],
  kind: str,
  eps: float,
) -> Features:
  """Centred features with the covariance of their target."""
  if kind == "full":
    root, inverse = _roots(cov, eps)
    return _by_group(_by_group(centred, inverse, domain), root, target)
  maps = _optimal_maps(cov, eps).reshape(-1, *cov.shape[1:])
  return _by_group(centred, maps, domain * len(cov) + target)


def _roots(cov: Matrices, eps: float) -> tuple[Matrices, Matrices]:
  """Symmetric roots of cov + eps I and their inverses."""
  value, vector = jnp.linalg.eigh(cov)
  # Rounding makes eigenvalues of singular covariances slightly negative.
  value = jnp.sqrt(jnp.maximum(value, 0.0) + eps)
  compose = lambda v: jnp.einsum("...ik,...k,...jk->...ij", vector, v, vector)
  return compose(value), compose(1 / value)


def _optimal_maps(cov: Float[Array, "n d d"], eps: float) -> Float[Array, "n n d d"]:
  """The linear maps of optimal transport from each domain to each."""
  root, inverse = _roots(cov, eps)
  regular = cov + eps * jnp.eye(cov.shape[-1])
  inner = jnp.einsum("sij,tjk,skl->stil", root, regular, root)
  middle, _ = _roots(inner, 0.0)
  return jnp.einsum("sij,stjk,skl->stil", inverse, middle, inverse)


def _by_group(
  x: Features, matrices: Float[Array, "g d d"], group: Int[Array, " b"]
) -> Features:
  """Applies each row's symmetric matrix; never holds one of them for each row."""
  own = jax.nn.one_hot(group, len(matrices), dtype=x.dtype)
  return jnp.einsum("bg,bi,gij->bj", own, x, matrices, precision="highest")
