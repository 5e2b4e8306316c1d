"""The pure step of a stage needs no change to run under `jax.pmap`."""

import chex
import jax
import jax.numpy as jnp
import optax
import toy_stage

DEVICES, STEPS = 4, 5


def over_devices(optimizer):
  """Averages gradients over the mapped axis before all else."""
  average = optax.stateless(lambda grads, params: jax.lax.pmean(grads, "data"))
  return optax.chain(average, optimizer)


def run(stage, step, arrange, now):
  for i in range(STEPS):
    batch = jax.tree.map(arrange, stage.batches(0)[i])
    now, logs = step(now, {}, batch, jax.random.key(0))
  return now, logs


def test_pmap_equals_jit_on_the_whole_batch():
  adam = optax.adam(0.05)
  single = toy_stage.regression(optimizer=adam)
  mapped = toy_stage.regression(optimizer=over_devices(adam))
  key, batch = jax.random.key(1), single.batches(0)[0]
  whole, logs = run(
    single, jax.jit(single.step), lambda x: x, single.init(key, {}, batch)
  )

  copies = jax.tree.map(lambda x: jnp.stack([x] * DEVICES), mapped.init(key, {}, batch))
  step = jax.pmap(mapped.step, axis_name="data", in_axes=(0, None, 0, None))
  split = lambda x: x.reshape(DEVICES, -1, *x.shape[1:])
  several, local = run(mapped, step, split, copies)

  for device in range(DEVICES):
    params = jax.tree.map(lambda x, d=device: x[d], several["params"])
    chex.assert_trees_all_close(params, whole["params"], rtol=1e-5, atol=1e-6)
  # All replicas agree to the last bit; their losses are of their own rows.
  same = jax.tree.map(lambda x: jnp.stack([x[0]] * DEVICES), several)
  chex.assert_trees_all_equal(several, same)
  chex.assert_trees_all_close(local["loss"].mean(), logs["loss"], rtol=1e-5)
  assert len(set(local["loss"].tolist())) == DEVICES
  assert several["step"].tolist() == [STEPS] * DEVICES
