"""Statistics summed over a split; interruption between two batches."""

import os
import signal
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from jaxvision import interruption
from jaxvision.train import evaluation, preemption, sharding


@pytest.fixture(autouse=True)
def no_signal():
  before = signal.getsignal(signal.SIGTERM)
  interruption.clear()
  yield
  interruption.clear()
  signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="module")
def state():
  mesh = sharding.build_mesh(ConfigDict({"data": -1, "fsdp": 2}))
  return sharding.place_replicated({"scale": np.float32(3.0)}, mesh)


@jax.jit
def statistic(state, batch):
  x, mask = state["scale"] * batch["x"], batch["mask"]
  return {
    "mean": (jnp.sum(x * mask), jnp.sum(mask)),
    "hits": (jnp.sum((x > 0) & mask), jnp.sum(mask)),
    "never": (jnp.float32(0.0), jnp.int32(0)),
  }


def ragged(x, size):
  """Batches of one shape; what pads the last one would spoil every sum."""
  for start in range(0, len(x), size):
    part = x[start : start + size]
    pad = size - len(part)
    yield {
      "x": np.pad(part, (0, pad), constant_values=1e6),
      "mask": np.arange(size) < len(part),
    }


@pytest.mark.parametrize("size", [4, 8, 16])
def test_means_do_not_depend_on_the_size_of_batches(state, size):
  x = np.random.default_rng(0).normal(size=13).astype(np.float32)
  found = evaluation.sum_over(statistic, state, ragged(x, size))
  assert found["mean"] == pytest.approx(3 * x.mean(), rel=1e-5)
  assert found["hits"] == pytest.approx((x > 0).mean())
  assert found["never"] == 0.0
  assert all(type(value) is float for value in found.values())


def test_no_batches_give_no_metrics(state):
  assert evaluation.sum_over(statistic, state, []) == {}


def test_sigterm_ends_it_between_two_batches(state):
  interruption.install()
  seen = []

  def batches():
    for i, batch in enumerate(ragged(np.ones(16, np.float32), 4)):
      seen.append(i)
      if i == 2:
        os.kill(os.getpid(), signal.SIGTERM)
      yield batch

  with pytest.raises(interruption.Interrupted):
    evaluation.sum_over(statistic, state, batches())
  assert seen == [0, 1, 2]


def test_sigterm_is_a_flag_until_it_is_cleared():
  interruption.install()
  interruption.check()
  preemption.check(0)
  assert not interruption.requested()
  os.kill(os.getpid(), signal.SIGTERM)
  assert interruption.requested()
  for check in (interruption.check, lambda: preemption.check(5)):
    with pytest.raises(interruption.Interrupted):
      check()
  interruption.clear()
  preemption.check(6)


def test_outside_the_main_thread_nothing_is_installed():
  before = signal.getsignal(signal.SIGTERM)
  thread = threading.Thread(target=interruption.install)
  thread.start()
  thread.join()
  assert signal.getsignal(signal.SIGTERM) is before
