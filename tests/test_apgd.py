"""APGD: the reference's flags and losses, its schedule, a closed form, properties.

Of the golden runs flags and losses are compared. Their points are not: trajectories
are chaotic in a few pixels, whose gradients are next to 0.
"""

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
  mlp_problem,
  right,
)

from jaxvision import interruption
from jaxvision.attacks import apgd, apgd_t, objectives
from jaxvision.attacks.apgd import ascend, begin, iterate, random_start, windows
from jaxvision.attacks.objectives import Aim
from jaxvision.errors import UserError

KEY = jax.random.key(0)
NAMES = ("ce_20", "dlr_20", "ce_100", "dlr_100", "t_rank2", "t_rank4")


@pytest.mark.parametrize("name", NAMES)
def test_flags_and_losses_are_the_references(golden, name):
  arrays = golden("attacks")
  logits_fn, weights = golden_network(arrays)
  x, y = channels_last(arrays["x"]), jnp.asarray(arrays["y"])
  stored = lambda what: arrays[f"apgd_{name}/{what}"]
  target = jnp.asarray(stored("target")) if name.startswith("t_") else None
  loss = "ce" if name.startswith("ce") else "dlr"
  options = {"eps": arrays["eps"], "steps": int(stored("n_iter")), "variables": weights}
  found = ascend(
    logits_fn, objectives.choose(loss, targeted=target is not None), x,
    Aim(y, target), channels_last(arrays["x_init"]), **options,
  )  # fmt: skip
  for precision in ("", "_float64"):
    np.testing.assert_array_equal(found.robust, stored(f"robust{precision}"))
    gap = np.abs(found.best.loss - stored(f"loss_best{precision}"))
    assert np.median(gap) < 1e-5
    if not name.startswith("dlr"):  # near ties make single DLR values meaningless
      assert gap.max() < 1e-4
  start = channels_last(arrays["x_init"])
  x_adv, robust = apgd(
    KEY, logits_fn, x, y, loss=loss, target=target, start=start, **options
  )
  chex.assert_trees_all_equal(robust, found.robust)
  np.testing.assert_array_equal(right(logits_fn, weights, x_adv, y), robust)
  assert_in_ball(x_adv, x, arrays["eps"])


def test_checkpoints_of_a_hundred_steps_are_the_papers():
  table = windows(100)
  np.testing.assert_array_equal(np.flatnonzero(table), [21, 40, 56, 69, 79, 86, 92, 98])
  np.testing.assert_array_equal(table[table > 0], [22, 19, 16, 13, 10, 7, 6, 6])
  for steps in (1, 2, 7, 20, 33):
    table = windows(steps)
    ends = np.flatnonzero(table)
    np.testing.assert_array_equal(np.cumsum(table[ends]) - 1, ends)
    assert table.shape == (steps,)


def test_a_linear_classifier_breaks_exactly_beyond_its_margin():
  logits, x, y, distance = linear_problem()
  for eps in (0.01, 0.05):
    far = np.abs(distance - eps) > 1e-3
    _, robust = apgd(KEY, logits, x, y, eps=eps, steps=20)
    assert 0 < robust.sum() < len(x)
    np.testing.assert_array_equal(robust[far], (distance > eps)[far])


@pytest.mark.parametrize("loss", ["ce", "cw", "dlr", "targeted"])
def test_ball_flags_and_key(loss):
  logits_fn, weights, x, y = mlp_problem()
  target = (y + 1) % 5 if loss == "targeted" else None
  attack = functools.partial(
    apgd, logits_fn=logits_fn, x=x, y=y, eps=0.08, steps=20, target=target,
    loss="ce" if loss == "targeted" else loss, variables=weights,
  )  # fmt: skip
  x_adv, robust = attack(KEY)
  assert_in_ball(x_adv, x, 0.08)
  assert 0 < robust.sum() < len(x)
  np.testing.assert_array_equal(right(logits_fn, weights, x_adv, y), robust)
  chex.assert_trees_all_equal(attack(KEY), (x_adv, robust))
  assert not jnp.array_equal(attack(jax.random.key(1))[0], x_adv)


def test_apgd_t_breaks_what_any_of_its_targets_does():
  logits_fn, weights, x, y = mlp_problem()
  y = y.at[0].set((y[0] + 1) % 5)
  attack = functools.partial(
    apgd_t, KEY, logits_fn, x, y, eps=0.06, steps=8, variables=weights
  )
  x_adv, robust = attack()
  assert_in_ball(x_adv, x, 0.06)
  np.testing.assert_array_equal(right(logits_fn, weights, x_adv, y), robust)
  chex.assert_trees_all_equal(x_adv[robust], x[robust])
  chex.assert_trees_all_equal(x_adv[0], x[0])
  logits, every = logits_fn(weights, x), True
  for own, rank in zip(jax.random.split(KEY, 4), range(2, 6), strict=True):
    target = objectives.target_of_rank(logits, rank)
    every &= apgd(
      own, logits_fn, x, y, eps=0.06, steps=8, target=target, variables=weights
    )[1]
  np.testing.assert_array_equal(robust, every)
  assert 0 < robust.sum() <= attack(targets=1)[1].sum() < len(x)


