"""FAB-T and Square: the reference's numbers, closed forms, properties.

FAB's points are not compared with the reference's, but their distances are: it ends at
the nearest of several that are almost equally near.
"""

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

from jaxvision.attacks import fab, square
from jaxvision.attacks.box_projection import project_linf_box
from jaxvision.attacks.fab import seek_boundary
from jaxvision.attacks.square import begin, query, search_squares, square_sides
from jaxvision.errors import UserError

KEY = jax.random.key(0)


@pytest.fixture
def case(golden):
  arrays = golden("attacks")
  logits_fn, weights = golden_network(arrays)
  x, y = channels_last(arrays["x"]), jnp.asarray(arrays["y"])
  return arrays, logits_fn, weights, x, y


def test_projections_are_the_references(golden):
  arrays = golden("attacks")
  t, w, b = (jnp.asarray(arrays[f"projection/{name}"]) for name in "twb")
  for project in (project_linf_box, jax.jit(project_linf_box)):
    np.testing.assert_allclose(project(t, w, b), arrays["projection/delta"], atol=1e-6)


def random_planes(rows=300, size=9, seed=0):
  rng = np.random.default_rng(seed)
  points = rng.random((rows, size)) * (rng.random((rows, size)) > 0.2)
  w = rng.normal(size=(rows, size)) * (rng.random((rows, size)) > 0.2)
  through = (w * rng.random((rows, size))).sum(1)  # a point of the box: feasible
  return tuple(jnp.asarray(a, jnp.float32) for a in (points, w, through))


def test_projections_reach_the_plane_by_the_smallest_move():
  points, w, offset = random_planes()
  move = project_linf_box(points, w, offset)
  assert_in_ball(points + move, points, 1)
  np.testing.assert_allclose((w * (points + move)).sum(1), offset, atol=2e-6)
  # With a length a little smaller no move in the box reaches it.
  length = jnp.abs(move).max(1) - 1e-3
  residual = (w * points).sum(1) - offset
  room = jnp.where(w * jnp.sign(residual)[:, None] > 0, points, 1 - points)
  reach = (jnp.abs(w) * jnp.minimum(room, length[:, None])).sum(1)
  assert (reach < jnp.abs(residual))[length > 0].all()
  assert not move[w == 0].any()


def test_projections_onto_planes_outside_go_to_the_wall():
  points, w, _ = random_planes(rows=20)
  move = project_linf_box(points, w, jnp.full(20, 1e3))
  wall = jnp.where(w > 0, 1.0, jnp.where(w < 0, 0.0, points))
  np.testing.assert_allclose(points + move, wall, atol=1e-6)
  assert not project_linf_box(points, 0 * w, jnp.ones(20)).any()


@pytest.mark.parametrize("rank", [2, 5])
def test_fab_finds_the_references_distances(case, rank):
  arrays, logits_fn, weights, x, y = case
  stored = lambda name: arrays[f"fab_rank{rank}/{name}"]
  target = jnp.asarray(stored("target"))
  found = seek_boundary(logits_fn, x, y, target, steps=100, variables=weights)
  np.testing.assert_array_equal(found.distance < np.inf, stored("found"))
  hit = stored("found")
  np.testing.assert_allclose(found.distance[hit], stored("distance")[hit], rtol=5e-3)
  x_adv, robust = fab(
    logits_fn, x, y, eps=arrays["eps"], target=target, variables=weights
  )
  np.testing.assert_array_equal(robust, stored("robust"))
  np.testing.assert_array_equal(right(logits_fn, weights, x_adv, y), robust)
  assert_in_ball(x_adv, x, arrays["eps"])


def test_fab_finds_the_distance_to_a_linear_boundary():
  logits, x, y, distance = linear_problem()
  found = seek_boundary(logits, x, y, 1 - y, steps=20)
  np.testing.assert_allclose(found.distance, distance, rtol=1e-2, atol=1e-6)
  assert (found.distance >= distance - 1e-6).all()


def test_fab_more_steps_and_targets_are_never_worse():
  logits_fn, weights, x, y = mlp_problem()
  nearest = jnp.inf
  for steps in (2, 5, 15):
    found = seek_boundary(logits_fn, x, y, (y + 1) % 5, steps=steps, variables=weights)
    assert (found.distance <= nearest).all()
    nearest = found.distance
  options = {"eps": 0.06, "steps": 5, "variables": weights}
  _, one = fab(logits_fn, x, y, targets=1, **options)
  x_adv, all_targets = fab(logits_fn, x, y, **options)
  assert all_targets.sum() <= one.sum() and 0 < all_targets.sum() < len(x)
  np.testing.assert_array_equal(right(logits_fn, weights, x_adv, y), all_targets)
  assert_in_ball(x_adv, x, 0.06)


