"""Plans: stages compiled ahead of time, at scale, without data."""

import jax
import jax.numpy as jnp
import optax
import pytest
from ml_collections import ConfigDict

from jaxvision.train import ahead, sharding, state
from jaxvision.train.stage import Stage

# Larger than one would allocate in a test: a plan must not.
ROWS, BATCH, WIDTH = 2**30, 64, 256
OPTIMIZER = optax.sgd(0.1, momentum=0.9)


def toy(name, *, steps, teacher=None):
  """A linear student of a table that exists as a shape only."""

  def frozen(inherited):
    found = {"data": jax.ShapeDtypeStruct((ROWS, WIDTH), jnp.uint8)}
    return {**found, "teacher": inherited[teacher]["params"]} if teacher else found

  def init(key, frozen, rows):
    del frozen, rows
    params = {"kernel": jax.random.normal(key, (WIDTH, WIDTH))}
    return state.create({"params": params}, OPTIMIZER)

  def step(now, frozen, rows, key):
    del key
    x = jnp.take(frozen["data"], rows, axis=0).astype(jnp.float32)
    target = x @ frozen["teacher"]["kernel"] if teacher else x
    loss_fn = lambda p: (jnp.mean((x @ p["kernel"] - target) ** 2), ({}, {}))
    now, logs = state.update(now, loss_fn, OPTIMIZER)
    return state.advance(now), logs

  def unused(*_):
    raise AssertionError("a plan reads no data and evaluates nothing")

  spec = jax.ShapeDtypeStruct((BATCH,), jnp.int32)
  return Stage(name, steps, spec, unused, frozen, init, step, unused)


def mesh(fsdp=1):
  return sharding.build_mesh(ConfigDict({"data": -1, "fsdp": fsdp}))


@pytest.fixture(scope="module")
def plan():
  stages = [toy("teacher", steps=7), toy("student", steps=9, teacher="teacher")]
  return ahead.plan_stages(stages, mesh())


def test_a_plan_states_the_numbers_of_every_stage(plan):
  assert list(plan) == ["teacher", "student"]
  facts = plan["teacher"]
  assert facts["steps"] == 7 and plan["student"]["steps"] == 9
  assert facts["parameters"] == WIDTH**2
  assert facts["state_mib"] == 0.5  # parameters and momentum, 256 kB each
  assert facts["batch_per_device"] == 16 and facts["devices"] == 4
  # Forward and the gradient of the kernel; the teacher's forward comes on top.
  product = 2 * BATCH * WIDTH**2
  assert facts["gflops_per_step"] == round(2 * product / 1e9, 3)
  assert plan["student"]["gflops_per_step"] == round(3 * product / 1e9, 3)


def test_a_plan_states_the_memory_of_one_device(plan):
  # The table is read by all: 256 GiB, in MiB.
  table = ROWS * WIDTH / 2**20
  assert plan["teacher"]["arguments_mib"] == pytest.approx(table + 0.5, abs=0.1)
  assert plan["student"]["arguments_mib"] == pytest.approx(table + 0.75, abs=0.1)
  assert plan["teacher"]["temporaries_mib"] > 0


def test_rules_and_fsdp_change_the_memory_of_a_device(plan):
  table = ROWS * WIDTH / 2**20
  split = ahead.plan_stages([toy("teacher", steps=7)], mesh(fsdp=4))["teacher"]
  assert split["arguments_mib"] == pytest.approx(table + 0.5 / 4, abs=0.1)
  assert split["state_mib"] == 0.5 and split["batch_per_device"] == 16
  rules = ((".*kernel", "replicated"),)
  whole = ahead.plan_stages([toy("teacher", steps=7)], mesh(fsdp=4), rules=rules)
  assert whole["teacher"]["arguments_mib"] == plan["teacher"]["arguments_mib"]


def test_a_backend_without_an_analysis_of_memory_leaves_it_out():
  class Compiled:
    def memory_analysis(self):
      return None

  assert ahead._memory(Compiled()) == {}


def test_show_prints_what_was_found():
  lines = []
  stages = {"train": {"steps": 1200, "state_mib": 0.5}}
  ahead.show(
    {"stages": stages, "inserted": ["relu: dropout"], "files": ["x.json"]}, lines.append
  )
  assert [line.split() for line in lines] == [
    ["stage", "train"],
    ["steps", "1,200"],
    ["state", "mib", "0.5"],
    ["inserted"],
    ["relu:", "dropout"],
    ["files"],
    ["x.json"],
  ]
  lines.clear()
  ahead.show({"stages": {}, "inserted": [], "files": []}, lines.append)
  assert lines == ["inserted", "  nothing", "files", "  none"]
