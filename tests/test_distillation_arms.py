"""What teachers teach: arms, two networks at once, networks that see no images."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from iekd_support import CNN, Windows, configure

from jaxvision import experiment
from jaxvision.layers import insertion
from jaxvision.losses.distillation import soft_target_kl
from jaxvision.methods import iekd as method
from jaxvision.methods.common import criteria, distillation_stages
from jaxvision.methods.common.distillation import (
  Criterion,
  Guide,
  begin,
  observer,
  part,
)
from jaxvision.models.coders import AutoEncoder
from jaxvision.models.temporal import TemporalBase
from jaxvision.train import state

KEY = jax.random.key(0)


def run(tmp_path, variant, **changes):
  small = {"epochs": 1.0, "data.limit": 80, "teacher.limit": 80, **changes}
  return experiment.run(configure(variant, **small), tmp_path)["metrics"]


def test_exploration_alone_of_raw_features_trains(tmp_path):
  found = run(tmp_path, "cosine,raw,explore_only")
  assert 0 < found["accuracy"] <= 1 and np.isfinite(found["loss"])
  assert found["distance/explore"] > 0 and "distance/inherit" not in found
  assert "autoencoder/loss" not in found


def test_hints_come_before_the_task(tmp_path):
  taps = {"distill.taps": ("dense1",), "distill.hint_epochs": 1.0}
  found = run(tmp_path, "ab,kd", **taps, **{"distill.kind": "ab"})
  assert {"hints/accuracy", "accuracy"} <= set(found)


def test_two_networks_teach_each_other(tmp_path):
  found = run(tmp_path, "ie_dml")
  assert 0 < found["accuracy"] <= 1 and 0 < found["peer/accuracy"] <= 1


def test_networks_are_updated_in_turn():
  """The second one sees the first one as it has become; both start from one state."""
  config = configure("dml", **{"optimizer.learning_rate": 0.5})
  data = method.load(config)
  (stage,) = method.build(config, data).stages
  frozen, batch = stage.frozen({}), stage.batches(0)[0]
  start = jax.jit(stage.init)(KEY, frozen, batch)
  after, logs = jax.jit(stage.step)(start, frozen, batch, KEY)
  student, peer = (
    jax.jit(method.supervised.build_model(c, 10).apply)
    for c in (config, method.images.teacher_config(config))
  )
  rows = data.splits["train"][batch]
  x = jnp.asarray(rows["image"]) / 255
  own = student(part({"params": start["params"]}, "student"), x)
  became = student(part({"params": after["params"]}, "student"), x)
  other = peer(part({"params": start["params"]}, "peer"), x)
  kl = soft_target_kl(other, became, temperature=1.0).mean()
  assert logs["peer/soft"] == pytest.approx(float(kl), rel=1e-4)
  kl = soft_target_kl(own, other, temperature=1.0).mean()
  assert logs["soft"] == pytest.approx(float(kl), rel=1e-4)


CONVOLUTIONAL = {
  "": {"inherit", "explore"},
  "inherit_only": {"inherit"},
  "explore_only,both_inherit": {"explore"},
  "ie_at": set(),
  "at": set(),
  "ft": {"tap0"},
  "fitnet": {"tap0"},
  "ab": {"tap0", "tap1"},
  "ofd": {"tap0", "tap1"},
  "sp": set(),
  "rkd": set(),
  "pkt": set(),
}


@pytest.mark.parametrize("variant", CONVOLUTIONAL)
def test_criteria_adapt_and_compare_maps(variant):
  config = configure(variant, convolutional=True)
  shapes = [(1, 4, 4, 5), (1, 2, 2, 8)][-len(config.distill.taps) :]
  criterion = criteria.build(config, shapes)
  norm = {"scale": jnp.ones(5), "bias": jnp.zeros(5)}
  wide = {"scale": jnp.ones(8), "bias": jnp.zeros(8)}
  coded = criteria.uses_coder(config)
  assert coded == (criterion.adapter is not None and criterion.adapter.kind == "coder")

  def loss(key):
    draw = lambda width, shape: jax.random.normal(key, (3, *shape[1:3], width))
    features = tuple(draw(6, shape) for shape in shapes)
    split = {f"tap{i}": dict(inherit=jnp.arange(3), explore=jnp.arange(3, 6))
             for i in range(len(shapes))}  # fmt: skip
    parts = criterion.parts(features, split)
    theirs = tuple(draw(4 if coded else shape[-1], shape) for shape in shapes)
    guide = Guide(None, theirs, {"params": {"norm1": norm, "norm2": wide}})
    names = set()
    if criterion.adapter is not None:
      parts, variables = criterion.adapter.init_with_output(key, parts)
      names = set(variables["params"])
    assert names == CONVOLUTIONAL[variant]
    return criterion.loss(parts, guide)

  value, logs = jax.eval_shape(loss, KEY)
  assert value.shape == () and all(jnp.shape(log) == () for log in logs.values())
  assert set(logs) == ({"distance"} if config.distill.weight else names_of(config))


def names_of(config):
  """The halves that have a weight."""
  fields = config.distill
  return {half for half in criteria.HALVES if fields[f"{half}_weight"]}


def temporal_stages(teacher, wide, narrow):
  """An auto-encoder of a wide network's base, and a narrow one that learns from it."""
  rows, taps, coder = Windows(), ("base",), AutoEncoder(4)
  config = configure(**{"optimizer.clip_norm": 1.0, "batch_size": 8})
  source = distillation_stages.Source(
    rows,
    spec=rows.spec(8),
    resident=None,
    inputs=lambda batch, key: batch["features"],
    steps=60,
  )

  def task(outputs, batch):
    return jnp.mean((outputs - batch["target"]) ** 2), {}

  def inherit(inherited):
    coded = state.variables(inherited["autoencoder"])
    return {"teacher": teacher, "coder": coded}

  coding = distillation_stages.coder_stage(
    config.coder,
    coder,
    source,
    observer(wide, taps),
    size=8,
    frozen=lambda inherited: {"teacher": teacher},
    evaluate=lambda *args: {},
  )
  learning = distillation_stages.student_stage(
    config,
    narrow,
    source,
    criteria.build(config, [(1, 4, 12)])._replace(taps=taps),
    observer(wide, taps, coder),
    loss=task,
    strength=lambda step: 1.0,
    frozen=inherit,
    evaluate=lambda *args: {},
    monitor="-loss",
  )
  return coding, learning


