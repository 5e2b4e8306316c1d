"""Transport between domains, draws of domains, gradient reversal: closed forms."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops.gradients import gradient_reversal
from jaxvision.ops.statistics import (
  MomentBank,
  batch_moments,
  draw_domains,
  transport,
  update_bank,
)

N, D, B = 3, 4, 90
KINDS = ("none", "mean", "diag", "full", "ot")
move = jax.jit(transport, static_argnames=("kind", "eps", "max_ratio", "grad"))
draws = jax.jit(draw_domains, static_argnames=("n", "kind"))


@pytest.fixture(scope="module")
def sample():
  """Features with correlated coordinates, their domains, and their statistics."""
  rng = np.random.default_rng(0)
  domain = jnp.arange(B) % N
  mix = rng.normal(size=(N, D, D)) / 2 + np.eye(D)
  z = np.einsum("bij,bj->bi", mix[domain], rng.normal(size=(B, D)))
  z = jnp.asarray(z + 3 * rng.normal(size=(N, D))[domain], jnp.float32)
  moments = jax.jit(functools.partial(batch_moments, n=N, full=True))
  return z, domain, moments(z, domain)


@pytest.mark.parametrize("kind", KINDS)
def test_to_the_own_domain_is_to_stay(sample, kind):
  z, domain, bank = sample
  np.testing.assert_array_equal(move(z, domain, domain, bank, kind=kind), z)


@pytest.mark.parametrize("kind", KINDS[1:])
def test_statistics_of_the_target_are_met(sample, kind):
  z, domain, bank = sample
  target = np.full_like(domain, 2)
  moved = np.float64(move(z, domain, target, bank, kind=kind, eps=0.0))
  for k in range(2):
    own = moved[domain == k]
    np.testing.assert_allclose(own.mean(0), bank.mean[2], atol=1e-4)
    cov = np.cov(own, rowvar=False, bias=True)
    if kind == "diag":
      np.testing.assert_allclose(np.diagonal(cov), bank.variance[2], rtol=1e-3)
    elif kind in ("full", "ot"):
      np.testing.assert_allclose(cov, bank.cov[2], rtol=1e-3, atol=1e-3)
    else:
      np.testing.assert_allclose(cov, bank.cov[k], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", KINDS[1:])
def test_there_and_back_is_to_stay(sample, kind):
  z, domain, bank = sample
  target = (domain + 1) % N
  there = move(z, domain, target, bank, kind=kind)
  back = move(there, target, domain, bank, kind=kind)
  np.testing.assert_allclose(back, z, atol=2e-3)


def test_optimal_transport_moves_least(sample):
  """Among the maps that meet both statistics it has the least mean square."""
  z, domain, bank = sample
  target = np.full_like(domain, 2)
  cost = {
    kind: np.square(move(z, domain, target, bank, kind=kind, eps=1e-6) - z).mean()
    for kind in ("full", "ot")
  }
  assert cost["ot"] < cost["full"]
  # The distance of two Gaussians (Dowson and Landau, 1982), of domain 0 to 2.
  own = domain == 0
  moved = move(z, domain, target, bank, kind="ot", eps=1e-6)
  s, t = np.float64(bank.cov[0]), np.float64(bank.cov[2])
  value, vector = np.linalg.eigh(s)
  root = vector * np.sqrt(value) @ vector.T
  cross = np.sqrt(np.linalg.eigvalsh(root @ t @ root)).sum()
  expected = np.square(bank.mean[0] - bank.mean[2]).sum() + np.trace(s + t) - 2 * cross
  found = np.square(np.float64(moved - z)[own]).sum(1).mean()
  assert found == pytest.approx(expected, rel=1e-3)


def test_diagonal_formula_on_variances():
  bank = MomentBank(
    jnp.array([[0.0], [10.0]]), jnp.array([[4.0], [9.0]]), jnp.array([5.0, 5.0])
  )
  z, domain = jnp.array([[1.0], [13.0]]), jnp.array([0, 1])
  moved = move(z, domain, 1 - domain, bank, kind="diag", eps=0.0)
  np.testing.assert_allclose(moved, [[11.5], [2.0]], rtol=1e-6)


def test_a_dead_channel_is_not_blown_up():
  bank = MomentBank(jnp.zeros((2, 1)), jnp.array([[0.0], [1.0]]), jnp.ones(2))
  z, domain = jnp.array([[0.1]]), jnp.array([0])
  free = move(z, domain, 1 - domain, bank)
  np.testing.assert_allclose(free, [[0.1 * np.sqrt(1e5 + 1)]], rtol=1e-3)
  bound = move(z, domain, 1 - domain, bank, max_ratio=4.0)
  np.testing.assert_allclose(bound, [[0.4]], rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS[1:])
def test_the_bank_gets_no_gradient_and_features_do(sample, kind):
  z, domain, bank = sample
  target = (domain + 1) % N

  def loss(z, bank):
    return jnp.square(move(z, domain, target, bank, kind=kind)).sum()

  of_z, of_bank = jax.jit(jax.grad(loss, argnums=(0, 1)))(z, bank)
  assert np.isfinite(of_z).all() and np.abs(of_z).max() > 0
  assert all(not np.abs(leaf).any() for leaf in jax.tree.leaves(of_bank))


def test_the_bank_gets_a_gradient_on_request(sample):
  z, domain, bank = sample

  def loss(z):
    now = update_bank(bank, z, domain, grad=True)
    return move(z, domain, (domain + 1) % N, now, kind="mean", grad=True).sum()

  # Each mean moves by a tenth of its domain's: what goes out of one enters another.
  np.testing.assert_allclose(jax.jit(jax.grad(loss))(z), 1.0, atol=1e-5)


@pytest.mark.parametrize("kind", ["full", "ot"])
def test_covariances_are_asked_for(kind):
  bank, one = MomentBank.zeros(2, 3), jnp.zeros(1, jnp.int32)
  with pytest.raises(ValueError, match="needs a bank of covariances"):
    transport(jnp.zeros((1, 3)), one, one, bank, kind=kind)
  with pytest.raises(ValueError, match="'style'; choose one of none, mean"):
    transport(jnp.zeros((1, 3)), one, one, bank, kind="style")


@pytest.mark.parametrize("kind", ["uniform", "others"])
def test_targets_do_not_depend_on_the_class(kind):
  """Chi-square of 100,000 draws within each domain; the class determines the domain."""
  domain = np.arange(100_000, dtype=np.int32) % 4
  (target,) = np.asarray(draws(jax.random.key(0), domain, 4, kind=kind))
  shift = (target - domain) % 4
  table = np.array([np.bincount(shift[domain == k], minlength=4) for k in range(4)])
  if kind == "others":
    assert not table[:, 0].any()
    table = table[:, 1:]
  expected = 25_000 / table.shape[1]
  chi_square = np.square(table - expected).sum() / expected
  assert chi_square < 40  # 12 degrees of freedom: one in 10,000 seeds exceeds 39


def test_permuted_and_all_targets():
  domain = np.repeat(np.arange(3, dtype=np.int32), 4)
  key = jax.random.key(1)
  (target,) = draws(key, domain, 3, kind="permute")
  np.testing.assert_array_equal(np.sort(target), domain)
  assert (target != domain).any()
  every = draws(key, domain, 3, kind="all")
  np.testing.assert_array_equal(every, np.arange(3)[:, None] + 0 * domain)


def test_wrong_draws_are_refused():
  key, domain = jax.random.key(0), jnp.zeros(2, jnp.int32)
  with pytest.raises(ValueError, match="choose one of uniform, others"):
    draw_domains(key, domain, 3, kind="random")
  with pytest.raises(ValueError, match="two domains"):
    draw_domains(key, domain, 1, kind="others")


@pytest.mark.parametrize("variant", [lambda f: f, jax.jit], ids=["eager", "jit"])
def test_reversal_in_value_and_gradient(variant):
  x, g = jnp.array([1.0, -2.0, 3.0]), jnp.array([0.5, 1.0, -4.0])
  reverse = variant(gradient_reversal)
  np.testing.assert_array_equal(reverse(x, 0.7), x)
  pull = lambda f, scale: jax.vjp(functools.partial(f), x, scale)[1](g)
  of_x, of_scale = pull(reverse, 0.7)
  np.testing.assert_allclose(of_x, -0.7 * g)
  assert of_scale == 0
  assert not np.abs(pull(reverse, 0.0)[0]).any()
  twice = lambda x, s: reverse(reverse(x, s), s)
  np.testing.assert_allclose(pull(twice, 1.0)[0], g)
