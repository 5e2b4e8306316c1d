"""AherNet's ordered updates: what each changes, and the sum of them when fused."""

import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from ahernet_support import configure

from jaxvision.errors import UserError
from jaxvision.layers.insertion import Inserted
from jaxvision.methods import ahernet
from jaxvision.methods.common import moment_updates as lib
from jaxvision.methods.common import ordered, streams, supervised
from jaxvision.methods.common.detection import loss_spec
from jaxvision.methods.common.moment_objective import Objective
from jaxvision.models.ahernet import AherNet
from jaxvision.ops.contextual_moments import legacy_resize

ADAM = {name: optax.adam(1e-2) for name in (ordered.MAIN, ordered.ADVERSARIAL)}
SGD = {name: optax.sgd(1.0) for name in (ordered.MAIN, ordered.ADVERSARIAL)}
MODEL = Inserted(AherNet(), ())  # of no matter
# What each number changes, and the names of its optimizers, as in the authors' code.
EXPECTED = {
  "1": ({"backbone", "regv_target"}, {"moments"}),
  "2": ({"regv_source"}, {"foreground"}),
  "3": ({"backbone", "heads", "transfer"}, {"proposals", "cells"}),
  "4": ({"gen_start", "gen_end"}, {"proposals", "cells"}),
  "5a": ({"disc"}, {"discriminators"}),
  "5b0": ({"gen_start", "gen_end"}, {"generators"}),
  "5b1": ({"gen_start", "gen_end"}, {"generators"}),
  "6": ({"backbone", "heads"}, {"proposals", "cells"}),
}


def make(variant="", **changes):
  """The objective of a config, and a batch of its data."""
  config = configure(variant, **changes)
  data = ahernet.load(config)
  generated = config.context.kind == "generated"
  model = supervised.build_model(
    config, 2, source_classes=3, generators=generated, discriminators=generated
  )
  each = {"moments": data.moments, "foreground": data.foreground, "source": data.source}
  each["target"] = data.target.splits["train"]
  batch = {
    name: jax.tree.map(jnp.asarray, rows[np.arange(4)]) for name, rows in each.items()
  }
  return Objective(config, model, loss_spec(config), 32), batch


def grouped(updates):
  return {k: list(v) for k, v in itertools.groupby(updates, lambda u: u.number)}


@pytest.fixture(scope="module")
def traced():
  """States after each number in turn, and what each changes from the same state."""
  objective, batch = make()
  updates = lib.all_updates(objective)
  params = jax.jit(objective.model.init)(jax.random.key(0), batch["source"]["features"])

  @jax.jit
  def run(params, batch):
    drawn = objective.draw(jax.random.key(1), 4)
    now = ordered.create(params, updates, ADAM)
    states, logs = {"": now}, {}
    for number, group in grouped(updates).items():
      states[number], more = ordered.run(now, group, ADAM, batch, drawn)
      now, logs = states[number], {**logs, **more}
    steps = {}
    for name, some in (*grouped(updates).items(), ("fused", ordered.fuse(updates))):
      start = ordered.create(params, some, SGD)
      end, _ = ordered.run(start, some, SGD, batch, drawn)
      steps[name] = jax.tree.map(jnp.subtract, end["params"], start["params"])
    return states, steps, logs

  return run(params, batch)


def changed(before, after):
  """Names of the trees that differ."""
  differs = lambda a, b: any(
    not np.array_equal(x, y)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
  )
  return {name for name in before if differs(before[name], after[name])}


def test_each_step_changes_its_own_parameters_and_optimizers(traced):
  states = list(traced[0].items())
  assert [number for number, _ in states[1:]] == list(EXPECTED)
  for (_, before), (number, after) in itertools.pairwise(states):
    subset, names = EXPECTED[number]
    assert changed(before["params"], after["params"]) == subset, number
    slots = {f"opt_{number[0]}_{name}" for name in names}
    rest = [{k: v for k, v in s.items() if k != "params"} for s in (before, after)]
    assert changed(*rest) == slots, number


def test_ten_optimizers_have_states(traced):
  state = traced[0][""]
  slots = {name for name in state if name.startswith("opt_")}
  assert len(slots) == 10
  assert slots == {
    f"opt_{number[0]}_{name}"
    for number, (_, names) in EXPECTED.items()
    for name in names
  }


