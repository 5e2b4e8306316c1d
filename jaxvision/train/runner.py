"""All stages of one seed: trained to results, or restored from their checkpoints."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import jax
from ml_collections import ConfigDict

from jaxvision import files, interruption
from jaxvision.errors import UserError
from jaxvision.train import loop, reports, sharding
from jaxvision.train.checkpoints import Checkpoints
from jaxvision.train.program import Program, stack
from jaxvision.train.stage import Method, State
from jaxvision.typing import PyTree
from jaxvision.viz import curves


def nothing_more(state: State, folder: Path) -> dict[str, float]:
  """Finds nothing: the default of a plan that does not attack."""
  del state, folder
  return {}


class Plan(NamedTuple):
  """A method compiled for a config; serves all seeds.

  Attributes:
    config: of the run.
    method: built of it.
    programs: its stages, compiled.
    marks: fingerprint of the config, but for the seed.
    facts: fields of `results.json` that are known beforehand; "note" is one line to
      show first, such as that another data set stands in.
    versions: of the packages.
    attack: (trained state, folder of its run) -> further metrics, of attacks.
  """

  config: ConfigDict
  method: Method
  programs: tuple[Program, ...]
  marks: dict[str, str]
  facts: dict[str, Any]
  versions: dict[str, str]
  attack: Callable[[State, Path], dict[str, float]] = nothing_more


class Restored(NamedTuple):
  """The stages' states by name, each with its frozen inputs."""

  states: dict[str, State]
  frozen: dict[str, PyTree]


def train_seed(plan: Plan, seed: int, folder: Path) -> dict[str, Any]:
  """Trains what is not trained yet, evaluates, draws, writes `results.json`.

  Raises:
    UserError: see `loop.run_stage`.
    Interrupted: SIGTERM; the state has been saved.
  """
  begin = time.perf_counter()
  report = reports.Reports(folder, tensorboard=plan.config.log.tensorboard)
  states: dict[str, State] = {}
  metrics: dict[str, float] = {}
  seconds: dict[str, float] = {}
  with ExitStack() as stack:
    stack.callback(report.close)
    if plan.facts["note"]:
      report.say(plan.facts["note"])
    write_json(folder / "config.json", plan.config.to_dict())
    for program in plan.programs:
      store = stack.enter_context(open_store(plan, program, seed, folder, report.say))
      name = program.stage.name
      outcome = _run(plan, program, seed, states, store, report)
      best = store.restore_best(outcome.state)
      states[name] = best if plan.config.inherit == "best" else outcome.state
      prefix = "" if program is plan.programs[-1] else f"{name}/"
      found = _final_metrics(program, outcome, best, prefix)
      metrics.update(found)
      seconds.update({f"{name}/{k}": v for k, v in outcome.seconds.items()})
  metrics.update(_attack_metrics(plan, outcome.state, best, folder))
  seconds["total"] = time.perf_counter() - begin
  if plan.config.log.figures and jax.process_index() == 0:
    curves.draw_training(folder / "metrics.jsonl", folder / "figures")
    plan.method.figures(states[name], folder / "figures")
  result = results(plan, seed, states, metrics, seconds)
  write_json(folder / "results.json", result)
  return result


def open_store(
  plan: Plan, program: Program, seed: int, folder: Path, warn: Callable[[str], None]
) -> Checkpoints:
  """Opens the checkpoints of one stage of one seed."""
  return Checkpoints(
    folder / "checkpoints" / program.stage.name,
    fingerprint={**plan.marks, "config.seed": str(seed)},
    keep=plan.config.checkpoint.keep,
    warn=warn,
  )


def _run(plan, program, seed, states, store, report) -> loop.Outcome:
  config = plan.config
  return loop.run_stage(
    program,
    seed=seed,
    inherited=states,
    store=store,
    reports=report,
    intervals=loop.Intervals(
      config.log.every, config.eval.every, config.checkpoint.every
    ),
    profile_steps=config.log.profile_steps,
  )


