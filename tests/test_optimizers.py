"""Optimizers from a config, against loops in numpy and plain optax."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from ml_collections import ConfigDict

from jaxvision.config import OPTIMIZER
from jaxvision.errors import UserError
from jaxvision.train import momentum, optimizers

STEPS, EPOCH = 12, 4


def build(*, steps=STEPS, steps_per_epoch=EPOCH, **fields):
  config = ConfigDict({**OPTIMIZER, "learning_rate": 0.05})
  config.update(fields)
  return optimizers.build(config, steps=steps, steps_per_epoch=steps_per_epoch)


def params():
  rng = np.random.default_rng(0)
  shapes = {
    "dense1": {"kernel": (3, 4), "bias": (4,)},
    "norm": {"scale": (4,)},
    "dense2": {"kernel": (4, 2)},
  }
  draw = lambda shape: rng.normal(size=shape).astype(np.float32)
  return jax.tree.map(draw, shapes, is_leaf=lambda x: isinstance(x, tuple))


def gradients(steps=STEPS):
  """One tree a step, of a scale that differs between leaves."""
  rng = np.random.default_rng(1)
  draw = lambda w: rng.normal(size=w.shape).astype(np.float32)
  return [jax.tree.map(draw, params()) for _ in range(steps)]


def descend(optimizer, grads):
  """Returns the parameters after each step."""

  @jax.jit
  def step(now, state, grad):
    updates, state = optimizer.update(grad, state, now)
    return optax.apply_updates(now, updates), state

  now, state, path = params(), jax.jit(optimizer.init)(params()), []
  for grad in grads:
    now, state = step(now, state, grad)
    path.append(jax.device_get(now))
  return path


def sgd_by_hand(grads, *, rate, moment, nesterov=False, dampened=False, decay=0.0):
  """Returns the last parameters; `moment` and `rate` map a step to a number."""
  now = jax.tree.map(np.float64, params())
  velocity = jax.tree.map(np.zeros_like, now)
  for i, grad in enumerate(grads):
    m = moment(i)
    d = 1 - m if dampened else 1.0
    grad = jax.tree.map(lambda g, w: g + decay * w, grad, now)
    velocity = jax.tree.map(lambda v, g, m=m, d=d: m * v + d * g, velocity, grad)
    out = velocity
    if nesterov:
      out = jax.tree.map(lambda v, g, m=m, d=d: m * v + d * g, velocity, grad)
    now = jax.tree.map(lambda w, u, i=i: w - rate(i) * u, now, out)
  return now


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("dampened", [False, True])
@pytest.mark.parametrize("rising", [False, True])
def test_sgd_equals_a_loop_in_numpy(nesterov, dampened, rising):
  fields = {"momentum_start": 0.5, "momentum_epochs": 2.0} if rising else {}
  optimizer = build(nesterov=nesterov, dampened=dampened, **fields)
  found = descend(optimizer, gradients())[-1]
  expected = sgd_by_hand(
    gradients(),
    rate=lambda i: 0.05,
    moment=lambda i: 0.5 + 0.4 * min(i / 8, 1) if rising else 0.9,
    nesterov=nesterov,
    dampened=dampened,
  )
  chex.assert_trees_all_close(found, expected, rtol=1e-5, atol=1e-6)


def test_momentum_may_start_at_zero_and_may_be_off():
  found = descend(build(momentum_start=0.0, momentum_epochs=1.0), gradients())[-1]
  rise = lambda i: 0.9 * min(i / 4, 1)
  expected = sgd_by_hand(gradients(), rate=lambda i: 0.05, moment=rise)
  chex.assert_trees_all_close(found, expected, rtol=1e-5, atol=1e-6)
  plain = descend(optax.sgd(0.05), gradients())[-1]
  chex.assert_trees_all_close(
    descend(build(momentum=0.0), gradients())[-1], plain, rtol=1e-6
  )


def test_trace_is_that_of_optax_when_momentum_is_constant():
  ours = momentum.scheduled_trace(optax.constant_schedule(0.7), nesterov=True)
  theirs = optax.trace(0.7, nesterov=True)
  chex.assert_trees_all_close(
    descend(ours, gradients(3)), descend(theirs, gradients(3)), rtol=1e-6
  )


def test_velocity_keeps_the_dtype_of_its_parameter():
  half = jnp.ones(3, jnp.bfloat16)
  trace = momentum.scheduled_trace(lambda count: 0.9 + 0.0 * count)
  out, state = trace.update({"w": half}, trace.init({"w": half}))
  assert out["w"].dtype == state.velocity["w"].dtype == jnp.bfloat16
  assert int(state.count) == 1


@pytest.mark.parametrize("nesterov", [False, True])
def test_adam_equals_that_of_optax(nesterov):
  fields = {"b1": 0.8, "b2": 0.95, "eps": 1e-5, "nesterov": nesterov}
  theirs = optax.adam(0.05, 0.8, 0.95, 1e-5, nesterov=nesterov)
  found = descend(build(name="adam", **fields), gradients())
  chex.assert_trees_all_close(found, descend(theirs, gradients()), rtol=1e-5)


def mask(tree):
  """What the default pattern decays: kernels only."""
  return {
    "dense1": {"kernel": True, "bias": False},
    "norm": {"scale": False},
    "dense2": {"kernel": True},
  }


def test_weight_decay_is_decoupled_in_adamw_and_coupled_in_adam():
  adamw = descend(build(name="adamw", weight_decay=0.1), gradients())[-1]
  adam = descend(build(name="adam", weight_decay=0.1), gradients())[-1]
  decoupled = optax.adamw(0.05, weight_decay=0.1, mask=mask)
  coupled = optax.chain(optax.add_decayed_weights(0.1, mask), optax.adam(0.05))
  chex.assert_trees_all_close(adamw, descend(decoupled, gradients())[-1], rtol=1e-5)
  chex.assert_trees_all_close(adam, descend(coupled, gradients())[-1], rtol=1e-5)
  gap = adam["dense1"]["kernel"] - adamw["dense1"]["kernel"]
  assert np.abs(gap).max() > 1e-3
  chex.assert_trees_all_equal(adam["norm"], adamw["norm"])


def test_weight_decay_of_sgd_and_its_path_mask():
  rules = (("dense2/.*", False), (".*", True))
  found = descend(build(weight_decay=0.1, decay=rules), gradients())[-1]
  fixed = {"rate": lambda i: 0.05, "moment": lambda i: 0.9}
  decayed = sgd_by_hand(gradients(), decay=0.1, **fixed)
  plain = sgd_by_hand(gradients(), **fixed)
  expected = {**decayed, "dense2": plain["dense2"]}
  chex.assert_trees_all_close(found, expected, rtol=1e-5, atol=1e-6)


def test_schedule_drives_the_rate():
  schedule = {"name": "step", "every": 1.0, "factor": 0.5}
  found = descend(build(schedule=schedule), gradients())[-1]
  expected = sgd_by_hand(
    gradients(), rate=lambda i: 0.05 * 0.5 ** (i // EPOCH), moment=lambda i: 0.9
  )
  chex.assert_trees_all_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
  "fields, sentence",
  [
    ({"name": "sdg"}, "optimizer.name is 'sdg'; choose one of sgd, adam, adamw"),
    ({"accumulate": 0}, "accumulate is 0; choose between 1 and the 12 steps"),
    ({"accumulate": 13}, "accumulate is 13; choose between 1 and the 12 steps"),
    (
      {"groups": ((".*", {"rate": 1.0}),)},
      "groups sets rate, which a group lacks; it has b1, .*, nesterov, .*decay",
    ),
    (
      {"groups": ((".*", {"clip_norm": 1.0, "accumulate": 2}),)},
      "groups sets accumulate, clip_norm, which a group lacks",
    ),
    ({"groups": ((".*", {"name": "lion"}),)}, "optimizer.name is 'lion'"),
    ({"schedule": {"name": "cos"}}, "schedule.name is 'cos'"),
  ],
)
def test_a_wrong_field_is_one_sentence(fields, sentence):
  with pytest.raises(UserError, match=sentence):
    build(**fields)


@pytest.mark.parametrize(
  "fields",
  [{"freeze": ("dense3/.*",)}, {"groups": (("dense3/.*", {"momentum": 0.0}),)}],
)
def test_a_pattern_that_matches_nothing_is_one_sentence(fields):
  sentence = (
    r"'dense3/\.\*' match no parameter; parameters are "
    "dense1/bias, dense1/kernel, dense2/kernel, norm/scale"
  )
  with pytest.raises(UserError, match=sentence):
    build(**fields).init(params())
