"""Small runs of domain-class correlation decomposition, on generated vectors."""

import jax
import jax.numpy as jnp

from configs import domain_class_decomposition as configs
from jaxvision.methods import domain_class_decomposition as method

SMALL = {
  "data.drawn.identities": 4,
  "data.drawn.images": 4,
  "data.drawn.target_identities": 12,
  "data.drawn.targets": 2,
  "batch.identities": 2,
  "batch.images": 2,
  "per_dispatch": 1,
  "epochs": 2.0,
  "eval.every": 4,
  "eval.batch_size": 20,
  "log.figures": False,
}


def small(variant="vectors", **changes):
  config = configs.get_config(variant)
  config.update_from_flattened_dict({**SMALL, **changes})
  vectors = config.data.name == "generated"
  tiny = {"hidden": (8,), "width": 6} if vectors else {"widths": (4,), "dense_width": 6}
  with config.unlocked():
    config.model.update(tiny)
  return config


def prepare(config):
  """Networks, the stage and its state before the first step."""
  data = method.load(config)
  (stage,) = method.build(config, data).stages
  frozen, batch = stage.frozen({}), stage.batches(0)[0]
  before = jax.jit(stage.init)(jax.random.key(0), frozen, batch)
  return method.build_net(config, data), stage, before


def step(config):
  """Networks, state before and after a step, its batch and logs."""
  net, stage, before = prepare(config)
  frozen, batch = stage.frozen({}), stage.batches(0)[0]
  after, logs = jax.jit(stage.step)(before, frozen, batch, jax.random.key(1))
  chosen = jax.tree.map(lambda x: jnp.asarray(x[batch]), frozen["data"])
  return net, before, after, chosen, logs
