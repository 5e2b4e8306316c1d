"""Losses of distillation: the authors' and peers' numbers, properties, gradients."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from network_support import close

from jaxvision.losses import distillation as losses
from jaxvision.losses import relational_distillation as relations
from jaxvision.losses.classification import cross_entropy
from jaxvision.ops.channels import make_split, take_channels
from jaxvision.ops.feature_maps import (
  adaptive_average_pool,
  l2_normalize_flat,
  same_resolution,
)

KEYS = jax.random.split(jax.random.key(0), 3)
A, B, C = (jax.random.normal(key, (4, 3, 3, 8)) for key in KEYS)


def last(x):
  return jnp.moveaxis(jnp.asarray(x), 1, -1) if np.ndim(x) == 4 else jnp.asarray(x)


def minus(loss):
  return lambda a, b: -loss(a, b)


def triplet(a, b):
  """D(a, z) - D(b, z), z being b with the examples in reverse."""
  z = b[::-1]
  return losses.factor_distance(a, z) - losses.factor_distance(b, z)


def l2(a, b):
  return losses.factor_distance(a, b, p=2)


GOLDEN = {
  "norm_p1_inherit": losses.factor_distance,
  "norm_p1_explore": minus(losses.factor_distance),
  "norm_p2_inherit": l2,
  "norm_p2_explore": minus(l2),
  "rec_p1": losses.reconstruction,
  "rec_p2": lambda a, b: losses.reconstruction(a, b, p=2),
  "cos_inherit": losses.cosine_distance,
  "cos_explore": losses.absolute_cosine,
  "ft_authors": losses.factor_transfer,
  "ddt_authors_p1": triplet,
  "ft_torchdistill_p1": losses.factor_transfer,
  "ft_torchdistill_p2": lambda a, b: losses.factor_transfer(a, b, p=2),
  "at_repdistiller": losses.attention_transfer,
  "at_torchdistill_code": losses.attention_transfer,
  "at_torchdistill_paper": lambda a, b: losses.attention_transfer(a, b, form="paper"),
  "ft_repdistiller_NOT_FACTOR": lambda a, b: losses.attention_transfer(a, b, form="l1"),
  "ab_repdistiller_one_stage": losses.activation_boundary,
  "fitnet_mse": losses.fitnet,
  "sp_repdistiller": relations.similarity_preserving,
  "rkd_repdistiller": relations.relational,
  "pkt_repdistiller": relations.probabilistic_transfer,
  "cka_loss_4d": lambda a, b: 1 - losses.cka_distance(a, b),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_feature_losses_agree_with_their_authors(golden, name):
  arrays = golden("iekd")
  a, b = last(arrays["loss/a"]), last(arrays["loss/b"])
  run = jax.jit(jax.value_and_grad(lambda a: GOLDEN[name](a, b).mean()))
  value, gradient = run(a)
  np.testing.assert_allclose(value, arrays[f"loss/{name}/value"], rtol=2e-5)
  assert close(gradient, last(arrays[f"loss/{name}/ga"]), 2e-5)


def test_attention_of_a_finer_student_is_pooled(golden):
  arrays = golden("iekd")
  a, b = last(arrays["loss/a_large"]), last(arrays["loss/b"])
  run = jax.value_and_grad(lambda a: losses.attention_transfer(a, b).mean())
  value, gradient = run(a)
  np.testing.assert_allclose(
    value, arrays["loss/at_repdistiller_pooled/value"], rtol=1e-5
  )
  assert close(gradient, last(arrays["loss/at_repdistiller_pooled/ga"]), 2e-5)


@pytest.mark.parametrize("i", range(3))
@pytest.mark.parametrize("whose", ["kd_authors", "kl_repdistiller", "kd_torchdistill"])
def test_soft_targets_agree_with_their_authors(golden, whose, i):
  arrays = golden("iekd")
  s, t, labels = (jnp.asarray(arrays[f"loss/{n}"]) for n in
                  ("logits_s", "logits_t", "labels"))  # fmt: skip
  alpha, temperature = map(float, arrays[f"loss/kd_authors_{i}/alpha_T"])

  def loss(s):
    soft = losses.soft_target_kl(s, t, temperature=temperature).mean()
    hard = cross_entropy(s, labels).mean()
    return soft if whose == "kl_repdistiller" else (1 - alpha) * hard + alpha * soft

  value, gradient = jax.value_and_grad(loss)(s)
  np.testing.assert_allclose(value, arrays[f"loss/{whose}_{i}/value"], rtol=1e-5)
  assert close(gradient, arrays[f"loss/{whose}_{i}/ga"], 2e-5)


def test_mutual_learning_is_the_divergence_at_temperature_one(golden):
  arrays = golden("iekd")
  s, t = jnp.asarray(arrays["loss/logits_s"]), jnp.asarray(arrays["loss/logits_t"])
  run = jax.value_and_grad(lambda s: losses.soft_target_kl(s, t, temperature=1).mean())
  value, gradient = run(s)
  np.testing.assert_allclose(value, arrays["loss/dml_authors/value"], rtol=1e-5)
  assert close(gradient, arrays["loss/dml_authors/ga"], 2e-5)


def test_equal_logits_diverge_by_nothing():
  logits = A[:, 0, 0]
  found = losses.soft_target_kl(logits, logits + 7.0, temperature=3.0)
  np.testing.assert_allclose(found, 0, atol=1e-5)


@pytest.mark.parametrize("distance", losses.DISTANCES)
def test_distances_ignore_positive_scales_and_order(distance):
  inherit = losses.DISTANCES[distance].inherit
  scale = 3.0 if distance == "cka" else jnp.array([0.1, 2, 30, 4]).reshape(4, 1, 1, 1)
  expected = inherit(A, B)
  chex.assert_trees_all_close(inherit(scale * A, B), expected, atol=1e-5)
  chex.assert_trees_all_close(inherit(B, A), expected, atol=1e-6)
  chex.assert_trees_all_close(inherit(A, A), jnp.zeros_like(expected), atol=1e-6)


@pytest.mark.parametrize("distance", ["l1", "l2", "l1_sum", "l2_sum"])
def test_opposite_losses_of_equal_inputs_cancel(distance):
  weights = {"inherit_weight": 50.0, "explore_weight": 50.0, "distance": distance}
  found = losses.inheritance_exploration(A, A, B, **weights)
  np.testing.assert_array_equal(found, 0)
  both = losses.inheritance_exploration(A, A, B, **weights, both_inherit=True)
  chex.assert_trees_all_close(both, 100 * losses.DISTANCES[distance].inherit(A, B))


def test_the_loss_is_bounded_and_random_factors_are_where_expected():
  x, y = jax.random.normal(KEYS[0], (2, 500, 2048))
  d = losses.factor_distance(x, y)
  assert d.mean() == pytest.approx(np.sqrt(2 / 2048) * np.sqrt(2 / np.pi), rel=0.01)
  assert losses.factor_distance(x, -x).max() <= 2 / np.sqrt(2048)


def test_halves_and_teacher_keep_to_themselves():
  def loss(inherited, explored, teacher):
    weights = {"inherit_weight": 2.0, "explore_weight": 3.0}
    return losses.inheritance_exploration(
      inherited, explored, teacher, **weights
    ).mean()

  pull, push, teacher = jax.grad(loss, (0, 1, 2))(A, B, C)
  alone = jax.grad(lambda a: 2 * losses.factor_distance(a, C).mean())(A)
  chex.assert_trees_all_close(pull, alone)
  away = jax.grad(lambda b: -3 * losses.factor_distance(b, C).mean())(B)
  chex.assert_trees_all_close(push, away)
  np.testing.assert_array_equal(teacher, 0)


def test_a_gradient_step_does_what_the_names_say():
  for term, sign in zip(losses.DISTANCES["l1"], (-1, 1), strict=True):
    moved = A - 0.1 * jax.grad(lambda a, term=term: term(a, B).sum())(A)
    change = losses.factor_distance(moved, B) - losses.factor_distance(A, B)
    assert (sign * change > 0).all()


@pytest.mark.parametrize("p, reduction", [(1, "mean"), (2, "mean"), (2, "sum")])
def test_a_dead_feature_has_no_gradient_and_no_nan(p, reduction):
  dead = A.at[0].set(0.0)

  def loss(a):
    return losses.factor_distance(a, B, p=p, reduction=reduction).sum()

  gradient = jax.grad(loss)(dead)
  assert jnp.isfinite(gradient).all() and not gradient[0].any() and gradient[1].any()
  equal = jax.grad(lambda a: losses.factor_distance(a, B, p=p).sum())(B)
  assert jnp.isfinite(equal).all()


def test_normalized_features_have_length_one():
  found = l2_normalize_flat(A)
  np.testing.assert_allclose(jnp.linalg.norm(found, axis=1), 1, rtol=1e-6)
  assert found.shape == (4, 72)


def test_boundary_leaves_what_is_right_alone():
  teacher = jnp.array([[1.0, -1.0]])
  right = jnp.array([[1.5, -1.5]])
  assert losses.activation_boundary(right, teacher) == 0
  wrong = jnp.array([[0.5, 0.0]])
  expected = 3e-3 * (0.5**2 + 1)
  np.testing.assert_allclose(losses.activation_boundary(wrong, teacher), expected)


def test_overhaul_margin_is_the_mean_of_the_negative_part():
  rng = np.random.default_rng(0)
  gamma, beta = np.array([1.0, -0.5, 2.0]), np.array([0.3, -0.2, -1.0])
  x = beta + np.abs(gamma) * rng.normal(size=(400_000, 3))
  sampled = [column[column < 0].mean() for column in x.T]
  margin = losses.overhaul_margin(jnp.float32(gamma), jnp.float32(beta))
  np.testing.assert_allclose(margin, sampled, rtol=0.01)
  never = losses.overhaul_margin(jnp.float32([0.5]), jnp.float32([4.0]))
  np.testing.assert_allclose(never, -1.5)


def test_overhaul_counts_only_what_is_wrong():
  margin = jnp.array([-0.5, -0.5])
  teacher = jnp.array([[2.0, -3.0]])
  enough = jnp.array([[2.0, -4.0]])
  assert losses.overhaul(enough, teacher, margin=margin) == 0
  student = jnp.array([[1.0, 0.5]])
  found = losses.overhaul(student, teacher, margin=margin)
  np.testing.assert_allclose(found, 1e-3 * (1 + 1), rtol=1e-6)
  assert losses.stage_weights(3) == (0.25, 0.5, 1.0)


@pytest.mark.parametrize("size, out", [(7, 3), (8, 4), (5, 5)])
def test_adaptive_pooling_covers_a_map(size, out):
  x = jax.random.normal(KEYS[0], (2, size, size, 3))
  found = adaptive_average_pool(x, (out, out))
  for i in range(out):
    start, end = i * size // out, -(-(i + 1) * size // out)
    expected = x[:, start:end, : end0(size, out)].mean((1, 2))
    np.testing.assert_allclose(found[:, i, 0], expected, rtol=1e-5, atol=1e-6)


def end0(size, out):
  """Where the first window of an axis ends."""
  return -(-size // out)


def test_maps_meet_at_the_coarser_resolution():
  a, b = same_resolution(jnp.ones((1, 8, 4, 2)), jnp.ones((1, 4, 6, 3)))
  assert a.shape == (1, 4, 4, 2) and b.shape == (1, 4, 4, 3)
  with pytest.raises(ValueError, match="no positions in common"):
    same_resolution(jnp.ones((1, 8, 2)), jnp.ones((1, 4, 4, 2)))


@pytest.mark.parametrize("kind", ["natural", "random"])
@pytest.mark.parametrize("channels, ratio, first", [(7, 0.5, 3), (100, 0.29, 29)])
def test_a_split_takes_every_channel_once(kind, channels, ratio, first):
  inherit, explore = make_split(channels, ratio=ratio, kind=kind, key=KEYS[0])
  assert len(inherit) == first
  both = jnp.concatenate([inherit, explore])
  np.testing.assert_array_equal(jnp.sort(both), jnp.arange(channels))
  assert (kind == "natural") == (both == jnp.arange(channels)).all()


def test_channels_are_taken_bit_for_bit_and_alone():
  index = jnp.array([5, 0, 2])
  np.testing.assert_array_equal(jax.jit(take_channels)(A, index), A[..., index])
  gradient = jax.grad(lambda x: take_channels(x, index).sum())(A)
  expected = jnp.zeros(8).at[index].set(1.0)
  np.testing.assert_array_equal(gradient, jnp.broadcast_to(expected, A.shape))


@pytest.mark.parametrize(
  "call, words",
  [
    (lambda: losses.factor_distance(A, B, reduction="max"), "choose mean or sum"),
    (lambda: losses.attention_transfer(A, B, form="l3"), "choose code, paper or l1"),
    (lambda: make_split(4, kind="odd", key=None), "choose one of natural, random"),
    (lambda: make_split(4, ratio=0.1, key=None), "leaves 4 channels undivided"),
  ],
)
def test_a_bad_argument_is_refused(call, words):
  with pytest.raises(ValueError, match=words):
    call()
