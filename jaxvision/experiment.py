"""One experiment, from a config to its results: what all callers call.

The command line, notebooks and `experiments/reproduce.py` differ only in how they come
by a config.
"""

import importlib
import os
import platform
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from ml_collections import ConfigDict

from jaxvision import compilation
from jaxvision import config as config_lib
from jaxvision.errors import UserError
from jaxvision.methods.common import exports, robust_report
from jaxvision.metrics import intervals
from jaxvision.train import ahead, program, reports, runner, sharding
from jaxvision.train.stage import State

PACKAGES = ("jax", "flax", "optax", "orbax-checkpoint", "numpy")


def run(
  config: ConfigDict,
  workdir: str | os.PathLike | None,
  mode: str = "train",
  *,
  inputs: Sequence[str] = (),
  source: str = "",
) -> dict[str, Any]:
  """Trains, evaluates, predicts, plans or exports.

  Args:
    config: from a file in `configs/`.
    workdir: folder of the run; `plan` needs none.
    mode: "train", "eval", "predict", "plan" or "export".
    inputs: "predict": files or folders.
    source: the config's file and variant, for the record.

  Returns:
    What `results.json` holds; of "plan" the plan, of "predict" and "export" the
    folder that was written.

  Raises:
    UserError: a mistake that the user can mend.
    Interrupted: SIGTERM; the state has been saved.
  """
  compilation.use_cache()
  module = method_module(config.method)
  if mode == "plan":
    return _plan(module, config, workdir)
  if workdir is None:
    raise UserError(f"mode {mode} needs a work directory: --workdir=DIR.")
  plan, folder = prepare(module, config, source), Path(workdir)
  if mode == "predict":
    return _predict(plan, folder, inputs)
  return {"train": _train, "eval": _evaluate, "export": _export}[mode](plan, folder)


def method_module(name: str) -> ModuleType:
  """Imports `jaxvision.methods.<name>`.

  Raises:
    UserError: there is no such method.
  """
  folder = Path(__file__).parent / "methods"
  known = sorted(p.stem for p in folder.glob("*.py") if not p.stem.startswith("_"))
  if name not in known:
    raise UserError(f"config.method is {name!r}; choose one of {', '.join(known)}.")
  return importlib.import_module(f"jaxvision.methods.{name}")


def prepare(module: ModuleType, config: ConfigDict, source: str = "") -> runner.Plan:
  """Reads the data and builds the method, once for all seeds."""
  data = module.load(config)
  method = module.build(config, data)
  mesh = sharding.build_mesh(config.mesh)
  programs = tuple(
    program.compile_stage(
      stage, mesh, per_dispatch=config.per_dispatch, rules=config.mesh.rules
    )
    for stage in method.stages
  )
  facts = {
    "method": config.method,
    "config": source,
    "variant": config.variant,
    "data": data.name,
    "note": data.note,
  }
  marks = config_lib.fingerprint(config, data=data.name)
  attack = robust_report.attacker(config, data, method)
  return runner.Plan(config, method, programs, marks, facts, versions(), attack)


def versions() -> dict[str, str]:
  """Returns versions of Python and of the packages that numbers may depend on."""
  found = {name: metadata.version(name) for name in PACKAGES}
  return {"python": platform.python_version(), **found}


def _seeds(plan: runner.Plan, folder: Path) -> dict[int, Path]:
  first, count = plan.config.seed, plan.config.seeds
  if count == 1:
    return {first: folder}
  return {s: folder / f"seed_{s}" for s in range(first, first + count)}


def _train(plan: runner.Plan, folder: Path) -> dict[str, Any]:
  """Trains all seeds; several have a folder each and a summary over them."""
  seeds = _seeds(plan, folder)
  each = [runner.train_seed(plan, seed, where) for seed, where in seeds.items()]
  return _finish(plan, folder, list(seeds), each)