def _final_metrics(program, outcome, best: State, prefix: str) -> dict[str, float]:
  """Of the last state on test and validation data, of the best one on test data."""
  evaluate = program.stage.evaluate
  last = evaluate(outcome.state, outcome.frozen, "test")
  top = last if best is outcome.state else evaluate(best, outcome.frozen, "test")
  return {
    **{f"{prefix}{k}": v for k, v in last.items()},
    **{f"{prefix}best/{k}": v for k, v in top.items()},
    **{f"{prefix}val/{k}": v for k, v in outcome.metrics.items()},
  }


def _attack_metrics(
  plan: Plan, last: State, best: State, folder: Path
) -> dict[str, float]:
  """Attacks the state that `config.eval.checkpoint` says; attacks are dear."""
  if plan.config.eval.checkpoint != "best":
    return plan.attack(last, folder)
  return {f"best/{k}": v for k, v in plan.attack(best, folder).items()}


def results(
  plan: Plan,
  seed: int,
  states: dict[str, State],
  metrics: dict[str, float],
  seconds: dict[str, float],
) -> dict[str, Any]:
  """Puts together what `results.json` holds."""
  last = list(states.values())[-1]
  return {
    **plan.facts,
    "seed": seed,
    "steps": {name: int(state["step"]) for name, state in states.items()},
    "parameters": sum(x.size for x in jax.tree.leaves(last["params"])),
    "metrics": metrics,
    "seconds": seconds,
    "versions": plan.versions,
  }


def restore(
  plan: Plan, seed: int, folder: Path, *, which: str, warn: Callable[[str], None]
) -> Restored:
  """Reads the states of all stages, the last or the best of each.

  Raises:
    UserError: a stage has no checkpoint, a foreign one, or `which` is neither.
  """
  if which not in ("last", "best"):
    raise UserError(f"config.eval.checkpoint is {which!r}; choose last or best.")
  found = Restored({}, {})
  for program in plan.programs:
    stage = program.stage
    where = folder / "checkpoints" / stage.name
    if not where.is_dir():
      raise UserError(f"there is no checkpoint in {where}; train first.")
    frozen = sharding.place_replicated(stage.frozen(found.states), program.mesh)
    example = sharding.place_batch(stage.batches(seed)[0], program.mesh)
    with open_store(plan, program, seed, folder, warn) as store:
      last = store.restore_latest(program.abstract_state(frozen, example))
      if last is None:
        raise UserError(f"there is no checkpoint in {where}; train first.")
      best = which == "best" or (
        plan.config.inherit == "best" and program is not plan.programs[-1]
      )
      state = store.restore_best(last.state) if best else last.state
    found.states[stage.name], found.frozen[stage.name] = state, frozen
  return found


def predict(
  method: Method, variables: PyTree, paths: Sequence[str], *, batch_size: int
) -> tuple[dict[str, PyTree], dict[str, PyTree]]:
  """Reads inputs and returns {name: input} and {name: output}, on the host.

  Args:
    method: its `read` and `predict` are used.
    variables: of `predict`.
    paths: what `read` takes.
    batch_size: of every call, the last one padded: one compilation.
  """
  inputs = dict(method.read(paths))
  if not inputs:
    raise UserError(f"there is nothing to predict in {', '.join(paths)}.")
  fn, names, outputs = jax.jit(method.predict), list(inputs), {}
  for start in range(0, len(names), batch_size):
    interruption.check()
    some = names[start : start + batch_size]
    batch = stack([inputs[name] for name in some], batch_size)
    rows = jax.device_get(fn(variables, batch))
    for i, name in enumerate(some):
      outputs[name] = jax.tree.map(lambda x, i=i: x[i], rows)
  return inputs, outputs


def write_json(path: Path, value: Any) -> None:
  """Writes JSON, in the first process only."""
  if jax.process_index() == 0:
    files.write_json(path, value)
