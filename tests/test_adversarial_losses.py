"""Losses of adversarial training: the authors' numbers, limits, gradients."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.losses import adversarial
from jaxvision.losses.classification import cross_entropy


@pytest.fixture
def logits():
  rng = np.random.default_rng(0)
  clean, attacked = (jnp.asarray(rng.normal(size=(7, 5)), jnp.float32) for _ in "ab")
  return clean, attacked, jnp.arange(7) % 5


def test_contents_are_those_of_causal_adv(golden):
  arrays = golden("causal_adv")
  names = ("align/z", "align/z_adv", "head/y")
  z, z_adv, y = (jnp.asarray(arrays[name]) for name in names)
  found = adversarial.madry(z_adv, y).mean()
  np.testing.assert_allclose(found, arrays["align/M/content"], rtol=1e-5)
  beta = float(arrays["align/T/beta_alpha"][0])
  found = adversarial.trades(z, z_adv, y, beta=beta).mean() / beta
  np.testing.assert_allclose(found, arrays["align/T/content"], rtol=1e-5)


def test_kl_against_a_plain_loop(logits):
  clean, attacked, _ = logits
  p, q = (np.asarray(jax.nn.softmax(z), np.float64) for z in (clean, attacked))
  expected = (p * np.log(p / q)).sum(1)
  for kl in (adversarial.logits_kl, jax.jit(adversarial.logits_kl)):
    np.testing.assert_allclose(kl(clean, attacked), expected, rtol=1e-5)
  np.testing.assert_allclose(adversarial.logits_kl(clean, clean + 3), 0, atol=1e-6)


def test_mart_against_a_plain_loop(logits):
  clean, attacked, labels = logits
  p, q = (np.asarray(jax.nn.softmax(z), np.float64) for z in (clean, attacked))
  found = adversarial.mart(clean, attacked, labels, beta=2.0)
  for row, y in enumerate(labels):
    boosted = -np.log(q[row, y]) - np.log(1.0001 - np.delete(q[row], y).max())
    kl = (p[row] * np.log(p[row] / q[row])).sum()
    expected = boosted + 2 * kl * (1 + 1e-7 - p[row, y])
    assert found[row] == pytest.approx(expected, rel=1e-5)


def test_mart_is_finite_where_a_wrong_class_is_certain():
  z, y = jnp.array([[200.0, 0, 0]]), jnp.array([1])
  loss = lambda z: adversarial.mart(z, z, y).sum()
  assert loss(z) == pytest.approx(200 - np.log(1e-4), rel=1e-3)
  assert jnp.isfinite(jax.grad(loss)(z)).all()


def test_without_beta_trades_is_plain_training(logits):
  clean, attacked, labels = logits
  chex.assert_trees_all_equal(
    adversarial.trades(clean, attacked, labels, beta=0.0), cross_entropy(clean, labels)
  )
  chex.assert_trees_all_equal(
    adversarial.madry(attacked, labels), cross_entropy(attacked, labels)
  )


def test_gradients_reach_both_logits(logits):
  clean, attacked, labels = logits
  p, q = jax.nn.softmax(clean), jax.nn.softmax(attacked)
  loss = lambda a, b: adversarial.trades(a, b, labels, beta=6.0).sum()
  by_clean, by_attacked = jax.grad(loss, (0, 1))(clean, attacked)
  np.testing.assert_allclose(by_attacked, 6 * (q - p), atol=1e-5)
  kl = adversarial.logits_kl(clean, attacked)[:, None]
  through_kl = p * (jnp.log(p / q) - kl)
  through_ce = p - jax.nn.one_hot(labels, 5)
  np.testing.assert_allclose(by_clean, through_ce + 6 * through_kl, atol=1e-5)


def test_short_floats_are_summed_in_float32(logits):
  *wide, labels = logits
  short = [z.astype(jnp.bfloat16) for z in wide]
  for loss in (adversarial.trades, adversarial.mart):
    found = loss(*short, labels)
    wide = loss(*(z.astype(jnp.float32) for z in short), labels)
    assert found.dtype == jnp.float32
    chex.assert_trees_all_equal(found, wide)