def test_square_replays_the_references_queries(case):
  arrays, logits_fn, weights, x, y = case
  stored = {name: arrays[f"square/{name}"] for name in ("corner", "sign", "side")}
  eps = float(arrays["eps"])
  signs = channels_last(arrays["square/init_sign"])
  state = begin(logits_fn, x, y, eps, signs, variables=weights)

  @jax.jit
  def replay(state):
    step = lambda state, turn: (
      query(
        logits_fn, state, x, y, eps, turn["corner"][None], turn["side"],
        turn["sign"][None], variables=weights,
      ),
      None,
    )  # fmt: skip
    return jax.lax.scan(step, state, stored)[0]

  found = replay(state)
  np.testing.assert_allclose(
    found.x_adv, channels_last(arrays["square/x_adv"]), atol=1e-6
  )
  np.testing.assert_array_equal(found.queries, arrays["square/n_queries"])
  np.testing.assert_allclose(found.margin, arrays["square/margin"], atol=1e-4)
  np.testing.assert_array_equal(found.margin > 0, arrays["square/robust"])


def test_squares_sides_are_the_references(golden):
  np.testing.assert_array_equal(
    square_sides(300, 14, 14), golden("attacks")["square/side"]
  )
  sides = square_sides(5000, 32, 32)
  assert sides[0] == sides[10] == 29 and sides[11] == 20 and sides[51] == 14
  assert sides[-1] == 3 and (np.diff(sides) <= 0).all()
  assert square_sides(3, 1, 1).tolist() == [1, 1, 1]


def test_square_ball_flags_and_key():
  logits_fn, weights, x, y = mlp_problem()
  attack = lambda key, **more: square(
    key, logits_fn, x, y, eps=0.12, variables=weights, **{"queries": 120, **more}
  )
  x_adv, robust = attack(KEY)
  assert_in_ball(x_adv, x, 0.12)
  assert 0 < robust.sum() < len(x)
  np.testing.assert_array_equal(right(logits_fn, weights, x_adv, y), robust)
  chex.assert_trees_all_equal(attack(KEY), (x_adv, robust))
  assert not jnp.array_equal(attack(jax.random.key(1))[0], x_adv)
  assert robust.sum() <= attack(KEY, queries=7)[1].sum()


def test_square_margins_only_fall_and_do_not_depend_on_the_batch():
  logits_fn, weights, x, y = mlp_problem()
  keys = jax.random.split(KEY, len(x))
  search = lambda rows, queries: search_squares(
    keys[rows], logits_fn, x[rows], y[rows], jnp.ones(len(x[rows]), bool), eps=0.1,
    queries=queries, variables=weights,
  )  # fmt: skip
  everyone = slice(None)
  short, long = search(everyone, 20), search(everyone, 90)
  assert (long.margin <= short.margin).all() and (long.margin < short.margin).any()
  assert (long.queries >= short.queries).all() and long.queries.max() == 91
  some = search(slice(3, 11), 90)
  np.testing.assert_allclose(some.x_adv, long.x_adv[3:11], atol=1e-6)


def test_square_stops_once_all_are_broken():
  wrong_soon = lambda x: jnp.stack([x[:, 0, 0, 0] - 0.5, 0 * x[:, 0, 0, 0]], 1)
  x, y = jnp.full((6, 4, 4, 1), 0.52), jnp.zeros(6, jnp.int32)
  found = search_squares(
    jax.random.split(KEY, 6), wrong_soon, x, y, jnp.ones(6, bool), eps=0.1, queries=5000
  )
  assert (found.margin <= 0).all() and found.queries.max() < 100


def test_mistakes_are_named():
  logits_fn, weights, x, y = mlp_problem()
  with pytest.raises(UserError, match="queries is 0"):
    square(KEY, logits_fn, x, y, eps=0.1, queries=0, variables=weights)
  with pytest.raises(UserError, match="steps is 0"):
    fab(logits_fn, x, y, eps=0.1, steps=0, variables=weights)
  with pytest.raises(UserError, match="targets is 0"):
    fab(logits_fn, x, y, eps=0.1, targets=0, variables=weights)
