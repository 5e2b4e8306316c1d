"""Losses that make features of several domains alike."""

import jax.numpy as jnp

from jaxvision.ops.moment_bank import batch_moments
from jaxvision.typing import Array, Float, Int


def coral(
  z: Float[Array, "b d"], domain: Int[Array, " b"], *, domains: int
) -> Float[Array, ""]:
  """Distance of the domains' means and covariances, over all pairs of domains.

  Deep CORAL (Sun and Saenko, 2016) with the means, as Gulrajani and Lopez-Paz (2021,
  "In Search of Lost Domain Generalization") compare it: the mean of the squared
  differences, of means and of unbiased covariances, and then the mean over pairs. No
  mean over examples, hence a scalar.

  Args:
    z: features.
    domain: of each, in [0, domains).
    domains: number of them; pairs with a domain of fewer than two features are left
      out, and without a pair the loss is 0.
  """
  moments = batch_moments(z, domain, domains, full=True)
  bessel = moments.count / jnp.maximum(moments.count - 1, 1.0)
  cov = moments.cov * bessel[:, None, None]
  apart = lambda x: jnp.square(x[:, None] - x[None])
  distance = apart(moments.mean).mean(2) + apart(cov).mean((2, 3))
  known = moments.count > 1
  pairs = jnp.triu(known[:, None] & known[None], k=1)
  return jnp.sum(distance, where=pairs) / jnp.maximum(pairs.sum(), 1)
