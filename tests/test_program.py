"""A compiled stage: several steps a dispatch, health, sentences about it."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toy_stage
from ml_collections import ConfigDict

from jaxvision.errors import UserError
from jaxvision.train import program, sharding
from jaxvision.train.stage import Batches, Method, Stage, no_figures

MESH = ConfigDict({"data": 4, "fsdp": 1})
KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def mesh():
  return sharding.build_mesh(MESH)


def begin(compiled):
  batches = compiled.stage.batches(0)
  return compiled.init(KEY, {}, sharding.place_batch(batches[0], compiled.mesh))


def dispatch(compiled, now, first, count):
  batches = [compiled.stage.batches(0)[first + i] for i in range(count)]
  stacked = program.stack(batches, compiled.per_dispatch)
  placed = sharding.place_batch(stacked, compiled.mesh, axis=1)
  return compiled.dispatch(now, {}, placed, KEY, np.int32(count))


def test_several_steps_a_dispatch_equal_single_ones(mesh):
  one = program.compile_stage(toy_stage.regression(), mesh)
  three = program.compile_stage(toy_stage.regression(), mesh, per_dispatch=3)
  now, losses = begin(one), []
  for i in range(5):
    now, logs, health = dispatch(one, now, i, 1)
    losses.append(logs["loss"])
    assert health.tolist() == [program.HEALTHY] * 3
  several, logs, health = dispatch(three, begin(three), 0, 3)
  np.testing.assert_allclose(logs["loss"], np.mean(losses[:3]), rtol=1e-5)
  several, logs, health = dispatch(three, several, 3, 2)  # a remainder
  np.testing.assert_allclose(logs["loss"], np.mean(losses[3:]), rtol=1e-5)
  chex.assert_trees_all_close(several, now, rtol=1e-5)
  assert health.tolist() == [program.HEALTHY] * 3


def test_abstract_state_is_that_of_init(mesh):
  compiled = program.compile_stage(toy_stage.regression(), mesh)
  batch = sharding.place_batch(compiled.stage.batches(0)[0], mesh)
  like, state = compiled.abstract_state({}, batch), begin(compiled)
  chex.assert_trees_all_equal_shapes_and_dtypes(like, state)
  for a, b in zip(jax.tree.leaves(like), jax.tree.leaves(state), strict=True):
    assert b.sharding.is_equivalent_to(a.sharding, b.ndim)


@pytest.mark.parametrize("per_dispatch", [1, 4])
def test_the_first_sick_step_is_reported(mesh, per_dispatch):
  poison = lambda params, logs: {
    **logs, "ratio": jnp.where(params["out"]["kernel"].sum() != 0, jnp.inf, 0.0)
  }  # fmt: skip
  stage = toy_stage.regression(watch=poison)
  compiled = program.compile_stage(stage, mesh, per_dispatch=per_dispatch)
  now, logs, health = dispatch(compiled, begin(compiled), 0, per_dispatch)
  assert health[0] == 0  # although later ones are sick too
  sentence = program.diagnosis(np.array(health), "toy", logs, now)
  assert "at step 0 of stage 'toy', first in ratio; lower" in sentence


LOGS = {"accuracy": 0, "grad_norm": 0, "loss": 0}
STATE = {"ema": {"w": 0}, "params": {"b": 0, "w": 0}, "step": 0}


@pytest.mark.parametrize(
  "health, found",
  [
    ((3, 0, -1), "first in loss;"),  # the loss is suspected before other logs
    ((3, 1, -1), "first in accuracy;"),
    ((3, -1, 0), "first in state params/b;"),  # parameters before the rest
    ((3, -1, 2), "first in state ema/w;"),
    ((3, 0, 1), "first in loss and in state params/w;"),
  ],
)
def test_a_diagnosis_names_step_log_and_leaf(health, found):
  sentence = program.diagnosis(np.array(health), "toy", LOGS, STATE)
  assert sentence.startswith("non-finite values at step 3 of stage 'toy', " + found)


def test_a_healthy_step_has_no_diagnosis():
  assert program.diagnosis(np.full(3, -1), "toy", LOGS, STATE) is None


@pytest.mark.parametrize("value", [0, -2])
def test_at_least_one_step_a_dispatch(mesh, value):
  with pytest.raises(UserError, match=f"config.per_dispatch is {value}; choose 1"):
    program.compile_stage(toy_stage.regression(), mesh, per_dispatch=value)


def test_stack_repeats_the_last_batch():
  batches = [{"x": np.full(2, i)} for i in range(3)]
  found = program.stack(batches, 5)["x"]
  np.testing.assert_array_equal(found[:, 0], [0, 1, 2, 2, 2])


def test_a_score_is_larger_when_better():
  stage = toy_stage.regression()
  assert stage.score({"loss": 0.25}) == -0.25
  assert stage._replace(monitor="accuracy").score({"accuracy": 0.25}) == 0.25


def test_the_contract_has_defaults(tmp_path):
  assert Stage._field_defaults == {"monitor": "-loss"}
  assert Method._field_defaults == {"figures": no_figures, "inserted": ()}
  no_figures({}, tmp_path)
  assert not list(tmp_path.iterdir())
  assert isinstance(toy_stage.Rows(0), Batches)
