"""What attacks maximise: plain loops, what it ignores, its limits, mistakes."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.attacks import objectives
from jaxvision.attacks.objectives import Aim
from jaxvision.errors import UserError

KEY = jax.random.key(0)


def test_objectives_against_plain_loops():
  rng = np.random.default_rng(0)
  z, y = rng.normal(size=(7, 5)).astype(np.float32), rng.integers(0, 5, 7)
  target = (y + 1) % 5
  aim = Aim(jnp.asarray(y), jnp.asarray(target))
  for row in range(7):
    others = np.delete(z[row], y[row]).max()
    first, _, third, fourth, _ = np.sort(z[row])[::-1]
    own = z[row, y[row]]
    expected = {
      objectives.cw: -max(own - others + 50, 0),
      objectives.dlr: -(own - others) / (first - third),
      objectives.dlr_targeted: (z[row, target[row]] - own)
      / (first - (third + fourth) / 2),
    }
    for objective, value in expected.items():
      assert objective(jnp.asarray(z), aim)[row] == pytest.approx(value, rel=1e-5)


def test_objectives_do_not_change_under_what_they_ignore():
  z = jax.random.normal(KEY, (6, 5))
  aim = Aim(jnp.arange(6) % 5, (jnp.arange(6) + 2) % 5, clean=z)
  for objective in (objectives.dlr, objectives.dlr_targeted):
    chex.assert_trees_all_close(objective(3 * z + 2, aim), objective(z, aim), atol=1e-5)
  np.testing.assert_allclose(objectives.trades(z + 1, aim), 0, atol=1e-6)


def test_cw_stops_at_its_confidence():
  z = jnp.array([[0.0, 60.0, 1.0]])
  aim = Aim(jnp.array([0]))
  assert objectives.cw(z, aim)[0] == 0
  slope = jax.grad(lambda z: objectives.cw(z, aim).sum())(z)
  chex.assert_trees_all_equal(slope, jnp.zeros_like(z))


@pytest.mark.parametrize(
  ("classes", "targets", "ranks"),
  [(10, 9, range(2, 11)), (100, 9, range(2, 11)), (4, 9, (2, 3, 4)), (10, 3, (2, 3, 4)),
   (2, 9, (2,))],
)  # fmt: skip
def test_targets_are_the_likeliest_wrong_classes(classes, targets, ranks):
  found = objectives.target_ranks(classes, targets=targets)
  assert list(found) == list(ranks)
  z = jnp.array([[0.0, 3.0, 1.0, 2.0]])
  order = [int(objectives.target_of_rank(z, rank)[0]) for rank in (1, 2, 3, 4)]
  assert order == [1, 3, 2, 0]


def test_too_few_classes_and_missing_aims_are_named():
  z, y = jnp.zeros((2, 2)), jnp.zeros(2, jnp.int32)
  with pytest.raises(UserError, match="DLR needs at least 3 classes"):
    objectives.dlr(z, Aim(y))
  with pytest.raises(UserError, match="the targeted DLR needs at least 4"):
    objectives.dlr_targeted(z, Aim(y, y))
  with pytest.raises(UserError, match="give the attack target="):
    objectives.towards_target(z, Aim(y))
  with pytest.raises(UserError, match="compares with clean logits"):
    objectives.trades(z, Aim(y))
  with pytest.raises(UserError, match="'cw' has no targeted form"):
    objectives.choose("cw", targeted=True)
