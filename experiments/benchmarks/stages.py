"""The step of a config as the loop runs it, for benchmarks."""

import jax
import numpy as np
from ml_collections import ConfigDict

from jaxvision import experiment
from jaxvision.train import feeding, loop, sharding


class Ours:
  """A config's first stage: batches taken, placed, gathered, trained, watched for NaN.

  Attributes:
    method: what the config builds.
    frozen: what the step only reads.
    state: the present one.
    feeder: knows how long the step waited for its batches.
  """

  def __init__(self, config: ConfigDict):
    """Builds and initialises."""
    plan = experiment.prepare(experiment.method_module(config.method), config)
    self.method, self.program = plan.method, plan.programs[0]
    stage, mesh = self.program.stage, self.program.mesh
    self.frozen = sharding.place_replicated(stage.frozen({}), mesh)
    self.key, batches = loop.stage_key(0, stage.name), stage.batches(0)
    example = sharding.place_batch(batches[0], mesh)
    self.state = self.program.init(self.key, self.frozen, example)
    self.feeder = feeding.Feeder(batches, 0, 10**9)

  def train(self, steps: int) -> jax.Array:
    """Takes some steps."""
    size = self.program.per_dispatch
    for _ in range(steps // size):
      batches = self.feeder.take(size, size, self.program.mesh)
      self.state, _, health = self.program.dispatch(
        self.state, self.frozen, batches, self.key, np.int32(size)
      )
    return health
