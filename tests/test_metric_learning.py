"""Label smoothing, batch-hard triplets, CORAL: against plain loops and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.losses.classification import cross_entropy
from jaxvision.losses.domains import coral
from jaxvision.losses.metric_learning import batch_hard_triplet

triplet = jax.jit(batch_hard_triplet, static_argnames="margin")


def features(n=12, d=5):
  rng = np.random.default_rng(0)
  return rng.normal(size=(n, d)).astype(np.float32)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_smoothing_is_a_soft_target(smoothing):
  logits, labels = 3 * features(), jnp.arange(12) % 5
  target = smoothing / 5 + (1 - smoothing) * np.eye(5)[labels]
  log_p = np.log(np.exp(logits) / np.exp(logits).sum(1, keepdims=True))
  smooth = jax.jit(cross_entropy, static_argnames="smoothing")
  found = smooth(logits, labels, smoothing=smoothing)
  np.testing.assert_allclose(found, -(target * log_p).sum(1), rtol=1e-4)


@pytest.mark.parametrize("margin", [0.0, 0.3, 5.0])
def test_triplets_as_in_a_loop(margin):
  z, labels = features(), np.arange(12) % 4
  expected = []
  for i in range(12):
    far = np.linalg.norm(z - z[i], axis=1)
    hardest = far[labels == labels[i]].max() - far[labels != labels[i]].min()
    expected.append(max(hardest + margin, 0.0))
  np.testing.assert_allclose(triplet(z, labels, margin=margin), expected, atol=1e-4)


def test_equal_features_have_a_finite_gradient():
  z = jnp.ones((6, 3))
  labels = jnp.arange(6) // 2
  found, grad = jax.jit(
    jax.value_and_grad(lambda z: batch_hard_triplet(z, labels).sum())
  )(z)
  assert found == pytest.approx(6 * 0.3) and np.isfinite(grad).all()


def test_one_class_has_no_triplet():
  z = jnp.asarray(features(4))
  value, grad = jax.jit(
    jax.value_and_grad(lambda z: batch_hard_triplet(z, jnp.zeros(4, jnp.int32)).sum())
  )(z)
  assert value == 0 and not np.abs(grad).any()


coral_loss = jax.jit(coral, static_argnames="domains")


def test_coral_is_the_distance_of_moments():
  z, domain = features(30), np.arange(30) % 3
  expected = []
  for i in range(3):
    for j in range(i):
      a, b = z[domain == i], z[domain == j]
      covariances = np.cov(a, rowvar=False) - np.cov(b, rowvar=False)
      means = np.square(a.mean(0) - b.mean(0)).mean()
      expected.append(means + np.square(covariances).mean())
  found = coral_loss(z, domain, domains=3)
  assert found == pytest.approx(np.mean(expected), rel=1e-4)
  # A domain that is not there changes nothing; alike domains have no distance.
  assert coral_loss(z, domain, domains=5) == pytest.approx(found)
  twice = np.concatenate([z, z])
  assert coral_loss(twice, np.arange(60) // 30, domains=2) < 1e-8
  assert coral_loss(z, np.zeros(30, np.int32), domains=3) == 0
