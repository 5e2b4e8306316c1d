"""How alike two layers are: centred kernel alignment (CKA)."""

from jaxvision.ops import alignment
from jaxvision.typing import Array, Float


def linear_cka(
  x: Float[Array, "n d"], y: Float[Array, "n e"], *, unbiased: bool = False
) -> Float[Array, ""]:
  """Linear CKA ||Y^T X||_F^2 / (||X^T X||_F ||Y^T Y||_F) of centred features.

  Kornblith et al. (2019), equation 5. Invariant to orthogonal maps and to isotropic
  scaling of either side. Needs more examples than features: with d >> n the biased
  form is near 1 even for noise (0.997 at n = 4, d = 2048), so pool positions first or
  take the unbiased one.

  Args:
    x: features of one layer, examples first.
    y: of another layer, for the same examples in the same order.
    unbiased: ratio of unbiased HSIC estimators; needs four examples.

  Raises:
    ValueError: too few examples.
  """
  _check(x.shape[0], unbiased)
  grams = alignment.linear_gram(x), alignment.linear_gram(y)
  return alignment.alignment(*grams, unbiased=unbiased)


def rbf_cka(
  x: Float[Array, "n d"],
  y: Float[Array, "n e"],
  *,
  bandwidth: float = 0.5,
  unbiased: bool = False,
) -> Float[Array, ""]:
  """CKA with a Gaussian kernel on either side.

  Args:
    x: as of `linear_cka`.
    y: as of `linear_cka`.
    bandwidth: see `ops.alignment.rbf_gram`.
    unbiased: as of `linear_cka`.

  Raises:
    ValueError: too few examples.
  """
  _check(x.shape[0], unbiased)
  grams = (alignment.rbf_gram(z, bandwidth=bandwidth) for z in (x, y))
  return alignment.alignment(*grams, unbiased=unbiased)


def _check(n: int, unbiased: bool) -> None:
  least = 4 if unbiased else 2
  if n < least:
    raise ValueError(f"CKA of {n} examples; it needs at least {least}.")