def test_the_best_loss_never_falls_and_flags_never_recover():
  logits_fn, weights, x, y = mlp_problem()
  aim, eps = Aim(y), 0.15
  start = random_start(jax.random.split(KEY, len(x)), x, eps=eps)
  state = begin(logits_fn, objectives.ce, aim, start, eps, variables=weights)
  for i, window in enumerate(windows(30)):
    before = state
    state = iterate(
      logits_fn, objectives.ce, state, x, aim, eps, 0.75 if i else 1.0, window,
      variables=weights,
    )  # fmt: skip
    assert (state.best.loss >= before.best.loss).all()
    assert (state.robust <= before.robust).all()
    assert (state.step <= before.step).all()
    loss = objectives.ce(logits_fn(weights, state.best.x), aim)
    np.testing.assert_allclose(state.best.loss, loss, rtol=1e-5)
  assert not state.robust.all()


def test_a_constant_loss_halves_at_every_checkpoint():
  # The loss never rises, so that each window ends with a halving.
  flat = lambda x: jnp.zeros((len(x), 3)).at[:, 0].set(1.0) + 0 * x.sum()
  x, y = jnp.full((2, 3, 3, 1), 0.5), jnp.zeros(2, jnp.int32)
  found = ascend(flat, objectives.dlr, x, Aim(y), x, eps=0.1, steps=100)
  np.testing.assert_allclose(found.step, 0.2 / 2**8)
  assert found.robust.all()
  chex.assert_trees_all_equal(found.x_adv, x)


def test_a_rising_loss_keeps_its_step():
  steep = lambda x: jnp.stack([-x.sum((1, 2, 3)), x.sum((1, 2, 3))], 1)
  x, y = jnp.full((2, 3, 3, 1), 0.5), jnp.zeros(2, jnp.int32)
  state = begin(steep, objectives.ce, Aim(y), x, 0.4)
  rises = state._replace(rises=jnp.array([15, 14]))  # and one more in this step
  step = lambda halved: iterate(
    steep, objectives.ce, rises._replace(halved=halved), x, Aim(y), 0.4, 1.0, 20
  )
  found = step(jnp.array([False, False]))
  np.testing.assert_allclose(found.step, [0.8, 0.4])  # rho * 20 = 15
  np.testing.assert_array_equal(found.rises, 0)


def test_starts_lie_on_the_surface_and_depend_on_their_own_key_only():
  _, _, x, _ = mlp_problem()
  keys, middle = jax.random.split(KEY, len(x)), jnp.full_like(x, 0.5)
  start = random_start(keys, middle, eps=0.2)
  np.testing.assert_allclose(jnp.abs(start - middle).max((1, 2, 3)), 0.2, rtol=1e-5)
  some = random_start(keys[5:9], middle[5:9], eps=0.2)
  chex.assert_trees_all_equal(some, start[5:9])
  assert_in_ball(random_start(keys, x, eps=0.2), x, 0.2)


def test_what_was_wrong_before_stays_as_it_is():
  logits_fn, weights, x, y = mlp_problem()
  y = y.at[0].set((y[0] + 1) % 5)
  x_adv, robust = apgd(KEY, logits_fn, x, y, eps=0.1, steps=3, variables=weights)
  assert not robust[0]
  chex.assert_trees_all_equal(x_adv[0], x[0])


def test_no_radius_is_clean_accuracy():
  logits_fn, weights, x, y = mlp_problem()
  x_adv, robust = apgd(KEY, logits_fn, x, y, eps=0.0, steps=3, variables=weights)
  assert robust.all()
  np.testing.assert_allclose(x_adv, x, atol=1e-7)


def test_any_rank_of_input_and_an_objective_of_ones_own():
  logits_fn, weights, x, y = mlp_problem()
  flat = x.reshape(len(x), -1)
  mine = lambda logits, aim: -objectives.margin(logits, aim.label)
  own = apgd(KEY, logits_fn, flat, y, eps=0.1, steps=5, loss=mine, variables=weights)
  named = apgd(KEY, logits_fn, x, y, eps=0.1, steps=5, loss="cw", variables=weights)
  chex.assert_trees_all_equal(own[1], named[1])


def test_sigterm_ends_a_search(monkeypatch):
  logits_fn, weights, x, y = mlp_problem()
  monkeypatch.setattr(interruption, "requested", lambda: True)
  with pytest.raises(interruption.Interrupted):
    apgd(KEY, logits_fn, x, y, eps=0.1, steps=3, variables=weights)


def test_mistakes_are_named():
  logits_fn, weights, x, y = mlp_problem()
  attack = functools.partial(apgd, KEY, logits_fn, x, y, eps=0.1, variables=weights)
  with pytest.raises(UserError, match="steps is 0"):
    attack(steps=0)
  with pytest.raises(UserError, match="no targeted form"):
    attack(steps=1, loss="cw", target=y)
  with pytest.raises(UserError, match="targets is 0"):
    apgd_t(KEY, logits_fn, x, y, eps=0.1, targets=0, variables=weights)
