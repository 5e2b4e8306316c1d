"""AherNet's ordered updates: what each changes, and what the config makes of them."""

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

NAMES = (ordered.MAIN, ordered.ADVERSARIAL)
SGD = {name: optax.sgd(1e-2, momentum=0.9) for name in NAMES}
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
def objective_and_batch():
  return make(**{"adversarial.rounds": 2})


@pytest.fixture(scope="module")
def traced(objective_and_batch):
  """States after each number in turn, and the logs of all."""
  objective, batch = objective_and_batch
  updates = lib.all_updates(objective)

  @jax.jit
  def run(batch):
    params = objective.model.init(jax.random.key(0), batch["source"]["features"])
    drawn = objective.draw(jax.random.key(1), 4)
    now = ordered.create(params, updates, SGD)
    states, logs = {"": now}, {}
    for number, group in grouped(updates).items():
      states[number], more = ordered.run(now, group, SGD, batch, drawn)
      now, logs = states[number], {**logs, **more}
    return states, logs

  return run(batch)


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
  logs = traced[1]
  assert {"1_moments", "3_cells", "6_proposals", "discriminator_accuracy"} <= set(logs)
  chex.assert_tree_all_finite(logs)
  assert 0 <= logs["discriminator_accuracy"] <= 1


def test_fused_updates_train_all_parameters_with_two_optimizers(
  objective_and_batch, traced
):
  objective, batch = objective_and_batch
  fused = ordered.fuse(lib.all_updates(objective))
  params = {"params": traced[0][""]["params"]}
  assert {key for update in fused for key in update.subset} == set(params["params"])

  def run(params, batch):
    drawn = objective.draw(jax.random.key(1), 4)
    now = ordered.create(params, fused, SGD)
    return ordered.run(now, fused, SGD, batch, drawn)

  state, logs = jax.eval_shape(run, params, batch)
  assert {k for k in state if k.startswith("opt_")} == {
    "opt_0_main",
    "opt_0_adversarial",
  }
  chex.assert_trees_all_equal_shapes_and_dtypes(state["params"], params["params"])
  assert set(traced[1]) <= set(logs)


@pytest.mark.parametrize(
  ("variant", "numbers", "extra"),
  [
    ("pooled", "1 2 3", {"3": {"backbone"}}),
    ("transferred", "1 2 3", {}),
    ("noise", "1 2 3 6", {"6": {"backbone"}}),
    ("unopposed", "1 2 3 4 6", {}),
    ("direct", "1 2 3 4 5a 5b0 6", {"3": {"clsa_source"}, "6": {"clsa_target"}}),
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
  run = lambda batch, key: objective.synthetic({}, batch, objective.draw(key, 4))
  video = jax.jit(run)(batch, jax.random.key(1))
  assert video["features"].shape == (4, 32, 6)
  if kind == "videos":
    chex.assert_trees_all_equal(video, batch["target"])
    return
  np.testing.assert_array_equal(video["label"][:, 0], batch["moments"]["label"])
  assert video["valid"].all()
  start, end = np.rint(np.asarray(video["segments"][:, 0]) * 32).astype(int).T
  moments, sequences = (np.asarray(x["features"]) for x in (batch["moments"], video))
  for x, moment, a, b in zip(sequences, moments, start, end, strict=True):
    where = np.arange(b - a) * len(moment) / (b - a)
    read = lambda row, where=where: np.interp(where, np.arange(len(row)), row)
    np.testing.assert_allclose(x[a:b].T, [read(row) for row in moment.T], atol=1e-5)
  outside = [
    np.delete(x, np.s_[a:b], 0) for x, a, b in zip(sequences, start, end, strict=True)
  ]
  rest = np.concatenate(outside)
  assert {"whole": not len(rest), "zeros": not rest.any()}.get(kind, rest.any())


def optimizer_of(name, bound, **changes):
  """An optimizer of the released code's, for batches of 4, and its first state."""
  own = {"optimizer.name": "adam", "optimizer.schedule.boundaries": (bound,)}
  config = configure("paper", **own, **changes)
  config.optimizer.schedule.warmup = 0.0
  data = streams.Streams({"moments": ahernet.load(configure()).moments}, 4, True)
  optimizer = ahernet._optimizers(config, 20, data)[name]
  return jax.jit(optimizer.update), optimizer.init({"w": jnp.ones(1)})


def step_sizes(update, opt, count):
  one, sizes = {"w": jnp.ones(1)}, []
  for _ in range(count):
    step, opt = update(one, opt, one)
    sizes.append(float(-step["w"][0]))
  return np.array(sizes), opt


@pytest.mark.parametrize(("unit", "decayed"), [("iterations", 10), ("samples", 2)])
def test_the_unit_of_the_decay(unit, decayed):
  main = optimizer_of(ordered.MAIN, 10, decay_unit=unit)
  sizes, _ = step_sizes(*main, 12)
  # Batches of 4: 10 samples are 2.5 iterations.
  assert np.flatnonzero(sizes < 0.5 * sizes[0])[0] == decayed


def test_rivals_have_a_constant_rate_and_a_short_memory():
  rival = optimizer_of(ordered.ADVERSARIAL, 1, **{"adversarial.learning_rate": 3e-4})
  sizes, opt = step_sizes(*rival, 3)
  np.testing.assert_allclose(sizes, 3e-4, rtol=1e-4)
  mean = optax.tree.get(opt, "mu")["w"]  # of gradients of 1, with b1 = .5
  np.testing.assert_allclose(mean, 1 - 0.5**3, rtol=1e-6)


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
