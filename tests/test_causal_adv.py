"""CausalAdv as a method: its step, its state, its variants, attacks in the end."""

import json
from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import causal_adv
from jaxvision import experiment
from jaxvision.attacks import pgd
from jaxvision.attacks.pgd import normal_start, uniform_start
from jaxvision.errors import UserError
from jaxvision.losses import adversarial
from jaxvision.methods.common import style, style_stage, supervised
from jaxvision.methods.common.distillation import part
from jaxvision.methods.common.image_data import as_float
from jaxvision.train import state

SMALL = {
  "data.name": "digits",
  "data.size": 0,
  "data.limit": 200,
  "data.validation": 50.0,
  "batch_size": 20,
  "per_dispatch": 1,
  "epochs": 2.0,
  "adversarial.steps": 2,
  "robust.steps": 2,
  "robust.examples": 40,
  "eval.batch_size": 40,
  "eval.every": 10,
  "log.figures": False,
}
MLP = {"name": "mlp", "hidden": (12,)}  # compiles in a fraction of a CNN's time


def small(variant="", *, convolutional=False, **changes):
  config = causal_adv.get_config(variant)
  config.update_from_flattened_dict({**SMALL, **changes})
  with config.unlocked():
    if convolutional:
      config.model.update(widths=(4,), dense_width=12)
    else:
      config.model = MLP
      config.style.at = changes.get("style.at", "relu1")
  return config


def prepare(variant="", **changes):
  config = small(variant, **changes)
  return experiment.prepare(experiment.method_module("causal_adv"), config)


def one_step(variant, **changes):
  """State before and after the first step, its logs, and the plan."""
  plan = prepare(variant, **changes)
  (program,) = plan.programs
  frozen, batch = program.stage.frozen({}), program.stage.batches(0)[0]
  key = jax.random.key(0)
  before = program.init(key, frozen, batch)
  kept = jax.tree.map(jnp.copy, before)
  stacked = jax.tree.map(lambda x: x[None], batch)
  after, logs, _ = program.dispatch(before, frozen, stacked, key, np.int32(1))
  return kept, after, logs, plan


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  target = tmp_path_factory.mktemp("causal_adv")
  changes = {"log.figures": True, "attack.name": "fgsm", "attack.radii": (0.5,)}
  experiment.run(small(**changes, **{"attack.examples": 40}), target)
  return target


def results(folder, name="results"):
  return json.loads((folder / f"{name}.json").read_text())["metrics"]


def test_a_run_says_what_is_promised(folder):
  found = results(folder)
  names = {
    "accuracy", "robust/pgd2", "robust/adaptive", "robust/adaptive_summed",
    "style/gap", "best/robust/pgd2", "val/robust/pgd2", "robust/fgsm",
    "robust/curve/0.05",
  }  # fmt: skip
  assert set(found) >= names
  assert found["robust/fgsm"] <= found["robust/fgsm/clean"]
  gap = found["style/adversarial_loss"] - found["style/natural_loss"]
  assert found["style/gap"] == pytest.approx(gap)
  drawn = {path.name for path in (folder / "figures").iterdir()}
  assert drawn == {
    "training_train.png", "style_gap.png", "adversarial_fgsm.png", "robustness.png"
  }  # fmt: skip
  lines = (folder / "metrics.jsonl").read_text().splitlines()
  assert any("style_gap" in json.loads(line) for line in lines)


def test_the_best_checkpoint_is_the_most_robust_one(folder):
  lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
  robust = [line["robust/pgd2"] for line in lines if line["split"] == "val"]
  config = small(**{"eval.checkpoint": "best", "eval.split": "val"})
  experiment.run(config, folder, "eval")
  assert results(folder, "eval_val")["robust/pgd2"] == pytest.approx(max(robust))


def test_covariances_are_in_the_checkpoint(folder):
  plan = prepare()
  now = experiment.final_state(plan, folder)
  assert now["style"]["classes"].count.sum() == 20 * 20
  assert now["style"]["features"].count == 20 * 20
  assert np.abs(now["style"]["classes"].cov).max() > 1e-4
  experiment.run(small(), folder, "eval")
  again, expected = results(folder, "eval_test"), results(folder)
  assert again["robust/adaptive_summed"] == expected["robust/adaptive_summed"]


LOSSES = {
  "madry": lambda clean, adv, y: adversarial.madry(adv, y),
  "trades": lambda clean, adv, y: adversarial.trades(clean, adv, y, beta=6.0),
  "mart": lambda clean, adv, y: adversarial.mart(clean, adv, y, beta=6.0),
}


