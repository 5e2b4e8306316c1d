"""Toy stages for tests of the engine: it must not need a paper to be tested."""

from collections.abc import Callable, Mapping

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxvision.layers.convolution import Conv
from jaxvision.train import evaluation, state
from jaxvision.train.stage import Stage

N, SIDE, CLASSES = 64, 4, 3


class Net(nn.Module):
  """Convolution, batch statistics and dropout: all that a resume must carry."""

  @nn.compact
  def __call__(self, x, train=False):
    x = Conv(4, (3, 3), name="conv")(x)
    x = nn.relu(nn.BatchNorm(not train, name="norm")(x)).reshape(len(x), -1)
    x = nn.Dropout(0.3, deterministic=not train)(x)
    return nn.Dense(CLASSES, name="logits")(x)


def data():
  rng = np.random.default_rng(0)
  label = rng.integers(0, CLASSES, N).astype(np.int32)
  centres = rng.normal(size=(CLASSES, SIDE, SIDE, 1))
  image = centres[label] + 0.5 * rng.normal(size=(N, SIDE, SIDE, 1))
  return {"image": image.astype(np.float32), "label": label}


class Order:
  """Rows of batch i, pure in (seed, i); `poison` makes one batch non-finite."""

  def __init__(self, seed, size=16):
    self.seed, self.size = seed, size

  def __getitem__(self, i):
    rng = np.random.default_rng((self.seed, i))
    rows = rng.permutation(N)[: self.size].astype(np.int32)
    part = self.size // jax.process_count()
    return rows[jax.process_index() * part :][:part]


def classifier(
  *,
  name: str = "train",
  steps: int = 12,
  optimizer: optax.GradientTransformation | None = None,
  ema: float = 0.9,
  poison_at: int = -1,
  on_trace: Callable[[], None] = lambda: None,
  on_evaluate: Callable[[], None] = lambda: None,
  inherits: str = "",
) -> Stage:
  """A small classifier; it may inherit parameters of an earlier stage by name."""
  net, table = Net(), data()
  optimizer = optimizer or optax.sgd(0.1, momentum=0.9)

  def frozen(inherited: Mapping) -> dict:
    found = {"data": table}
    if inherits:
      found["teacher"] = inherited[inherits]["params"]
    return found

  def init(key, frozen, rows):
    fresh = state.create(net.init(key, frozen["data"]["image"][rows[:1]]), optimizer)
    if inherits:
      fresh["params"] = frozen["teacher"]
    return state.with_ema(fresh) if ema else fresh

  def step(now, frozen, rows, key):
    on_trace()
    image, label = frozen["data"]["image"][rows], frozen["data"]["label"][rows]
    image = jnp.where(now["step"] == poison_at, jnp.nan, image)

    def loss_fn(params):
      variables = {"params": params, "batch_stats": now["batch_stats"]}
      logits, changed = net.apply(
        variables, image, True, rngs={"dropout": key}, mutable=["batch_stats"]
      )
      loss = optax.softmax_cross_entropy_with_integer_labels(logits, label)
      hits = logits.argmax(-1) == label
      return loss.mean(), (dict(changed), {"accuracy": hits.mean()})

    now, logs = state.update(now, loss_fn, optimizer)
    return state.advance(now, decay=ema), logs

  @jax.jit
  def statistic(variables, batch):
    hits = net.apply(variables, batch["image"]).argmax(-1) == batch["label"]
    return {"accuracy": (jnp.sum(hits), hits.size)}

  def evaluate(now, frozen, split):
    del frozen, split
    on_evaluate()
    return evaluation.sum_over(statistic, state.variables(now), [table])

  return Stage(
    name=name,
    steps=steps,
    spec=jax.ShapeDtypeStruct((16,), jnp.int32),
    batches=Order,
    frozen=frozen,
    init=init,
    step=step,
    evaluate=evaluate,
    monitor="accuracy",
  )


def planned_parameters(module, config) -> int:
  """Parameters of a method's only stage at full scale, whose step is traced.

  As the mode "plan" does without data, but without compiling.
  """
  (stage,) = module.build(config, module.load(config, abstract=True)).stages
  frozen, key = stage.frozen({}), jax.random.key(0)
  now = jax.eval_shape(stage.init, key, frozen, stage.spec)
  after, _ = jax.eval_shape(stage.step, now, frozen, stage.spec, key)
  chex.assert_trees_all_equal_shapes_and_dtypes(after, now)
  assert module.expected_files(config)
  return sum(x.size for x in jax.tree.leaves(now["params"]))