class Temporal(nn.Module):
  """The base of GTAN with one number as its task."""

  widths: tuple[int, int]

  @nn.compact
  def __call__(self, x, train=False):
    x = TemporalBase(self.widths, name="base")(x)
    return nn.Dense(1, name="head")(x.mean(1))[:, 0]


def test_a_narrower_gtan_base_learns_from_a_wide_one():
  wide, narrow = (insertion.Inserted(Temporal(w), ()) for w in ((8, 12), (4, 6)))
  teacher = jax.jit(wide.init)(KEY, Windows().features[:1])
  states, logs = {}, {}
  for stage in temporal_stages(teacher, wide, narrow):
    frozen, batches = stage.frozen(states), stage.batches(0)
    now = jax.jit(stage.init)(KEY, frozen, batches[0])
    step = jax.jit(stage.step)
    for i in range(stage.steps):
      now, found = step(now, frozen, batches[i], jax.random.fold_in(KEY, i))
      logs.setdefault(stage.name, []).append(found)
    states[stage.name] = now

  def change(stage, name):
    values = [float(found[name]) for found in logs[stage]]
    return np.mean(values[-10:]) - np.mean(values[:10])

  assert change("autoencoder", "loss") < 0
  assert change("student", "inherit") < 0 < change("student", "explore")
  assert change("student", "task") < 0


def test_the_generic_pieces_need_no_adapter():
  model = insertion.Inserted(
    method.supervised.models.build({**CNN, "widths": (4, 6)}), ()
  )
  criterion = Criterion(("pool2",), lambda features, split: {"tap0": features[0]})
  found = jax.eval_shape(lambda: begin(KEY, model, jnp.zeros((1, 8, 8, 1)), criterion))
  assert (
    set(found["params"]) == {"student"} and len(found["split"]["tap0"]["explore"]) == 3
  )
