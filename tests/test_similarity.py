"""CKA and active units: the authors' numbers, invariances, closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.metrics.activity import active_units
from jaxvision.metrics.similarity import linear_cka, rbf_cka
from jaxvision.ops import alignment

X = jax.random.normal(jax.random.key(0), (30, 6))
Y = X[:, :4] + jax.random.normal(jax.random.key(1), (30, 4))
FORMS = {
  "linear_feature_space": linear_cka,
  "linear_gram": linear_cka,
  "linear_debiased": lambda x, y: linear_cka(x, y, unbiased=True),
  "rbf_half_median": lambda x, y: rbf_cka(x, y, bandwidth=0.5),
  "rbf_one_median": lambda x, y: rbf_cka(x, y, bandwidth=1.0),
}


@pytest.mark.parametrize("name", FORMS)
def test_cka_agrees_with_the_authors(golden, name):
  arrays = golden("iekd")
  x, y = jnp.asarray(arrays["cka/x"]), jnp.asarray(arrays["cka/y"])
  for run in (FORMS[name], jax.jit(FORMS[name])):
    np.testing.assert_allclose(run(x, y), arrays[f"cka/{name}"], rtol=1e-6)


@pytest.mark.parametrize("unbiased", [False, True])
def test_cka_is_one_with_itself_whatever_the_basis(unbiased):
  rotation, _ = jnp.linalg.qr(jax.random.normal(jax.random.key(2), (6, 6)))
  moved = 5 * X @ rotation + 3
  assert linear_cka(X, moved, unbiased=unbiased) == pytest.approx(1, abs=1e-5)
  found = linear_cka(X, Y, unbiased=unbiased)
  again = linear_cka(moved, Y, unbiased=unbiased)
  assert found == pytest.approx(float(again), abs=1e-5)
  assert found == pytest.approx(float(linear_cka(Y, X, unbiased=unbiased)), abs=1e-6)
  assert 0.1 < found < 0.95


def test_biased_cka_is_the_ratio_of_frobenius_norms():
  x, y = (z - z.mean(0) for z in (X, Y))
  norm = jnp.linalg.norm
  expected = norm(x.T @ y) ** 2 / (norm(x.T @ x) * norm(y.T @ y))
  assert linear_cka(X, Y) == pytest.approx(float(expected), rel=1e-5)


def test_only_the_unbiased_form_finds_nothing_in_noise():
  x, y = jax.random.normal(jax.random.key(3), (2, 12, 2000))
  assert linear_cka(x, y) > 0.9
  assert abs(linear_cka(x, y, unbiased=True)) < 0.1


def test_unbiased_hsic_is_a_mean_over_distinct_quadruples():
  k, l = (np.asarray(z[:6] @ z[:6].T, np.float64) for z in (X, Y))  # noqa: E741
  total, count = 0.0, 0
  for i, j, q, r in np.ndindex(6, 6, 6, 6):
    if len({i, j, q, r}) == 4:
      total += k[i, j] * (l[i, j] + l[q, r] - 2 * l[i, q])
      count += 1
  found = alignment.hsic(jnp.asarray(k), jnp.asarray(l), unbiased=True)
  assert found == pytest.approx(total / count, rel=1e-4)


def test_a_constant_layer_aligns_with_nothing():
  gradient = jax.grad(lambda x: linear_cka(x, Y))(jnp.ones((30, 3)))
  assert linear_cka(jnp.ones((30, 3)), Y) == 0 and jnp.isfinite(gradient).all()


@pytest.mark.parametrize("rows, unbiased", [(1, False), (3, True)])
def test_too_few_examples_are_refused(rows, unbiased):
  with pytest.raises(ValueError, match="it needs at least"):
    linear_cka(X[:rows], Y[:rows], unbiased=unbiased)


def test_units_that_hardly_move_are_not_active():
  h = jnp.abs(X) * jnp.array([1.0, 1, 1, 1e-3, 0, -1])
  assert active_units(h) == active_units(100 * h) == 4
  assert active_units(jnp.zeros((5, 3))) == 0
