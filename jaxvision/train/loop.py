"""The one training loop: from a stage and a seed to a state. Knows of no paper."""

import time
import zlib
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

import jax
import numpy as np

from jaxvision import interruption
from jaxvision.errors import UserError
from jaxvision.train import checkpoints as ckpt
from jaxvision.train import preemption, sharding
from jaxvision.train.feeding import Feeder
from jaxvision.train.profiling import Profiler
from jaxvision.train.program import Program, diagnosis
from jaxvision.train.reports import Reports
from jaxvision.train.stage import Metrics, State
from jaxvision.typing import PRNGKey, PyTree

IN_FLIGHT = 2  # dispatches that the host may run ahead of the devices


class Intervals(NamedTuple):
  """Steps between two reports, evaluations and checkpoints; 0 is only at the end."""

  log: int = 100
  evaluate: int = 1000
  save: int = 1000

  def next_stop(self, step: int, last: int) -> int:
    """Returns the next step at which the loop must look up from dispatching."""
    after = [step - step % n + n for n in self if n]
    return min([*after, last])


class Outcome(NamedTuple):
  """What a finished stage leaves."""

  state: State
  frozen: PyTree
  metrics: Metrics  # of this state on validation data
  seconds: dict[str, float]


def stage_key(seed: int, name: str) -> PRNGKey:
  """A key of this seed and stage; step s uses `fold_in(key, s)`."""
  return jax.random.fold_in(jax.random.key(seed), zlib.crc32(name.encode()))


def run_stage(
  program: Program,
  *,
  seed: int,
  inherited: Mapping[str, State],
  store: ckpt.Checkpoints,
  reports: Reports,
  intervals: Intervals,
  profile_steps: int = 0,
) -> Outcome:
  """Trains one stage from its newest checkpoint, or afresh, to its last step.

  Args:
    program: the compiled stage.
    seed: of the parameters, the order of the data and every mask.
    inherited: states of earlier stages by name.
    store: the stage's checkpoints.
    reports: where to say what happens.
    intervals: when to say, evaluate and save.
    profile_steps: steps to trace.

  Raises:
    UserError: a non-finite loss or state; checkpoints of another config.
    Interrupted: SIGTERM; the state has been saved.
  """
  stage = program.stage
  frozen = sharding.place_replicated(stage.frozen(inherited), program.mesh)
  key = stage_key(seed, stage.name)
  batches = stage.batches(seed)
  begun = _begin(program, key, frozen, batches, store, reports)
  run = _Run(program, frozen, key, store, reports, intervals, begun)
  feeder = Feeder(batches, begun.step, stage.steps)
  reports.start(stage.name, begun.step, stage.steps)
  try:
    with Profiler(reports.folder / "profile", profile_steps) as profiler:
      run.to_end(feeder, profiler)
  except interruption.Interrupted:
    run.save()
    reports.say(f"SIGTERM: saved stage {stage.name} at step {run.step}")
    raise
  finally:
    reports.stop()
  seconds = {"train": run.seconds(), "input": feeder.seconds, "first_step": run.first}
  return Outcome(run.state, frozen, run.metrics, seconds)


def _begin(program, key, frozen, batches, store, reports) -> ckpt.Restored:
  """Restores the newest checkpoint, or initialises."""
  name = program.stage.name
  example = sharding.place_batch(batches[0], program.mesh)
  restored = store.restore_latest(program.abstract_state(frozen, example))
  if restored is not None:
    reports.rewind(name, restored.step)
    reports.say(f"{name}: resumed from step {restored.step}")
    return restored
  reports.rewind(name, -1)
  reports.say(f"{name}: starting fresh")
  init_key = jax.random.fold_in(key, np.uint32(2**32 - 1))  # no step has this number
  return ckpt.Restored(0, program.init(init_key, frozen, example), None, 0.0)


class _Run:
  """The moving parts of one run of one stage."""

  def __init__(self, program, frozen, key, store, reports, intervals, begun):
    self.program, self.stage = program, program.stage
    self.frozen, self.key = frozen, key
    self.store, self.reports, self.intervals = store, reports, intervals
    self.state, self.step, self.metrics = begun.state, begun.step, begun.metrics
    self.begun = begun.step
    self.logs, self.in_flight = [], deque()
    self.before, self.start = begun.seconds, time.perf_counter()
    self.first = 0.0

  def seconds(self) -> float:
    return self.before + time.perf_counter() - self.start

  def to_end(self, feeder: Feeder, profiler: Profiler) -> None:
    """Alternates between dispatching and what the intervals ask for."""
    while True:
      if self._due(self.intervals.evaluate) and self.metrics is None:
        self._evaluate()
      if self._due(self.intervals.save):
        self.save()
      if self.step == self.stage.steps:
        return
      stop = self.intervals.next_stop(self.step, self.stage.steps)
      while self.step < stop:
        preemption.check(self.step)
        profiler.at(self.step)
        self._dispatch(feeder, min(self.program.per_dispatch, stop - self.step))
      if self._due(self.intervals.log):
        self._report()

  def _due(self, interval: int) -> bool:
    last = self.step == self.stage.steps
    return last or bool(interval and self.step and self.step % interval == 0)

  def _dispatch(self, feeder: Feeder, count: int) -> None:
    batches = feeder.take(count, self.program.per_dispatch, self.program.mesh)
    self.state, logs, health = self.program.dispatch(
      self.state, self.frozen, batches, self.key, np.int32(count)
    )
    self.step, self.metrics = self.step + count, None
    self.logs.append((count, logs, health))
    self.in_flight.append(health)
    # Bounds the queue: SIGTERM is then answered within a few steps, and fake CPU
    # devices, whose collectives abort when too many are queued, stay in step.
    if len(self.in_flight) > IN_FLIGHT:
      jax.block_until_ready(self.in_flight.popleft())
    if not self.first:
      jax.block_until_ready(health)
      self.first = time.perf_counter() - self.start
    elapsed = time.perf_counter() - self.start
    self.reports.advance(self.step, (self.step - self.begun) / elapsed)

  def _check(self) -> None:
    """Fetches the logs since the last report and stops at the first sick step."""
    self.logs = jax.device_get(self.logs)
    for _, logs, health in self.logs:
      trouble = diagnosis(health, self.stage.name, logs, self.state)
      if trouble:
        raise UserError(trouble)

  def _report(self) -> None:
    if not self.logs:
      return
    self._check()
    counts = [count for count, _, _ in self.logs]
    mean = {
      name: float(np.average([logs[name] for _, logs, _ in self.logs], weights=counts))
      for name in self.logs[0][1]
    }
    self.logs = []
    self.reports.line(self.stage.name, self.step, "train", mean)

  def _evaluate(self) -> None:
    self._check()
    self.metrics = self.stage.evaluate(self.state, self.frozen, "val")
    if self.metrics:  # without validation data there are none, and no best either
      self.reports.line(self.stage.name, self.step, "val", self.metrics)
      self.store.record(self.step, self.metrics, self.stage.score(self.metrics))
    self.save()

  def save(self) -> None:
    """Saves the state, unless a value in it is not finite."""
    self._check()
    self.store.save(self.step, self.state, seconds=self.seconds())