def plain_step(before, plan, kind):
  """Gradients of one step of adversarial training, with the attack on the host."""
  config = plan.config
  model = supervised.build_model(config, 10)
  data = plan.programs[0].stage.frozen({})["data"]
  rows = plan.programs[0].stage.batches(0)[0]
  x, y = as_float(jnp.asarray(data["image"])[rows]), jnp.asarray(data["label"])[rows]
  variables = part(state.variables(before), "model")

  def forward(params, x, stats):
    own = {"params": params, "batch_stats": stats}
    logits, changed = model.apply(own, x, train=True, mutable=["batch_stats"])
    return logits, changed.get("batch_stats", {})

  begun = variables.get("batch_stats", {})
  _, stats = forward(variables["params"], x, begun)
  logits_fn = lambda own, x: model.apply(own, x, train=False)
  step_key = jax.random.fold_in(jax.random.key(0), 0)
  start_key = jax.random.fold_in(step_key, style_stage.ATTACK)
  start = normal_start if kind != "madry" else partial(uniform_start, eps=0.1)
  fields = {"eps": 0.1, "step_size": config.adversarial.step_size, "steps": 2}
  x_adv = pgd(
    start_key, logits_fn, x, y, start=start(start_key, x), **fields,
    loss="trades" if kind == "trades" else "ce",
    variables={**variables, "batch_stats": stats},
  )  # fmt: skip

  def loss(params):
    clean, stats = forward(params, x, begun)
    adv, stats = forward(params, x_adv, stats)
    return LOSSES[kind](clean, adv, y).mean(), stats

  return jax.jit(jax.grad(loss, has_aux=True))(variables["params"])


NOWHERE = "no_ramp,plain_attack,attack_only"  # style neither in attack nor in loss


@pytest.mark.parametrize(
  ("variant", "kind"), [*((kind, kind) for kind in LOSSES), (f"t,{NOWHERE}", "trades")]
)
def test_without_style_a_step_is_that_of_adversarial_training(variant, kind):
  changes = {"style.ratio": 0.7, "convolutional": kind == "madry"}
  before, after, logs, plan = one_step(variant, **changes)
  grads, stats = plain_step(before, plan, kind)
  moved = jax.tree.map(
    lambda a, b: (a - b) / plan.config.optimizer.learning_rate,
    before["params"]["model"],
    after["params"]["model"],
  )
  chex.assert_trees_all_close(moved, grads, atol=1e-5)
  if kind == "madry":
    chex.assert_trees_all_close(after["batch_stats"]["model"], stats, atol=1e-5)
  head = jax.tree.map(
    lambda a, b: jnp.abs(a - b).max(), before["params"]["head"], after["params"]["head"]
  )
  assert min(jax.tree.leaves(head)) >= 0 and max(jax.tree.leaves(head)) > 1e-5
  assert jnp.isfinite(logs["style_gap"])


def test_switches_train():
  before, after, logs, _ = one_step("mart,alpha_1,exact,detach,no_ramp")
  assert all(np.isfinite(value) for value in logs.values())
  moved = jax.tree.map(
    lambda a, b: jnp.abs(a - b).max(), before["params"], after["params"]
  )
  assert min(jax.tree.leaves(moved["model"])) > 1e-6


def test_weights_grow_from_epoch_to_epoch():
  fields = small(**{"style.alpha": 0.5, "style.ratio": 2.0}).style
  weights = lambda epoch: [
    float(w) for w in style.weights_of(fields, jnp.int32(epoch), 8.0)
  ]
  assert weights(0) == [0.0, 0.0] and weights(4) == [0.25, 1.0]
  fields = small("no_ramp", **{"style.alpha": 0.5, "style.in_loss": False}).style
  assert [float(w) for w in style.weights_of(fields, jnp.int32(0), 8.0)] == [
    0.0, 1.0
  ]  # fmt: skip


@pytest.mark.parametrize(
  ("variant", "count"), [("paper", 11_173_952), ("paper,wide", 46_160_464)]
)
def test_parameter_counts(variant, count):
  config = causal_adv.get_config(variant)
  model = supervised.build_model(config, 10)
  x = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
  params = jax.eval_shape(model.init, jax.random.key(0), x)["params"]
  assert sum(leaf.size for leaf in jax.tree.leaves(params)) == count


@pytest.mark.parametrize(
  ("variant", "classes", "side"), [("mnist", 10, 28), ("cifar100", 100, 32)]
)
def test_steps_of_the_papers_other_data_can_be_traced(variant, classes, side):
  config, module = (
    causal_adv.get_config(variant), experiment.method_module("causal_adv")
  )  # fmt: skip
  method = module.build(config, module.load(config, abstract=True))
  (stage,), key = method.stages, jax.random.key(0)
  assert method.inputs.shape[1:3] == (side, side)
  frozen = stage.frozen({})
  begun = jax.eval_shape(stage.init, key, frozen, stage.spec)
  assert begun["params"]["head"]["logits"]["kernel"].shape == (512, classes)
  after, _ = jax.eval_shape(stage.step, begun, frozen, stage.spec, key)
  chex.assert_trees_all_equal_shapes_and_dtypes(after, begun)


@pytest.mark.parametrize(
  ("changes", "words"),
  [
    ({"style.at": "pool1"}, "config.style.at is 'pool1'.* one of .*relu1"),
    ({"style.basis": "svd"}, "choose one of sequential, exact, random"),
    ({"adversarial.kind": "free"}, "choose one of madry, trades, mart"),
    ({"attack.name": "cw"}, "config.attack.name='cw'"),
    ({"attack.name": "pgd", "attack.eps": 2.0}, "config.attack.eps=2.0"),
    ({"quantize.weights": ({"at": ".*kernel", "levels": "w2"},)}, "config.quantize"),
  ],
)
def test_mistakes_are_named(changes, words):
  with pytest.raises(UserError, match=words):
    prepare(**changes)