def test_losses_are_logged_and_finite(traced):
  logs = traced[2]
  assert {"1_moments", "3_cells", "6_proposals", "discriminator_accuracy"} <= set(logs)
  chex.assert_tree_all_finite(logs)
  assert 0 <= logs["discriminator_accuracy"] <= 1


def test_fused_gradients_are_the_sums_of_the_parts(traced):
  steps = traced[1]
  parts = [steps[number] for number in EXPECTED if number != "5b1"]
  total = jax.tree.map(lambda *x: sum(x), *parts)
  chex.assert_trees_all_close(steps["fused"], total, atol=1e-5, rtol=1e-4)
  assert changed(jax.tree.map(jnp.zeros_like, total), total) == set(total)


@pytest.mark.parametrize(
  ("variant", "numbers", "extra"),
  [
    ("pooled", "1 2 3", {"3": {"backbone"}}),
    ("transferred", "1 2 3", {}),
    ("noise", "1 2 3 6", {"6": {"backbone"}}),
    ("unopposed", "1 2 3 4 6", {}),
    ("direct", "1 2 3 4 5a 5b0 5b1 6", {"3": {"clsa_source"}, "6": {"clsa_target"}}),
    ("oracle", "1 2 3 6", {"6": {"transfer", "regv_target"}}),
  ],
)
def test_arms_leave_steps_out(variant, numbers, extra):
  config = configure(variant)
  updates = lib.all_updates(Objective(config, MODEL, loss_spec(config), 32))
  assert list(grouped(updates)) == numbers.split()
  for number, names in extra.items():
    own = {key for u in updates if u.number == number for key in u.subset}
    assert names <= own


@pytest.mark.parametrize("kind", ["noise", "zeros", "background", "whole", "videos"])
def test_videos_that_stand_in_for_real_ones(kind):
  objective, batch = make(**{"context.kind": kind})
  drawn = objective.draw(jax.random.key(1), 4)
  video = objective.synthetic({}, batch, drawn)
  assert video["features"].shape == (4, 32, 6)
  if kind == "videos":
    chex.assert_trees_all_equal(video, batch["target"])
    return
  np.testing.assert_array_equal(video["label"][:, 0], batch["moments"]["label"])
  assert video["valid"].all()
  start, end = np.rint(np.asarray(video["segments"][:, 0]) * 32).astype(int).T
  for i, moment in enumerate(batch["moments"]["features"]):
    inside = np.asarray(video["features"][i, start[i] : end[i]])
    expected = legacy_resize(jnp.asarray(moment), int(end[i] - start[i]))
    np.testing.assert_allclose(inside, expected, atol=1e-5)
  outside = [
    np.delete(x, np.s_[a:b], 0)
    for x, a, b in zip(video["features"], start, end, strict=True)
  ]
  rest = np.concatenate(outside)
  assert {"whole": not len(rest), "zeros": not rest.any()}.get(kind, rest.any())


@pytest.mark.parametrize(("unit", "decayed"), [("iterations", 10), ("samples", 2)])
def test_the_unit_of_the_decay(unit, decayed):
  boundaries = {"optimizer.schedule.boundaries": (10,), "decay_unit": unit}
  config = configure("paper", **boundaries)
  config.optimizer.schedule.warmup = 0.0
  data = streams.Streams({"moments": ahernet.load(configure()).moments}, 4, True)
  optimizer = ahernet._optimizers(config, 20, data)[ordered.MAIN]
  one, sizes = {"w": jnp.ones(1)}, []
  opt = optimizer.init(one)
  for _ in range(12):
    step, opt = optimizer.update(one, opt, one)
    sizes.append(float(-step["w"][0]))
  # Batches of 4: 10 samples are 2.5 iterations.
  assert np.flatnonzero(np.array(sizes) < 0.5 * sizes[0])[0] == decayed


@pytest.mark.parametrize(
  ("changes", "words"),
  [
    ({"context.kind": "music"}, "config.context.kind is 'music'"),
    ({"context.ratio": (0, 19)}, r"config.context.ratio is \(0, 19\)"),
    ({"context.placing": "behind"}, "config.context.placing is 'behind'"),
    ({"classes.cells": "some"}, "config.classes.cells is 'some'"),
    ({"adversarial.masks": "none"}, "config.adversarial.masks is 'none'"),
  ],
)
def test_an_unknown_choice_is_refused(changes, words):
  config = configure(**changes)
  with pytest.raises(UserError, match=words):
    Objective(config, MODEL, loss_spec(config), 32)
