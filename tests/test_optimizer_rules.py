"""Groups, freezing, clipping, accumulation and the max-norm of an optimizer."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from test_optimizers import build, descend, gradients, params

from jaxvision.ops import trees
from jaxvision.train import optimizers


def bits(tree):
  return [int(trees.checksum(jnp.asarray(x))) for x in jax.tree.leaves(tree)]


def test_groups_have_their_own_fields_and_the_first_match_counts():
  groups = (
    ("dense1/kernel", {"learning_rate": 0.01}),
    ("dense1/.*", {"name": "adam", "learning_rate": 0.002}),
    (".*/scale", {"schedule": {"name": "step", "every": 1.0}}),
  )
  found = descend(build(momentum=0.0, groups=groups), gradients())[-1]
  plain = lambda rate: descend(optax.sgd(rate), gradients())[-1]
  adam = descend(optax.adam(0.002), gradients())[-1]
  rate = lambda count: 0.05 * 0.1 ** (count // 4)
  stepped = descend(optax.sgd(rate), gradients())[-1]
  expected = {
    "dense1": {
      "kernel": plain(0.01)["dense1"]["kernel"],
      "bias": adam["dense1"]["bias"],
    },
    "norm": stepped["norm"],
    "dense2": plain(0.05)["dense2"],
  }
  chex.assert_trees_all_close(found, expected, rtol=1e-5)


def test_a_group_decays_by_its_own_rules():
  groups = (("norm/.*", {"weight_decay": 0.2, "decay": ((".*", True),)}),)
  found = descend(build(momentum=0.0, weight_decay=0.1, groups=groups), gradients(1))[0]
  (grad,), w = gradients(1), params()
  np.testing.assert_allclose(
    found["norm"]["scale"],
    w["norm"]["scale"] - 0.05 * (grad["norm"]["scale"] + 0.2 * w["norm"]["scale"]),
    rtol=1e-6,
  )
  np.testing.assert_allclose(
    found["dense1"]["bias"],
    w["dense1"]["bias"] - 0.05 * grad["dense1"]["bias"],
    rtol=1e-6,
  )


@pytest.mark.parametrize("fields", [{}, {"name": "adamw", "clip_norm": 1.0}])
def test_frozen_parameters_keep_their_bits(fields):
  # A group cannot thaw them, nor decay or a norm change them.
  optimizer = build(
    freeze=("dense1/.*",),
    groups=(("dense1/kernel", {"momentum": 0.0}), ("dense2/.*", {"momentum": 0.1})),
    weight_decay=0.1,
    max_norm=0.5,
    **fields,
  )
  found = descend(optimizer, gradients())[-1]
  assert bits(found["dense1"]) == bits(params()["dense1"])
  changed = jax.tree.map(lambda a, b: (a != b).all(), found, params())
  assert changed["norm"]["scale"] and changed["dense2"]["kernel"]


def test_clip_norm_is_global_and_leaves_short_gradients_alone():
  (grad,) = gradients(1)
  norm = np.sqrt(sum((np.float64(g) ** 2).sum() for g in jax.tree.leaves(grad)))
  for limit, scale in ((1.0, 1.0 / norm), (100.0, 1.0)):
    optimizer = build(
      momentum=0.0, clip_norm=limit, groups=(("norm/.*", {"learning_rate": 0.1}),)
    )
    (found,) = descend(optimizer, [grad])
    rates = {"dense1": 0.05, "norm": 0.1, "dense2": 0.05}
    for name, rate in rates.items():
      expected = jax.tree.map(
        lambda w, g, r=rate, s=scale: w - r * s * g, params()[name], grad[name]
      )
      chex.assert_trees_all_close(found[name], expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("k", [2, 3])
def test_accumulation_equals_steps_on_mean_gradients(k):
  # Schedule and rising momentum count optimizer steps, clipping sees the mean.
  fields = {
    "clip_norm": 3.0,
    "schedule": {"name": "linear"},
    "momentum_start": 0.1,
    "momentum_epochs": 1.0,
  }
  grads = gradients(12)
  many = descend(build(steps=12, steps_per_epoch=6, accumulate=k, **fields), grads)
  mean = lambda *g: np.mean(g, axis=0)
  means = [jax.tree.map(mean, *grads[i : i + k]) for i in range(0, 12, k)]
  few = descend(build(steps=12 // k, steps_per_epoch=6 // k, **fields), means)
  chex.assert_trees_all_close(many[k - 1 :: k], few, rtol=1e-5, atol=1e-6)
  # Between two optimizer steps nothing moves.
  chex.assert_trees_all_equal(many[0], params())
  chex.assert_trees_all_equal(many[k], many[k - 1])


def norms(kernel):
  return np.sum(np.float64(kernel) ** 2, axis=tuple(range(kernel.ndim - 1)))


@pytest.mark.parametrize("variant", [lambda f: f, jax.jit], ids=["eager", "jit"])
def test_max_norm_changes_updates_of_long_columns_and_of_no_others(variant):
  w, (u,) = jax.tree.map(jnp.asarray, (params(), gradients(1)))
  limit = float(np.median(norms(w["dense1"]["kernel"] + u["dense1"]["kernel"])))
  project = optimizers.keep_max_norm(limit)
  found, _ = variant(project.update)(u, project.init(w), w)
  moved, given = (
    optax.apply_updates(w, found)["dense1"]["kernel"],
    u["dense1"]["kernel"],
  )
  long = norms(w["dense1"]["kernel"] + given) > limit
  assert long.sum() == 2
  np.testing.assert_allclose(norms(moved)[long], limit, rtol=1e-5)
  # Bit for bit, although w + u - w is not u.
  np.testing.assert_array_equal(found["dense1"]["kernel"][:, ~long], given[:, ~long])
  chex.assert_trees_all_equal(found["dense1"]["bias"], u["dense1"]["bias"])
  chex.assert_trees_all_equal(found["norm"], u["norm"])


def test_max_norm_holds_all_through_training():
  for now in descend(build(max_norm=0.6, learning_rate=3.0), gradients()):
    for name in ("dense1", "dense2"):
      assert (norms(now[name]["kernel"]) <= 0.6 * (1 + 1e-5)).all()


def test_max_norm_of_a_group_and_of_convolutions():
  groups = (("dense1/.*", {"max_norm": 0.3}),)
  found = descend(build(groups=groups), gradients(3))[-1]
  assert (norms(found["dense1"]["kernel"]) <= 0.3 * (1 + 1e-5)).all()
  assert (norms(found["dense2"]["kernel"]) > 0.3).any()
  conv = {"conv": {"kernel": jnp.ones((3, 3, 2, 5))}}
  project = optimizers.keep_max_norm(2.0)
  zeros = jax.tree.map(jnp.zeros_like, conv)
  updates, _ = project.update(zeros, project.init(conv), conv)
  kernel = optax.apply_updates(conv, updates)["conv"]["kernel"]
  np.testing.assert_allclose(norms(kernel), 2.0, rtol=1e-5)
