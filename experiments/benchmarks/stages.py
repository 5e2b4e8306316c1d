"""The step of a config as the loop runs it, for benchmarks."""

import jax
import numpy as np
from ml_collections import ConfigDict

from jaxvision import experiment
from jaxvision.train import feeding, loop, sharding
from jaxvision.train.stage import State


class Ours:
  """A stage of a config: batches taken, placed, gathered, trained, watched for NaN.

  Attributes:
    method: what the config builds.
    frozen: what the step only reads.
    state: the present one.
    feeder: knows how long the step waited for its batches.
  """

  def __init__(self, config: ConfigDict, stage: str = ""):
    """Builds and initialises.

    Args:
      config: of the experiment.
      stage: its name; "" is the first. It inherits earlier ones as they begin.
    """
    plan = experiment.prepare(experiment.method_module(config.method), config)
    self.method, begun = plan.method, {}
    for self.program in plan.programs:
      self._begin(begun)
      begun[self.program.stage.name] = self.state
      if self.program.stage.name == (stage or self.program.stage.name):
        break
    self.feeder = feeding.Feeder(self.program.stage.batches(0), 0, 10**9)

  def _begin(self, inherited: dict[str, State]) -> None:
    stage, mesh = self.program.stage, self.program.mesh
    self.frozen = sharding.place_replicated(stage.frozen(inherited), mesh)
    self.key = loop.stage_key(0, stage.name)
    example = sharding.place_batch(stage.batches(0)[0], mesh)
    self.state = self.program.init(self.key, self.frozen, example)

  def train(self, steps: int) -> jax.Array:
    """Takes some steps."""
    size = self.program.per_dispatch
    for _ in range(steps // size):
      batches = self.feeder.take(size, size, self.program.mesh)
      self.state, _, health = self.program.dispatch(
        self.state, self.frozen, batches, self.key, np.int32(size)
      )
    return health
