"""The bank of domain statistics against closed forms, on one device and on two."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from jaxvision.ops.statistics import MomentBank, batch_moments, update_bank

N, D = 4, 3  # the last domain is never seen


def draw(seed, size=24):
  rng = np.random.default_rng(seed)
  domain = rng.permutation(np.arange(size) % (N - 1)).astype(np.int32)
  z = rng.normal(size=(size, D)) * (1 + domain[:, None]) + 3 * domain[:, None] + seed
  return z.astype(np.float32), domain


def biased(z, full):
  """Mean and biased (co)variance in float64."""
  z = np.float64(z)
  cov = np.cov(z, rowvar=False, bias=True)
  return z.mean(0), cov if full else np.diagonal(cov)


@functools.partial(jax.jit, static_argnames=("mode", "grad"))
def update(bank, z, domain, **options):
  return update_bank(bank, z, domain, **options)


def run(seeds, *, full, **options):
  bank = MomentBank.zeros(N, D, full=full)
  for seed in seeds:
    bank = update(bank, *draw(seed), **options)
  return bank


def check(bank, k, mean, cov, count):
  np.testing.assert_allclose(bank.mean[k], mean, rtol=1e-5, atol=1e-5)
  np.testing.assert_allclose(bank.cov[k], cov, rtol=1e-4, atol=1e-4)
  assert bank.count[k] == count


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2), (2, 0, 1)])
def test_cumulative_is_the_statistics_of_all(seeds, full):
  bank = run(seeds, full=full, mode="cumulative")
  z, domain = (np.concatenate(x) for x in zip(*map(draw, seeds), strict=True))
  for k in range(N - 1):
    check(bank, k, *biased(z[domain == k], full), 8 * len(seeds))
  chex.assert_trees_all_equal(
    jax.tree.map(lambda x: x[-1], bank),
    jax.tree.map(lambda x: x[-1], MomentBank.zeros(N, D, full=full)),
  )


@pytest.mark.parametrize("full", [False, True])
def test_ema_is_a_mixture(full):
  rho, bank = 0.7, run((0,), full=full, momentum=0.7)
  z, domain = draw(0)
  past = {k: biased(z[domain == k], full) for k in range(N - 1)}
  for k in past:  # the first batch is taken as it is
    check(bank, k, *past[k], 8)
  bank = update(bank, *draw(5), momentum=0.7)
  z, domain = draw(5)
  for k in past:
    (mu, cov), (m, s) = past[k], biased(z[domain == k], full)
    outer = np.outer(m - mu, m - mu)
    outer = outer if full else np.diagonal(outer)
    mixture = rho * cov + (1 - rho) * s + rho * (1 - rho) * outer
    check(bank, k, rho * mu + (1 - rho) * m, mixture, 16)


@pytest.mark.parametrize("mode", ["ema", "cumulative"])
def test_a_domain_that_is_missing_stays_as_it_was(mode):
  before = run((0,), full=True, mode=mode)
  z, _ = draw(1)
  after = update(before, z, np.zeros(len(z), np.int32), mode=mode)
  rest = lambda bank: jax.tree.map(lambda x: x[1:], bank)
  chex.assert_trees_all_equal(rest(after), rest(before))
  assert np.abs(after.mean[0] - before.mean[0]).max() > 0.05


def test_without_momentum_it_holds_the_batch():
  bank = run((0, 1), full=True, momentum=0.0)
  z, domain = draw(1)
  moments = jax.jit(functools.partial(batch_moments, n=N, full=True))(z, domain)
  chex.assert_trees_all_close(bank[:2], moments[:2], rtol=1e-5, atol=1e-5)


def test_variances_are_the_diagonal():
  banks = [run((0, 1), full=full) for full in (False, True)]
  np.testing.assert_allclose(banks[0].variance, banks[1].variance, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("grad", [False, True])
def test_gradient_reaches_features_on_request_only(grad):
  z, domain = draw(0)
  loss = lambda z: update(run((1,), full=False), z, domain, grad=grad).cov.sum()
  assert (np.abs(jax.grad(loss)(z)).max() > 0) == grad


def mesh():
  return jax.make_mesh(
    (2,), ("data",), (jax.sharding.AxisType.Auto,), devices=jax.devices()[:2]
  )


@pytest.mark.parametrize("mode", ["ema", "cumulative"])
def test_two_devices_find_what_one_finds(mode):
  """A batch that is split under `jit`, and one whose parts are summed by name."""
  before = run((0,), full=True)
  z, domain = draw(1)
  expected = update(before, z, domain, mode=mode)
  split = NamedSharding(mesh(), PartitionSpec("data"))
  placed = update(before, *jax.device_put((z, domain), split), mode=mode)
  chex.assert_trees_all_close(placed, expected, rtol=1e-5, atol=1e-5)
  whole, parts = PartitionSpec(), PartitionSpec("data")
  named = jax.jit(
    jax.shard_map(
      lambda bank, z, domain: update_bank(bank, z, domain, mode=mode, axis_name="data"),
      mesh=mesh(),
      in_specs=(whole, parts, parts),
      out_specs=whole,
    )
  )
  found = named(before, z, domain)
  chex.assert_trees_all_close(found, expected, rtol=1e-5, atol=1e-5)


def test_another_mode_is_refused():
  with pytest.raises(ValueError, match="'mean'; choose one of ema, cumulative"):
    update_bank(MomentBank.zeros(N, D), *map(jnp.asarray, draw(0)), mode="mean")
