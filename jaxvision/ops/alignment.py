"""Alignment of two descriptions of the same examples, by their Gram matrices."""

import jax
import jax.numpy as jnp

from jaxvision.typing import Array, Float

Gram = Float[Array, "n n"]
_HIGHEST = jax.lax.Precision.HIGHEST


def linear_gram(x: Float[Array, "n d"]) -> Gram:
  """Inner products of centred examples.

  Centring changes no alignment; it only spares the cancellation of a large mean.
  """
  x = x.astype(jnp.float32)
  x = x - x.mean(axis=0)
  return jnp.matmul(x, x.T, precision=_HIGHEST)


def rbf_gram(x: Float[Array, "n d"], *, bandwidth: float = 1.0) -> Gram:
  """Gaussian kernel exp(-d^2 / (2 bandwidth^2 median d^2)).

  Kornblith et al. (2019), section 3. The median is the lower one over all n^2 squared
  distances, the zeros of the diagonal included, as in the code of Huang et al. (2021).

  Args:
    x: examples by features.
    bandwidth: as a fraction of the root of the median squared distance.
  """
  gram = linear_gram(x)
  norms = jnp.diagonal(gram)
  square = jnp.maximum(norms[:, None] + norms[None, :] - 2 * gram, 0.0)
  median = jnp.sort(square.reshape(-1))[(square.size - 1) // 2]
  return jnp.exp(-square / (2 * bandwidth**2 * median))


def hsic(k: Gram, l: Gram, *, unbiased: bool = False) -> Float[Array, ""]:  # noqa: E741
  """Hilbert-Schmidt independence criterion of two Gram matrices.

  Args:
    k: of the one description.
    l: of the other.
    unbiased: the estimator of Song et al. (2012), equation 5, whose mean over samples
      does not grow with the number of features; needs n >= 4. Otherwise the usual one
      of Gretton et al. (2005), tr(K H L H) / (n - 1)^2.
  """
  n = k.shape[0]
  if not unbiased:
    return jnp.sum(_centred(k) * _centred(l)) / (n - 1) ** 2
  off = 1.0 - jnp.eye(n, dtype=k.dtype)
  k, l = k * off, l * off  # noqa: E741
  crossed = jnp.sum(k * l) + k.sum() * l.sum() / ((n - 1) * (n - 2))
  crossed -= 2 / (n - 2) * jnp.sum(k.sum(0) * l.sum(0))
  return crossed / (n * (n - 3))


def _centred(gram: Gram) -> Gram:
  rows = gram.mean(axis=0, keepdims=True)
  return gram - rows - rows.T + gram.mean()


def alignment(k: Gram, l: Gram, *, unbiased: bool = False) -> Float[Array, ""]:  # noqa: E741
  """Centred kernel alignment HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)).

  Kornblith et al. (2019), "Similarity of Neural Network Representations Revisited",
  equation 4. In [0, 1], or around 0 and below it if unbiased; 0 where a description is
  constant.
  """
  own = hsic(k, k, unbiased=unbiased) * hsic(l, l, unbiased=unbiased)
  varies = own > 0
  scale = jax.lax.rsqrt(jnp.where(varies, own, 1.0))
  return jnp.where(varies, hsic(k, l, unbiased=unbiased) * scale, 0.0)
