"""IE-KD as an experiment: stages, arms, resume, what must not change."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from iekd_support import QUANTIZED, configure

from jaxvision import experiment, interruption
from jaxvision.interop import weights
from jaxvision.methods import iekd as method
from jaxvision.methods.common import criteria
from jaxvision.methods.common.distillation import (
  added,
  forward,
  observer,
  part,
)
from jaxvision.models.coders import AutoEncoder
from jaxvision.train import feeding, loop, runner, sharding, state

STAGES = ("teacher", "autoencoder", "student")
KEY = jax.random.key(0)


def prepare(variant="", **changes):
  config = configure(variant, **changes)
  return experiment.prepare(experiment.method_module("iekd"), config)


@pytest.fixture(scope="module")
def plan():
  return prepare(**{"distill.split": "random"})


@pytest.fixture(scope="module")
def folder(plan, tmp_path_factory):
  target = tmp_path_factory.mktemp("iekd")
  runner.train_seed(plan, 0, target)
  return target


@pytest.fixture(autouse=True)
def no_signal():
  interruption.clear()
  yield
  interruption.clear()


def restore(plan, folder):
  return runner.restore(plan, 0, folder, which="last", warn=print)


def test_results_hold_accuracies_and_analyses(plan, folder):
  found = runner.train_seed(plan, 0, folder)  # finished: only evaluated
  metrics, steps = found["metrics"], found["steps"]
  assert steps == {"teacher": 4, "autoencoder": 3, "student": 6}
  assert {"accuracy", "teacher/accuracy", "autoencoder/relative"} <= set(metrics)
  assert {"cka/inherit_teacher", "cka_unbiased/explore_inherit"} <= set(metrics)
  assert {"noise/0.1/accuracy", "distance/inherit", "active/student"} <= set(metrics)
  assert 0 <= metrics["cka/explore_teacher"] <= 1


@pytest.mark.parametrize("at", [2, 6, 10])  # inside each of the three stages
def test_a_run_interrupted_in_any_stage_ends_bit_for_bit(
  plan, folder, tmp_path, monkeypatch, at
):
  calls = []

  def check(step):
    calls.append(step)
    if len(calls) > at:
      raise interruption.Interrupted

  monkeypatch.setattr(loop.preemption, "check", check)
  with pytest.raises(interruption.Interrupted):
    runner.train_seed(plan, 0, tmp_path)
  monkeypatch.undo()
  runner.train_seed(plan, 0, tmp_path)
  whole, halves = restore(plan, folder).states, restore(plan, tmp_path).states
  assert tuple(whole) == STAGES
  chex.assert_trees_all_equal(halves, whole)


def test_a_student_leaves_its_teacher_and_the_split_as_they_were(plan, folder):
  found = restore(plan, folder)
  frozen, stage = found.frozen["student"], plan.programs[-1].stage
  chex.assert_trees_all_equal(
    frozen["teacher"], state.variables(found.states["teacher"])
  )
  coder = state.variables(found.states["autoencoder"])
  chex.assert_trees_all_equal(frozen["coder"], coder)
  fresh = stage.init(
    jax.random.fold_in(loop.stage_key(0, "student"), np.uint32(2**32 - 1)),
    frozen,
    stage.batches(0)[0],
  )
  trained = found.states["student"]
  chex.assert_trees_all_equal(fresh["split"], trained["split"])
  both = jnp.concatenate(list(trained["split"]["tap0"].values()))
  assert sorted(both.tolist()) == list(range(6))
  moved = jax.tree.map(
    lambda a, b: bool((a != b).any()), fresh["params"], trained["params"]
  )
  assert all(jax.tree.leaves(part({"params": moved}, "student")))
  assert moved["adapter"]["inherit"]["conv1"]["kernel"]


def test_only_the_student_is_left(plan, folder):
  found = plan.method.variables(restore(plan, folder).states["student"])
  assert set(found["params"]) == {"dense1", "logits"}
  image = jnp.zeros((2, 8, 8, 1), jnp.uint8)
  assert plan.method.predict(found, image)["logits"].shape == (2, 10)


def test_figures_show_the_teacher_too(plan, folder):
  runner.train_seed(plan, 0, folder)
  states = restore(plan, folder).states
  plan.method.figures(states["student"], folder / "figures")
  names = {p.name for p in (folder / "figures").iterdir()}
  assert {"cka.png", "gradient_maps.png"} <= names


def test_a_teacher_may_come_from_a_file(plan, folder, tmp_path):
  states = restore(plan, folder).states
  path = tmp_path / "teacher.safetensors"
  weights.write_safetensors(path, state.variables(states["teacher"]))
  other = prepare("kd", **{"teacher.init_from": str(path)})
  assert [p.stage.name for p in other.programs] == ["student"]
  frozen = other.programs[0].stage.frozen({})
  chex.assert_trees_all_equal(frozen["teacher"], state.variables(states["teacher"]))
  files = method.expected_files(other.config)
  assert files[-1] == f"{path}: weights of the teacher"


def test_a_student_may_start_from_a_file_as_its_teacher_may(plan, folder, tmp_path):
  states = restore(plan, folder).states
  paths = {name: tmp_path / f"{name}.safetensors" for name in ("student", "teacher")}
  student = plan.method.variables(states["student"])
  weights.write_safetensors(paths["student"], student)
  weights.write_safetensors(paths["teacher"], state.variables(states["teacher"]))
  files = {"init_from": str(paths["student"])}
  other = prepare("kd", **files, **{"teacher.init_from": str(paths["teacher"])})
  assert method.expected_files(other.config)[-2:] == (
    f"{paths['teacher']}: weights of the teacher",
    f"{paths['student']}: weights of the student",
  )
  stage = other.programs[0].stage
  begun = jax.jit(stage.init)(KEY, stage.frozen({}), stage.batches(0)[0])
  chex.assert_trees_all_equal(other.method.variables(begun), student)
  # A teacher that is trained starts at random all the same.
  assert not method.images.teacher_config(prepare(**files).config).init_from


def test_a_float_teacher_teaches_a_quantized_student(plan, folder):
  states, config = restore(plan, folder).states, configure(**QUANTIZED)
  found = method.build(config, method.load(config))
  assert len(found.inserted) == 2
  stages = {s.name: s for s in found.stages}
  # The stages of the float experiment fit: neither teacher nor coder is quantized.
  teacher = stages["teacher"]
  spec = jax.eval_shape(
    lambda f: teacher.init(KEY, f, teacher.batches(0)[0]), teacher.frozen({})
  )
  chex.assert_trees_all_equal_shapes(spec, states["teacher"])
  stage = stages["student"]
  frozen, rows = stage.frozen(states), stage.batches(0)
  now = first = jax.jit(stage.init)(KEY, frozen, rows[0])
  step = jax.jit(stage.step)
  for i in range(4):  # three steps an epoch
    now, logs = step(now, frozen, rows[i], jax.random.fold_in(KEY, i))
  assert np.isfinite(logs["loss"]) and logs["inherit"] > 0
  assert {float(t) for t in jax.tree.leaves(now["schedule"])} == {10.0}
  own, begun = (s["params"]["student"]["quantizers"] for s in (now, first))
  assert own["dense1"]["kernel"]["alpha"] != begun["dense1"]["kernel"]["alpha"]
  network = method.supervised.build_model(config, 10).model
  hard = network.quantize(found.variables(now))["dense1"]["kernel"]
  assert len(np.unique(hard)) == 3
  image = jnp.zeros((2, 8, 8, 1), jnp.uint8)
  assert found.predict(found.variables(now), image)["logits"].shape == (2, 10)


def test_steps_of_the_student_do_not_touch_what_is_frozen(plan, folder):
  """The compiled, donating program of the loop, not only the pure step."""
  found, program = restore(plan, folder), plan.programs[-1]
  frozen = sharding.place_replicated(found.frozen["student"], program.mesh)
  before = jax.tree.map(np.array, {k: frozen[k] for k in ("teacher", "coder")})
  now = jax.tree.map(jnp.copy, found.states["student"])
  batches = feeding.Feeder(program.stage.batches(0), 0, 10).take(1, 1, program.mesh)
  key = loop.stage_key(0, "student")
  program.dispatch(now, frozen, batches, key, np.int32(1))
  chex.assert_trees_all_equal({k: frozen[k] for k in before}, before)


def student_setting(plan, folder):
  """What the gradients of a student depend on, and its criterion."""
  found, config = restore(plan, folder), plan.config
  data = method.load(config)
  teacher = method.supervised.build_model(method.images.teacher_config(config), 10)
  shapes = method.images.teacher_shapes(config, data, teacher)
  student = method.supervised.build_model(config, 10)
  batch = jax.tree.map(jnp.asarray, data.splits["train"][np.arange(20)])
  see = observer(teacher, ("relu1",), AutoEncoder(4))
  return student, criteria.build(config, shapes), found, see, batch


def test_a_factor_of_zero_leaves_the_gradients_of_cross_entropy_bit_for_bit(
  plan, folder
):
  model, criterion, found, see, batch = student_setting(plan, folder)
  now, frozen = found.states["student"], found.frozen["student"]
  x = batch["image"] / 255

  def gradient(params, strength):
    def loss(params):
      variables = {**state.variables(now), "params": params}
      outputs, parts, _ = forward(model, variables, x, criterion, now["split"], key=KEY)
      task, _ = method.images.loss(outputs, batch)
      if strength is None:
        return task
      return task + added(criterion, outputs, parts, see(frozen, x), strength)[0]

    return jax.grad(loss)(params)

  plain = jax.jit(lambda p: gradient(p, None))(now["params"])
  zero, one = (jax.jit(gradient)(now["params"], jnp.float32(f)) for f in (0, 1))
  chex.assert_trees_all_equal(zero["student"], plain["student"])
  # With a factor, each half's loss reaches its own encoder, and the student.
  assert not all(jax.tree.leaves(jax.tree.map(jnp.array_equal, one, plain)))
  assert all(g.any() for g in jax.tree.leaves(one["adapter"]))
