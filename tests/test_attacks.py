"""FGSM and PGD: the authors' numbers, closed forms, properties."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from attack_support import (
  assert_in_ball,
  channels_last,
  golden_network,
  linear_problem,
  mlp,
  mlp_problem,
  right,
)

from jaxvision.attacks import fgsm, objectives, pgd
from jaxvision.attacks.classifier import gradient
from jaxvision.attacks.objectives import Aim
from jaxvision.attacks.pgd import normal_start, sign_step, uniform_start
from jaxvision.errors import UserError

KEY = jax.random.key(0)


@pytest.fixture
def case(golden):
  arrays = golden("attacks")
  logits_fn, weights = golden_network(arrays)
  x, y = channels_last(arrays["x"]), jnp.asarray(arrays["y"])
  return arrays, logits_fn, weights, x, y


def test_clean_values_are_the_references(case):
  arrays, logits_fn, weights, x, y = case
  logits = logits_fn(weights, x)
  np.testing.assert_allclose(logits, arrays["clean_logits"], rtol=1e-5, atol=1e-5)
  logits = jnp.asarray(arrays["clean_logits"])
  aim = Aim(y, objectives.target_of_rank(logits, 2))
  for objective, name in (
    (objectives.ce, "clean_ce_loss"),
    (objectives.dlr, "clean_dlr_loss"),
    (objectives.dlr_targeted, "clean_dlr_targeted_loss_rank2"),
  ):
    np.testing.assert_allclose(
      objective(logits, aim), arrays[name], rtol=2e-5, atol=1e-6
    )
  slope, _, _ = gradient(logits_fn, objectives.ce, weights, x, aim)
  np.testing.assert_allclose(slope, channels_last(arrays["clean_ce_grad"]), atol=1e-6)


@pytest.mark.parametrize("loss", ["ce", "cw"])
def test_pgd_is_the_authors_pixel_for_pixel(case, loss):
  arrays, logits_fn, weights, x, y = case
  eps = float(arrays["eps"])
  start = jnp.clip(x + channels_last(arrays["pgd/start_noise"]), 0, 1)
  found = pgd(
    KEY, logits_fn, x, y, eps=eps, step_size=eps / 10, steps=20, loss=loss,
    start=start, variables=weights,
  )  # fmt: skip
  np.testing.assert_allclose(
    found, channels_last(arrays[f"pgd20_{loss}/x_adv"]), atol=1e-5
  )
  holds = right(logits_fn, weights, found, y)
  np.testing.assert_array_equal(holds, arrays[f"pgd20_{loss}/robust"])
  reached = objectives.ce(logits_fn(weights, found), Aim(y))
  np.testing.assert_allclose(reached, arrays[f"pgd20_{loss}/ce_loss"], rtol=1e-4)


def test_fgsm_is_the_authors(case):
  arrays, logits_fn, weights, x, y = case
  found = fgsm(logits_fn, x, y, eps=arrays["eps"], variables=weights)
  np.testing.assert_allclose(found, channels_last(arrays["fgsm/x_adv"]), atol=1e-5)
  loss = objectives.ce(logits_fn(weights, found), Aim(y))
  np.testing.assert_allclose(loss, arrays["fgsm/ce_loss"], rtol=1e-4, atol=1e-5)
  holds = right(logits_fn, weights, found, y)
  np.testing.assert_array_equal(holds, arrays["fgsm/robust"])
  assert_in_ball(found, x, arrays["eps"])


@pytest.mark.parametrize("name", ["fgsm", "pgd"])
def test_a_linear_classifier_breaks_exactly_beyond_its_margin(name):
  logits, x, y, distance = linear_problem()
  for eps in (0.01, 0.05):
    attack = {
      "fgsm": fgsm,
      "pgd": functools.partial(pgd, KEY, step_size=eps / 4, steps=12),
    }[name]
    far = np.abs(distance - eps) > 1e-4
    holds = right(logits, None, attack(logits, x, y, eps=eps), y)
    assert 0 < holds.sum() < len(x)
    np.testing.assert_array_equal(holds[far], (distance > eps)[far])


@pytest.mark.parametrize("loss", ["ce", "cw", "dlr", "trades"])
def test_pgd_stays_in_the_ball_and_raises_its_loss(loss):
  logits_fn, weights, x, y = mlp_problem()
  eps, aim = 0.2, Aim(y, clean=logits_fn(weights, x))
  attack = functools.partial(
    pgd, logits_fn=logits_fn, x=x, y=y, eps=eps, step_size=0.05, loss=loss,
    variables=weights,
  )  # fmt: skip
  start = uniform_start(KEY, x, eps=eps)
  found = attack(KEY, steps=10, start=start)
  assert_in_ball(found, x, eps)
  value = lambda u: objectives.choose(loss)(logits_fn(weights, u), aim).mean()
  assert value(found) > value(start) > value(x) - 1e-6
  chex.assert_trees_all_equal(attack(KEY, steps=0, start=start), start)


def test_the_key_decides():
  logits_fn, weights, x, y = mlp_problem()
  attack = functools.partial(
    pgd, logits_fn=logits_fn, x=x, y=y, eps=0.1, step_size=0.01, steps=3,
    variables=weights,
  )  # fmt: skip
  chex.assert_trees_all_equal(attack(KEY), attack(KEY))
  assert not jnp.array_equal(attack(KEY), attack(jax.random.key(1)))


def test_restarts_only_help():
  logits_fn, weights, x, y = mlp_problem(rows=64)
  attack = functools.partial(
    pgd, KEY, logits_fn, x, y, eps=0.12, step_size=0.02, steps=2, variables=weights
  )
  one, many = attack(restarts=3), attack(restarts=12)
  one, many = (right(logits_fn, weights, found, y) for found in (one, many))
  assert many.sum() < one.sum() < len(x)


def test_no_radius_is_the_clean_image():
  logits_fn, weights, x, y = mlp_problem()
  found = pgd(KEY, logits_fn, x, y, eps=0.0, step_size=0.1, steps=2, variables=weights)
  chex.assert_trees_all_equal(found, x)
  chex.assert_trees_all_equal(fgsm(logits_fn, x, y, eps=0, variables=weights), x)


def test_plain_functions_closures_and_outer_jit_agree():
  logits_fn, weights, x, y = mlp_problem()
  options = {"eps": 0.1, "step_size": 0.02, "steps": 3}
  expected = pgd(KEY, logits_fn, x, y, variables=weights, **options)
  closure = lambda x: logits_fn(weights, x)
  chex.assert_trees_all_close(pgd(KEY, closure, x, y, **options), expected, atol=1e-6)

  @jax.jit
  def inside(weights, x, y):
    return pgd(KEY, lambda x: logits_fn(weights, x), x, y, **options)

  chex.assert_trees_all_close(inside(weights, x, y), expected, atol=1e-6)
  # The tracers that a closure holds do not leak into a second trace.
  fewer = pgd(KEY, logits_fn, x[:4], y[:4], variables=weights, **options)
  chex.assert_trees_all_close(inside(weights, x[:4], y[:4]), fewer, atol=1e-6)


def test_new_weights_and_radii_do_not_compile_again():
  _, weights, x, y = mlp_problem()
  counted = chex.assert_max_traces(mlp, 1)
  for scale in (1.0, 2.0):
    own = jax.tree.map(lambda w, s=scale: w * s, weights)
    for eps in (0.1, 0.2):
      sign_step(
        counted, objectives.ce, x, x, Aim(y), eps=eps, step_size=0.01, variables=own
      )


def test_no_gradient_flows_through_an_attack():
  logits_fn, weights, x, y = mlp_problem()

  def loss(weights):
    found = pgd(
      KEY, logits_fn, x, y, eps=0.1, step_size=0.1, steps=2, variables=weights
    )
    return jnp.sum(found)

  for slope in jax.tree.leaves(jax.grad(loss)(weights)):
    assert not slope.any()


def test_starts():
  x = jnp.full((4, 5, 5, 1), 0.05)
  uniform = uniform_start(KEY, x, eps=0.1)
  assert_in_ball(uniform, x, 0.1)
  assert jnp.abs(uniform - x).max() > 0.08 and (uniform == 0).any()
  normal = normal_start(KEY, jnp.zeros((100, 100)))
  assert normal.std() == pytest.approx(0.001, rel=0.05) and normal.min() < 0


@pytest.mark.parametrize(
  ("options", "named"),
  [
    ({"loss": "kl"}, "loss is 'kl'; choose one of ce, cw, dlr, trades"),
    ({"restarts": 0}, "restarts is 0"),
    ({"restarts": 2, "start": jnp.zeros((24, 4, 4, 1))}, "1 with a start"),
  ],
)
def test_mistakes_are_named(options, named):
  logits_fn, weights, x, y = mlp_problem()
  with pytest.raises(UserError, match=named):
    pgd(
      KEY,
      logits_fn,
      x,
      y,
      eps=0.1,
      step_size=0.1,
      steps=1,
      variables=weights,
      **options,
    )
