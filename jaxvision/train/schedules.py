"""Learning-rate schedules from a config."""

from collections.abc import Callable

import optax
from ml_collections import ConfigDict

from jaxvision.errors import UserError


def build(
  config: ConfigDict, rate: float, *, steps: int, steps_per_epoch: int
) -> optax.Schedule:
  """Makes the schedule: optimizer step -> learning rate.

  Args:
    config: `jaxvision.config.SCHEDULE`.
    rate: the rate after warm-up.
    steps: optimizer steps of the whole run, warm-up included.
    steps_per_epoch: optimizer steps per epoch.

  Raises:
    UserError: unknown name or unit, or a warm-up as long as the run.
  """
  units = {"epochs": steps_per_epoch, "steps": 1, "run": steps}
  if config.unit not in units:
    raise UserError(
      f"config.optimizer.schedule.unit is {config.unit!r}; choose epochs, steps, run."
    )
  if config.name not in SCHEDULES:
    raise UserError(
      f"config.optimizer.schedule.name is {config.name!r}; "
      f"choose one of {', '.join(SCHEDULES)}."
    )
  unit = units[config.unit]
  warmup = round(config.warmup * unit)
  if warmup >= steps:
    raise UserError(
      f"config.optimizer.schedule.warmup takes {warmup} of {steps} steps; "
      "shorten it or train longer."
    )
  main = SCHEDULES[config.name](config, rate, steps - warmup, unit, warmup)
  if not warmup:
    return main
  return optax.join_schedules(
    [optax.linear_schedule(0.0, rate, warmup), main], [warmup]
  )


def _constant(config, rate, steps, unit, warmup):
  del config, steps, unit, warmup
  return optax.constant_schedule(rate)


def _step(config, rate, steps, unit, warmup):
  """Counts from the run's first step, as its epochs do, and not from warm-up's end."""
  del steps
  every = max(1, round(config.every * unit))
  return lambda count: rate * config.factor ** ((count + warmup) // every)


def _multistep(config, rate, steps, unit, warmup):
  """Boundaries count from the run's first step; one inside the warm-up is past."""
  del steps
  bounds = [round(b * unit) - warmup for b in config.boundaries]
  start = rate * config.factor ** sum(b <= 0 for b in bounds)
  return optax.piecewise_constant_schedule(
    start, {b: config.factor for b in bounds if b > 0}
  )


def _cosine(config, rate, steps, unit, warmup):
  del unit, warmup
  return optax.cosine_decay_schedule(rate, steps, config.final)


def _linear(config, rate, steps, unit, warmup):
  del unit, warmup
  return optax.linear_schedule(rate, rate * config.final, steps)


SCHEDULES: dict[str, Callable[..., optax.Schedule]] = {
  "constant": _constant,
  "step": _step,
  "multistep": _multistep,
  "cosine": _cosine,
  "linear": _linear,
}
