"""Means and covariances of classes, kept over all batches that were ever seen."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxvision.typing import Array, Float, Int

Features = Float[Array, "n d"]


class ClassMoments(NamedTuple):
  """Moments of the features of each class, g of them.

  Attributes:
    mean: [g, d].
    cov: [g, d, d], biased: divided by the number of features, not by one less.
    count: [g] features seen.
  """

  mean: Array
  cov: Array
  count: Array


def empty(classes: int, size: int) -> ClassMoments:
  """Returns moments of no feature: zeros.

  Args:
    classes: g.
    size: d.
  """
  return ClassMoments(
    jnp.zeros((classes, size)), jnp.zeros((classes, size, size)), jnp.zeros(classes)
  )


def update(
  moments: ClassMoments, features: Features, labels: Int[Array, " n"]
) -> ClassMoments:
  """Takes a batch in: afterwards these are the moments of all that was ever seen.

  The merge of two samples (Chan, Golub and LeVeque, 1983), in which ISDA (Wang et al.,
  2019) and CausalAdv estimate covariances; a class without a feature stays as it is.

  Args:
    moments: so far.
    features: of the batch.
    labels: their classes, in [0, g); all 0 where there is one class.
  """
  own = jax.nn.one_hot(labels, moments.count.size, dtype=features.dtype)  # n g
  new = own.sum(0)
  mean = own.T @ features / jnp.maximum(new, 1.0)[:, None]
  centred = features - mean[labels]
  cov = jnp.einsum("ng,ni,nj->gij", own, centred, centred)
  cov = cov / jnp.maximum(new, 1.0)[:, None, None]
  count = moments.count + new
  share = new / jnp.maximum(count, 1.0)
  apart = mean - moments.mean
  between = jnp.einsum("gi,gj->gij", apart, apart)
  weight = share[:, None, None]
  return ClassMoments(
    mean=moments.mean + share[:, None] * apart,
    cov=moments.cov + weight * (cov - moments.cov) + weight * (1 - weight) * between,
    count=count,
  )
