"""IE-KD as an experiment: stages, arms, resume, what must not change."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from iekd_support import configure

from configs import iekd as config_file
from jaxvision import experiment, interruption
from jaxvision.errors import UserError
from jaxvision.interop import weights
from jaxvision.methods import iekd as method
from jaxvision.methods.common import criteria, mutual
from jaxvision.methods.common.distillation import (
  added,
  begin,
  forward,
  observer,
  part,
)
from jaxvision.models.coders import AutoEncoder
from jaxvision.train import loop, runner, state

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


def test_arms_without_weight_train_as_plain_cross_entropy():
  fields = {"distill.inherit_weight": 0.0, "distill.explore_weight": 0.0}
  found = criteria.build(configure(**fields), [(1, 2, 2, 8)])
  assert found.loss is None and found.adapter is None and found.task_weight == 1


def test_every_kind_has_a_config():
  kinds = {config_file.get_config(v).distill.kind for v in config_file.VARIANTS}
  assert kinds == {*criteria.KINDS, *mutual.KINDS}


@pytest.mark.parametrize("variant", ["paper", "imagenet"])
def test_paper_scale_is_planned_without_data(variant):
  """`--mode=plan` also compiles; here the shapes are enough."""
  config = config_file.get_config(variant)
  data = method.load(config, abstract=True)
  stages = {s.name: s for s in method.build(config, data).stages}
  epoch = {"paper": 390, "imagenet": 5004}[variant]
  student = stages["student"]
  assert student.steps == config.epochs * epoch
  assert stages["autoencoder"].steps == config.coder.epochs * epoch
  assert jax.tree.leaves(student.spec)[0].shape[0] == config.batch_size


def test_paper_scale_networks_have_their_published_sizes():
  config = config_file.get_config("paper")
  x = jnp.zeros((1, 32, 32, 3))
  sizes = {}
  for name, own in {
    "student": config,
    "teacher": method.images.teacher_config(config),
  }.items():
    model = method.supervised.build_model(own, 10)
    criterion = criteria.build(own, [(1, 8, 8, 64)])
    found = jax.eval_shape(lambda x, m=model, c=criterion: begin(KEY, m, x, c), x)
    sizes[name] = {
      k: sum(x.size for x in jax.tree.leaves(v)) for k, v in found["params"].items()
    }
  assert sizes["teacher"]["student"] == 853_018
  assert sizes["student"] == {"student": 269_722, "adapter": 2 * 27_840}


@pytest.mark.parametrize(
  "changes, words",
  [
    ({"distill.kind": "fsp"}, "config.distill.kind is 'fsp'; choose one of none, ie"),
    ({"distill.distance": "l3"}, "config.distill.distance is 'l3'"),
    (
      {"distill.taps": ("pool9",)},
      "'pool9' is no place of the teacher; its places are",
    ),
    (
      {"distill.taps": ("relu1", "dense1")},
      "compares one feature; give one tap, not 2",
    ),
    ({"distill.teacher_taps": ("relu1", "dense1")}, "has 1 taps and 2 teacher_taps"),
    ({"distill.kind": "ie_dml", "distill.taps": ("relu1", "dense1")}, "one tap"),
    ({"teacher.init_from": "/nowhere.npz"}, "/nowhere.npz"),
  ],
)
def test_mistakes_are_one_sentence(tmp_path, changes, words):
  with pytest.raises(UserError) as error:
    experiment.run(configure(**changes), tmp_path)
  assert words in str(error.value) and "\n" not in str(error.value)
