"""Optimizers from a config: rules by parameter path for groups, decay and freezing."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from jaxvision.errors import UserError
from jaxvision.ops import projections, trees
from jaxvision.train import momentum, schedules
from jaxvision.typing import PyTree

# Fields that hold for all parameters together; a group cannot have its own.
OF_ALL = ("accumulate", "clip_norm", "freeze", "groups")


def build(
  config: ConfigDict, *, steps: int, steps_per_epoch: int
) -> optax.GradientTransformation:
  """Makes the optimizer that a config describes.

  With `accumulate` = k a step of the run is one micro-batch: gradients are averaged
  over k steps, then applied, and schedules count these k steps as one.

  Args:
    config: `jaxvision.config.OPTIMIZER`.
    steps: steps of the run.
    steps_per_epoch: steps of the run per epoch.

  Raises:
    UserError: an unknown name, or, when `init` sees the parameters, a pattern that
      matches none of them.
  """
  k = config.accumulate
  if k < 1 or steps < k:
    raise UserError(
      f"config.optimizer.accumulate is {k}; choose between 1 and the {steps} steps."
    )
  length = {
    "steps": steps // k,
    "steps_per_epoch": max(1, steps_per_epoch // k),
  }
  default = _single(config, **length)
  groups = {f"group{i}": _single(_merged(config, fields), **length)
            for i, (_, fields) in enumerate(config.groups)}  # fmt: skip
  optimizer = optax.multi_transform(
    {"default": default, "frozen": optax.set_to_zero(), **groups}, _labels(config)
  )
  if config.clip_norm:
    optimizer = optax.chain(optax.clip_by_global_norm(config.clip_norm), optimizer)
  return (
    optax.MultiSteps(optimizer, k).gradient_transformation() if k > 1 else optimizer
  )


def _merged(config: ConfigDict, fields: Mapping) -> ConfigDict:
  allowed = [name for name in config if name not in OF_ALL]
  wrong = sorted(set(fields) - set(allowed))
  if wrong:
    raise UserError(
      f"config.optimizer.groups sets {', '.join(wrong)}, which a group lacks; "
      f"it has {', '.join(allowed)}."
    )
  merged = ConfigDict(config.to_dict())
  merged.update(dict(fields))
  return merged


def _labels(config: ConfigDict) -> Callable[[PyTree], PyTree]:
  rules = [(pattern, "frozen") for pattern in config.freeze]
  rules += [(p, f"group{i}") for i, (p, _) in enumerate(config.groups)]

  def label(params: PyTree) -> PyTree:
    names = trees.paths(params)
    lost = trees.unmatched(rules, names)
    if lost:
      raise UserError(
        f"config.optimizer: {', '.join(map(repr, lost))} match no parameter; "
        f"parameters are {', '.join(names)}."
      )
    return trees.map_with_path(
      lambda path, _: trees.first_match(rules, path, "default"), params
    )

  return label


def _single(config: ConfigDict, *, steps: int, steps_per_epoch: int):
  """One group's transform: direction, weight decay, then the scheduled rate."""
  if config.name not in DIRECTIONS:
    raise UserError(
      f"config.optimizer.name is {config.name!r}; "
      f"choose one of {', '.join(DIRECTIONS)}."
    )
  rate = schedules.build(
    config.schedule,
    config.learning_rate,
    steps=steps,
    steps_per_epoch=steps_per_epoch,
  )
  direction = DIRECTIONS[config.name](config, steps_per_epoch)
  decay = optax.add_decayed_weights(config.weight_decay, mask=_decay_mask(config))
  parts = (direction, decay) if config.name == "adamw" else (decay, direction)
  if not config.weight_decay:
    parts = (direction,)
  last = (keep_max_norm(config.max_norm),) if config.max_norm else ()
  return optax.chain(*parts, optax.scale_by_learning_rate(rate), *last)


def _decay_mask(config: ConfigDict) -> Callable[[PyTree], PyTree]:
  return lambda params: trees.map_with_path(
    lambda path, _: bool(trees.first_match(config.decay, path, False)), params
  )


def _sgd(config: ConfigDict, steps_per_epoch: int) -> optax.GradientTransformation:
  start = config.momentum if config.momentum_start < 0 else config.momentum_start
  rise = max(1, round(config.momentum_epochs * steps_per_epoch))
  schedule = optax.linear_schedule(start, config.momentum, rise)
  return momentum.scheduled_trace(
    schedule, nesterov=config.nesterov, dampened=config.dampened
  )


def _adam(config: ConfigDict, steps_per_epoch: int) -> optax.GradientTransformation:
  del steps_per_epoch
  return optax.scale_by_adam(config.b1, config.b2, config.eps, nesterov=config.nesterov)


DIRECTIONS = {"sgd": _sgd, "adam": _adam, "adamw": _adam}


def keep_max_norm(squared_limit: float) -> optax.GradientTransformation:
  """Changes updates so that no unit's incoming kernel exceeds a squared norm.

  The last link of a chain. Applies to leaves named "kernel": the incoming weights of
  a unit are all axes but the last. Hinton et al. (2012), section 2.
  """

  def project(updates: PyTree, params: PyTree) -> PyTree:
    def one(path: str, u: jax.Array, w: jax.Array) -> jax.Array:
      if path.rpartition("/")[2] != "kernel":
        return u
      moved = w + u
      kept = projections.max_norm(moved, squared_limit, axis=tuple(range(w.ndim - 1)))
      # Within the limit the update itself: kept - w would round it.
      return jnp.where(kept == moved, u, kept - w)

    return trees.map_with_path(one, updates, params)

  return optax.stateless(project)
