"""CausalAdv's style: what features hold beside what the class weights look at.

Zhang et al. (2022), "CausalAdv: Adversarial Robustness through the Lens of Causality",
as their code has it. A basis of the feature space is made orthogonal to the classes'
weights under the covariance of the features; coordinates in it are the style.
"""

import jax
import jax.numpy as jnp

from jaxvision.typing import Array, Float, PRNGKey

KINDS = ("sequential", "exact", "random")
DRAWS = 4  # Gaussian vectors drawn for each one that is kept
TINY = 1e-6  # the authors', beside the norm of a feature


def unit_features(features: Float[Array, "n d"]) -> Float[Array, "n d"]:
  """Divides each feature by its norm."""
  norm = jnp.linalg.norm(features, axis=-1, keepdims=True)
  return features / (norm + TINY)


def make_anchor(key: PRNGKey, size: int) -> Float[Array, "d d"]:
  """Draws a random orthonormal basis, one vector a row; see `choose_anchor`."""
  return choose_anchor(jax.random.normal(key, (DRAWS * size, size)))


def choose_anchor(draws: Float[Array, "m d"]) -> Float[Array, "d d"]:
  """Orthonormalizes those d of m vectors that are least aligned with all others.

  Args:
    draws: candidates, m of them, at least d.

  Returns:
    Gram-Schmidt of the d rows with the smallest sum of |inner products| with all rows,
    in the order of that sum. By QR: the authors' loop loses digits in float32.
  """
  size = draws.shape[1]
  order = jnp.argsort(jnp.abs(draws @ draws.T).sum(1))
  q, r = jnp.linalg.qr(draws[order[:size]].T)
  return (q * jnp.sign(jnp.diagonal(r))).T


def style_basis(
  anchor: Float[Array, "d d"],
  kernel: Float[Array, "d k"],
  covariance: Float[Array, "d d"],
  *,
  kind: str = "sequential",
) -> Float[Array, "d d"]:
  """Takes the directions of the class weights out of a basis.

  The aim is B covariance kernel = 0: style does not correlate with logits. No gradient
  flows through the basis.

  Args:
    anchor: basis to start from, a vector a row.
    kernel: weights of the logits.
    covariance: of unit features.
    kind: "sequential", the authors': one class after the other, so that it holds for
      the last class only, since the directions are not orthogonal; "exact" for all
      classes; "random": the anchor itself.

  Returns:
    The vectors, of norm 1 (0 where "exact" leaves nothing).

  Raises:
    ValueError: another kind.
  """
  if kind not in KINDS:
    raise ValueError(f"kind is {kind!r}; choose one of {', '.join(KINDS)}.")
  if kind == "random":
    return jax.lax.stop_gradient(anchor)
  parts = jax.lax.stop_gradient((anchor, covariance @ kernel))
  return (_sequential if kind == "sequential" else _exact)(*parts)


def _sequential(
  basis: Float[Array, "d d"], directions: Float[Array, "d k"]
) -> Float[Array, "d d"]:
  def remove(basis: Array, direction: Array) -> tuple[Array, None]:
    norm = jnp.linalg.norm(direction)
    unit = jnp.where(norm > 0, direction / jnp.where(norm > 0, norm, 1.0), 0.0)
    return _unit_rows(basis - jnp.outer(basis @ unit, unit)), None

  return jax.lax.scan(remove, basis, directions.T)[0]


def _exact(
  basis: Float[Array, "d d"], directions: Float[Array, "d k"]
) -> Float[Array, "d d"]:
  # Columns may be dependent, as all are before the first batch: their null space is
  # that of the singular vectors with a value that counts.
  u, s, _ = jnp.linalg.svd(directions, full_matrices=False)
  u = u * (s > s.max() * directions.shape[0] * jnp.finfo(s.dtype).eps)
  return _unit_rows(basis - basis @ u @ u.T)


def _unit_rows(basis: Float[Array, "d d"]) -> Float[Array, "d d"]:
  norm = jnp.linalg.norm(basis, axis=1, keepdims=True)
  return basis / jnp.where(norm > 0, norm, 1.0)


def style(
  features: Float[Array, "n d"], basis: Float[Array, "d d"]
) -> Float[Array, "n d"]:
  """Returns the style: coordinates of the unit features in the basis."""
  return unit_features(features) @ basis.T
