"""A stage small enough for unit tests: a two-layer network without Flax."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxvision.train import evaluation, state
from jaxvision.train.stage import Stage

BATCH, WIDTH = 8, 4
SGD = optax.sgd(0.1, momentum=0.9)


class Rows:
  """Batch i of a seed: inputs and targets."""

  def __init__(self, seed: int):
    self._seed = seed

  def __getitem__(self, i: int):
    x = np.random.default_rng((self._seed, i)).normal(size=(BATCH, WIDTH))
    return {"x": x.astype(np.float32), "y": np.sin(x[:, :1]).astype(np.float32)}


def forward(params, x):
  return jnp.tanh(x @ params["hidden"]["kernel"]) @ params["out"]["kernel"]


def initial(key):
  first, second = jax.random.split(key)
  return {
    "hidden": {"kernel": jax.random.normal(first, (WIDTH, 6))},
    "out": {"kernel": jax.random.normal(second, (6, 1))},
  }


def regression(
  name: str = "toy",
  *,
  steps: int = 6,
  optimizer: optax.GradientTransformation = SGD,
  teacher: str = "",
  watch: Callable = lambda params, logs: logs,
) -> Stage:
  """Regresses a sine, or what an earlier stage learned of it.

  Args:
    name: of the stage.
    steps: of the stage.
    optimizer: of all parameters.
    teacher: an earlier stage whose outputs are the targets.
    watch: (parameters, logs) -> logs.
  """

  def frozen(inherited):
    return {"teacher": inherited[teacher]["params"]} if teacher else {}

  def init(key, frozen, batch):
    del frozen, batch
    return state.create({"params": initial(key)}, optimizer)

  def step(now, frozen, batch, key):
    del key
    target = forward(frozen["teacher"], batch["x"]) if teacher else batch["y"]

    def loss_fn(params):
      return jnp.mean((forward(params, batch["x"]) - target) ** 2), ({}, {})

    now, logs = state.update(now, loss_fn, optimizer)
    return state.advance(now), watch(now["params"], logs)

  @jax.jit
  def statistic(now, batch):
    error = jnp.sum((forward(now["params"], batch["x"]) - batch["y"]) ** 2)
    return {"loss": (error, batch["y"].size)}

  def evaluate(now, frozen, split):
    del frozen
    seed = {"val": 100, "test": 200}[split]
    return evaluation.sum_over(statistic, now, [Rows(seed)[0], Rows(seed)[1]])

  spec = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), Rows(0)[0])
  return Stage(name, steps, spec, Rows, frozen, init, step, evaluate)
