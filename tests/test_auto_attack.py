"""AutoAttack assembled: stages, survivors, warnings; on tiny networks."""

import functools
import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from attack_support import assert_in_ball, mlp, mlp_problem, right

from jaxvision import interruption
from jaxvision.attacks import AttackWarning, auto_attack, checks, stages, survivors
from jaxvision.attacks.survivors import Survivors
from jaxvision.errors import UserError

KEY = jax.random.key(0)
EPS = 0.08
NAMES = ["clean", "apgd-ce", "apgd-t", "fab-t", "square"]


@pytest.fixture
def short(monkeypatch):
  """Few steps and queries: what is tested here is the assembly."""
  monkeypatch.setattr(stages, "STEPS", 8)
  monkeypatch.setattr(stages, "QUERIES", 60)


@functools.cache
def problem():
  _, weights, x, y = mlp_problem(rows=24)
  return weights, x, y.at[0].set((y[0] + 1) % 5)


def attack(key=KEY, eps=EPS, **more):
  weights, x, y = problem()
  return auto_attack(key, mlp, x, y, eps=eps, variables=weights, **more)


def test_stages_flags_and_images(short):
  weights, x, y = problem()
  lines = []
  x_adv, robust, per_stage = attack(report=lines.append)
  assert_in_ball(x_adv, x, EPS)
  np.testing.assert_array_equal(right(mlp, weights, x_adv, y), robust)
  chex.assert_trees_all_equal(x_adv[robust], x[robust])
  assert list(per_stage) == NAMES
  shares = list(per_stage.values())
  assert shares[0] == 23 / 24 and shares[-1] == float(robust.mean())
  assert all(a >= b for a, b in itertools.pairwise(shares))
  assert 0 < shares[-1] < shares[0]
  assert lines[0] == "clean: 23 of 24 right" and len(lines) == 1 + 1 + 4 + 4 + 1
  assert lines[2].startswith("apgd-t 1/4: ") and lines[-1].startswith("square: ")


def test_the_key_decides_and_batches_do_not(short):
  found, again = attack(), attack()
  chex.assert_trees_all_equal(found, again)
  parts = attack(batch_size=5)
  np.testing.assert_array_equal(parts[1], found[1])
  assert parts[2] == found[2]


def test_no_radius_is_clean_accuracy(short):
  weights, x, y = problem()
  _, robust, per_stage = attack(eps=0.0)
  np.testing.assert_array_equal(robust, right(mlp, weights, x, y))
  assert set(per_stage.values()) == {23 / 24}


def test_once_no_image_is_left_no_attack_runs(short):
  weights, x, _ = problem()
  x_adv, robust, per_stage = attack(eps=0.9)
  assert not robust.any() and list(per_stage) == NAMES
  assert list(per_stage.values()) == [23 / 24, 0.0, 0.0, 0.0, 0.0]
  assert not right(mlp, weights, x_adv, problem()[2]).any()
  chex.assert_trees_all_equal(x_adv[0], x[0])  # wrong without an attack


def test_each_later_attack_breaks_what_the_first_left():
  """Alone, and long enough: a targeted attack finds what APGD-CE does, and more."""
  weights, x, y = problem()
  setting = stages.Setting(mlp, weights, 5, EPS)
  keys = jax.random.split(KEY, len(x))
  for make in stages.STAGES.values():
    x_adv, robust = make(setting)[0](keys, x, y)
    assert x_adv.shape == x.shape and 0 < robust.sum() < len(x)


def test_only_survivors_are_attacked_in_few_sizes():
  seen = []

  def odd_rows_break(keys, x, y):
    seen.append(np.asarray(y).tolist())
    assert len(keys) == len(x) == len(y)
    return x + 1, y % 2 == 0

  x, y = np.zeros((13, 2), np.float32), np.arange(13)
  robust = np.arange(13) != 4
  now = Survivors(x, y, x, robust)
  found = survivors.attack(odd_rows_break, jax.random.split(KEY, 13), now, batch_size=8)
  assert [len(rows) for rows in seen] == [8, 4]
  assert seen == [[0, 1, 2, 3, 5, 6, 7, 8], [9, 10, 11, 12]]
  np.testing.assert_array_equal(found.robust, robust & (y % 2 == 0))
  np.testing.assert_array_equal(found.x_adv[:, 0], (y % 2 == 1).astype(np.float32))
  np.testing.assert_array_equal(x, 0)  # the clean images are not touched
  rest = now._replace(robust=np.arange(13) >= 10)
  survivors.attack(odd_rows_break, jax.random.split(KEY, 13), rest, batch_size=8)
  assert seen[-1] == [10, 11, 12, 10]  # padded to a power of two


def doubts(logits_fn, variables=None):
  _, x, y = problem()
  return checks.doubts_of_classifier(logits_fn, x, y, variables=variables)


def test_a_sound_classifier_raises_no_doubt():
  assert doubts(mlp, problem()[0]) == []
  assert checks.doubts_of_square(0.5, 0.499) == []


def test_random_outputs_are_noticed():
  rng, weights = np.random.default_rng(0), problem()[0]
  (found,) = doubts(lambda x: mlp(weights, x) + rng.normal())
  assert "answers differently when asked twice" in found


def test_probabilities_are_noticed():
  (found,) = doubts(lambda x: jax.nn.softmax(mlp(problem()[0], x)))
  assert "look like probabilities" in found


def test_zero_gradients_are_counted():
  weights, x, _ = problem()
  steps = lambda x: mlp(weights, jnp.where(x[:, :1, :1] > 0.5, jnp.round(x), x))
  (found,) = doubts(steps)
  flat = int((x[:, 0, 0, 0] > 0.5).sum())
  assert 0 < flat < 24 and f"is 0 at {flat} of 24 points" in found


def test_masked_gradients_show_in_square():
  (found,) = checks.doubts_of_square(0.5, 0.49)
  assert "from 50.00% to 49.00%" in found


def test_auto_attack_warns(short):
  weights, x, y = problem()
  rounded = lambda x: mlp(weights, jnp.round(20 * x) / 20)
  with pytest.warns(AttackWarning) as caught:
    auto_attack(KEY, rounded, x, y, eps=EPS)
  texts = " ".join(str(warning.message) for warning in caught)
  assert "the gradient is 0 at 24 of 24 points" in texts
  assert "the gradients are probably masked" in texts


def test_sigterm_ends_the_attack(short, monkeypatch):
  monkeypatch.setattr(interruption, "requested", lambda: True)
  with pytest.raises(interruption.Interrupted):
    attack()


def test_mistakes_are_named():
  weights, x, y = problem()
  with pytest.raises(UserError, match="norm is 'l2'"):
    attack(norm="l2")
  with pytest.raises(UserError, match="version is 'plus'"):
    attack(version="plus")
  with pytest.raises(UserError, match="at least 4 classes; there are 3"):
    auto_attack(KEY, lambda x: mlp(weights, x)[:, :3], x, y % 3, eps=EPS)
  with pytest.raises(UserError, match="attacks need logits alone"):
    auto_attack(KEY, lambda x: (mlp(weights, x), x), x, y, eps=EPS)
  with pytest.raises(UserError, match="no image"):
    auto_attack(KEY, mlp, x[:0], y[:0], eps=EPS, variables=weights)