def _evaluate(plan: runner.Plan, folder: Path) -> dict[str, Any]:
  """Evaluates trained stages anew, on `config.eval.split`."""
  report = reports.Reports(folder)
  seeds = _seeds(plan, folder)
  each = []
  for seed, where in seeds.items():
    which = plan.config.eval.checkpoint
    found = runner.restore(plan, seed, where, which=which, warn=report.say)
    stage = plan.method.stages[-1]
    state, frozen = found.states[stage.name], found.frozen[stage.name]
    metrics = stage.evaluate(state, frozen, plan.config.eval.split)
    metrics |= plan.attack(state, where)
    each.append(runner.results(plan, seed, found.states, metrics, {}))
    name = f"eval_{plan.config.eval.split}.json"
    runner.write_json(where / name, each[-1])
  return _finish(plan, folder, list(seeds), each, name=name)


def _finish(
  plan: runner.Plan,
  folder: Path,
  seeds: list[int],
  each: list[dict[str, Any]],
  *,
  name: str = "results.json",
) -> dict[str, Any]:
  """Summarises over seeds if there are several, and shows where the results are."""
  result = each[0]
  if len(seeds) > 1:
    result = {**each[0], "seed": seeds, **_summary(each)}
    runner.write_json(folder / "config.json", plan.config.to_dict())
    runner.write_json(folder / name, result)
  reports.show_table(f"{plan.config.method} on {result['data']}", result["metrics"])
  reports.show(f"results are in {folder / name}")
  return result


def _summary(each: list[dict[str, Any]]) -> dict[str, Any]:
  def over_seeds(field: str, key: str) -> list[float]:
    return [result[field][key] for result in each]

  return {
    "metrics": {
      k: intervals.summary(over_seeds("metrics", k)) for k in each[0]["metrics"]
    },
    "seconds": {k: sum(over_seeds("seconds", k)) for k in each[0]["seconds"]},
  }


def final_state(plan: runner.Plan, folder: Path) -> State:
  """Returns the trained state of the last stage, of the first seed.

  Args:
    plan: from `prepare`.
    folder: the run's work directory; `config.eval.checkpoint` says last or best.

  Raises:
    UserError: there is no checkpoint, or a foreign one.
  """
  seed, where = next(iter(_seeds(plan, folder).items()))
  which = plan.config.eval.checkpoint
  found = runner.restore(plan, seed, where, which=which, warn=reports.show)
  return found.states[plan.method.stages[-1].name]


def _predict(plan: runner.Plan, folder: Path, inputs: Sequence[str]) -> dict[str, Any]:
  if not inputs:
    raise UserError("mode predict needs --inputs=FILE_OR_FOLDER[,...].")
  variables = plan.method.variables(final_state(plan, folder))
  size = plan.config.eval.batch_size
  read, outputs = runner.predict(plan.method, variables, inputs, batch_size=size)
  target = folder / "predictions"
  plan.method.write(read, outputs, target)
  reports.show(f"{len(outputs)} predictions are in {target}")
  return {"folder": str(target)}


def _export(plan: runner.Plan, folder: Path) -> dict[str, Any]:
  target = folder / "export"
  exports.write(plan, final_state(plan, folder), target)
  return {"folder": str(target)}


def _plan(
  module: ModuleType, config: ConfigDict, workdir: str | os.PathLike | None
) -> dict[str, Any]:
  """Compiles ahead of time at full scale, without data, and shows what it found."""
  method = module.build(config, module.load(config, abstract=True))
  mesh = sharding.build_mesh(config.mesh)
  found = {
    "method": config.method,
    "variant": config.variant,
    "stages": ahead.plan_stages(method.stages, mesh, rules=config.mesh.rules),
    "inserted": list(method.inserted),
    "files": list(module.expected_files(config)),
  }
  ahead.show(found, reports.show)
  if workdir is not None:
    runner.write_json(Path(workdir) / "plan.json", found)
  return found
