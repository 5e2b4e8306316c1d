"""The training state: subsets of parameters, running averages, variables."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxvision.train import state

X = jnp.asarray(np.random.default_rng(0).normal(size=(8, 3)), jnp.float32)
OPTIMIZERS = {"encoder": optax.adam(0.1), "decoder": optax.sgd(0.2, momentum=0.5)}


def variables():
  rng = np.random.default_rng(1)
  draw = lambda *shape: jnp.asarray(rng.normal(size=shape), jnp.float32)
  return {
    "params": {
      "encoder": {"w": draw(3, 2)},
      "decoder": {"w": draw(2, 3)},
      "other": {"b": draw(3)},
    },
    "batch_stats": {"mean": jnp.zeros(3)},
    "counts": {"calls": jnp.int32(0)},
  }


def loss_fn(params):
  out = X @ params["encoder"]["w"] @ params["decoder"]["w"] + params["other"]["b"]
  changed = {"batch_stats": {"mean": out.mean(0)}}
  return jnp.mean((out - X) ** 2), (changed, {"largest": out.max()})


def test_create_holds_collections_optimizer_and_step():
  optimizer = optax.adam(0.1)
  found = state.create(variables(), optimizer)
  assert set(found) == {"params", "batch_stats", "counts", "opt", "step"}
  chex.assert_trees_all_equal(found["opt"], optimizer.init(variables()["params"]))
  assert found["step"] == 0 and found["step"].dtype == jnp.int32


@pytest.mark.parametrize("variant", [lambda f: f, jax.jit], ids=["eager", "jit"])
def test_update_is_a_step_of_the_optimizer(variant):
  optimizer = OPTIMIZERS["encoder"]
  now = state.create(variables(), optimizer)
  found, logs = variant(lambda s: state.update(s, loss_fn, optimizer))(now)

  (loss, (changed, _)), grads = jax.value_and_grad(loss_fn, has_aux=True)(now["params"])
  updates, opt = optimizer.update(grads, now["opt"], now["params"])
  expected = optax.apply_updates(now["params"], updates)
  chex.assert_trees_all_close(found["params"], expected, rtol=1e-5)
  chex.assert_trees_all_close(found["opt"], opt, rtol=1e-5)
  chex.assert_trees_all_close(found["batch_stats"], changed["batch_stats"], rtol=1e-5)
  assert found["counts"] == now["counts"] and found["step"] == 0
  norm = np.sqrt(sum(np.sum(np.square(g)) for g in jax.tree.leaves(grads)))
  np.testing.assert_allclose(logs["loss"], loss, rtol=1e-6)
  np.testing.assert_allclose(logs["grad_norm"], norm, rtol=1e-5)
  assert set(logs) == {"loss", "grad_norm", "largest"}


def test_two_optimizers_own_a_subset_each():
  now = variables()
  for name, optimizer in OPTIMIZERS.items():
    now = state.create(now, optimizer, subset=[name], slot=f"opt_{name}")
  assert set(now) == {
    "params", "batch_stats", "counts", "opt_encoder", "opt_decoder", "step"
  }  # fmt: skip
  for name, optimizer in OPTIMIZERS.items():
    other = "decoder" if name == "encoder" else "encoder"
    step = lambda s, n=name, o=optimizer: state.update(
      s, loss_fn, o, subset=[n], slot=f"opt_{n}"
    )
    after, logs = jax.jit(step)(now)
    grad = jax.grad(lambda p: loss_fn(p)[0])(now["params"])[name]
    updates, slot = optimizer.update({name: grad}, now[f"opt_{name}"])
    expected = optax.apply_updates(now["params"][name], updates[name])
    chex.assert_trees_all_close(after["params"][name], expected, rtol=1e-5)
    chex.assert_trees_all_close(after[f"opt_{name}"], slot, rtol=1e-5)
    # Nothing else moves, not by a bit.
    for kept in (other, "other"):
      chex.assert_trees_all_equal(after["params"][kept], now["params"][kept])
    chex.assert_trees_all_equal(after[f"opt_{other}"], now[f"opt_{other}"])
    np.testing.assert_allclose(logs["grad_norm"], optax.tree.norm(grad), rtol=1e-5)
    now = after


def test_advance_counts_and_does_not_average_unasked():
  now = state.create(variables(), optax.sgd(0.1))
  after = state.advance(now, decay=0.9)
  assert after["step"] == 1 and "ema" not in after
  chex.assert_trees_all_equal(after["params"], now["params"])


@pytest.mark.parametrize(
  "n, decay, expected",
  [(1, 0.99, 9 / 11), (8, 0.99, 0.5), (1000, 0.99, 0.01), (5, 0.1, 0.9), (3, 0.0, 1.0)],
)
def test_the_averages_warm_up(n, decay, expected):
  found = state.ema_rate(jnp.int32(n), decay=decay)
  np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("every", [1, 3])
def test_averages_equal_a_loop(every):
  decay, rng = 0.6, np.random.default_rng(2)
  now = state.with_ema(state.create(variables(), optax.sgd(0.1)))
  advance = jax.jit(lambda s: state.advance(s, decay=decay, every=every))
  averages = {k: jax.tree.map(np.float64, now[k]) for k in ("params", "batch_stats")}
  chex.assert_trees_all_close(now["ema"], averages, rtol=1e-6)
  for step in range(1, 13):
    fresh = {
      k: jax.tree.map(lambda x: x + rng.normal(size=x.shape).astype(np.float32), now[k])
      for k in averages
    }
    now = advance({**now, **fresh})
    if step % every == 0:
      n = step // every
      d = min(decay, (1 + n) / (10 + n))
      averages = jax.tree.map(lambda a, x, d=d: d * a + (1 - d) * x, averages, fresh)
    chex.assert_trees_all_close(now["ema"], averages, rtol=1e-5, atol=1e-6)
    chex.assert_trees_all_equal({k: now[k] for k in fresh}, fresh)
  assert now["step"] == 12


def test_averages_start_as_copies_that_may_be_donated():
  now = state.create(variables(), optax.sgd(0.1))
  found = state.with_ema(now)
  pointer = lambda x: x.unsafe_buffer_pointer()
  for name in ("params", "batch_stats"):
    chex.assert_trees_all_equal(found["ema"][name], now[name])
    pairs = zip(
      jax.tree.leaves(found["ema"][name]), jax.tree.leaves(now[name]), strict=True
    )
    assert all(pointer(a) != pointer(b) for a, b in pairs)
  bare = state.with_ema(state.create({"params": {}}, optax.sgd(0.1)))
  assert set(bare["ema"]) == {"params"}


def test_variables_are_the_averages_if_there_are_any():
  now = state.with_ema(state.create(variables(), optax.sgd(0.1)))
  now = {**now, "params": jax.tree.map(lambda x: x + 1, now["params"])}
  raw = {name: now[name] for name in ("params", "batch_stats")}
  chex.assert_trees_all_equal(state.variables(now), now["ema"])
  chex.assert_trees_all_equal(state.variables(now, average=False), raw)
  without = {k: v for k, v in now.items() if k != "ema"}
  chex.assert_trees_all_equal(state.variables(without), raw)
  assert set(state.variables({"params": {}, "step": 0})) == {"params"}


def test_updates_at_the_same_parameters_do_not_see_each_other():
  optimizer = optax.sgd(0.2)
  before = state.create(variables(), optimizer)

  def step(now, name, at=None):
    return state.update(now, loss_fn, optimizer, subset=(name,), at=at)[0]

  @jax.jit
  def both(now):
    return step(step(now, "encoder"), "decoder", at=now["params"])

  found = both(before)["params"]
  for name in ("encoder", "decoder"):
    alone = jax.jit(step, static_argnums=1)(before, name)["params"]
    chex.assert_trees_all_close(found[name], alone[name], rtol=1e-6)
