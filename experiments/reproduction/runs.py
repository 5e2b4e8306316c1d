"""The runs of a protocol: which there are, which are finished, what they found."""

import json
import runpy
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from experiments.claims import Protocol
from jaxvision import config as config_lib
from jaxvision import interruption
from jaxvision.errors import UserError

ROOT = Path(__file__).resolve().parents[2]  # of the repository
MISSING, STARTED, OUTDATED, FINISHED = "missing", "started", "outdated", "finished"


class Run(NamedTuple):
  """One arm with one seed."""

  arm: str
  seed: int
  config: ConfigDict
  folder: Path
  source: str  # the config's file and variant, for the record
  usual: Mapping[str, str]  # fingerprint of the config without variant or overrides


def plan_runs(protocol: Protocol, folder: Path, seeds: Sequence[int]) -> list[Run]:
  """Lists all runs: all arms of the first seed first, so pairs are complete early."""
  usual = config_lib.fingerprint(_get_config(protocol)(""))
  return [
    Run(
      arm,
      seed,
      run_config(protocol, arm, seed),
      folder / arm / f"seed_{seed}",
      f"{protocol.config}:{protocol.arms[arm].variant}",
      usual,
    )
    for seed in seeds
    for arm in protocol.arms
  ]


def run_config(protocol: Protocol, arm: str, seed: int) -> ConfigDict:
  """Loads the config of an arm and gives it the seed.

  Raises:
    UserError: the claims name a variant, a key or a value that the config refuses.
  """
  variant, overrides = protocol.arms[arm]
  config = _get_config(protocol)(variant)
  for key, value in {**overrides, **dict.fromkeys(protocol.seed_keys, seed)}.items():
    try:  # it is locked, so that a key that is not there is an error
      config.update_from_flattened_dict({key: value})
    except (KeyError, TypeError, ValueError) as error:
      raise UserError(
        f"arm {arm}: {protocol.config} cannot take {key} = {value!r}; "
        "correct the claims file."
      ) from error
  return config


def _get_config(protocol: Protocol) -> Callable[[str], ConfigDict]:
  return runpy.run_path(str(ROOT / protocol.config))["get_config"]


def status(run: Run) -> str:
  """Says whether a run is there, by the config and the results in its folder.

  A finished run may lack fields that came later: their usual values are what it did.
  Usual fields that the arm itself does not have, such as another model's, are not
  meant.
  """
  path = run.folder / "config.json"
  if not path.is_file():
    return MISSING
  finished = (run.folder / "results.json").is_file()
  theirs = config_lib.fingerprint(ConfigDict(_read(path)))
  ours = config_lib.fingerprint(run.config)
  if finished:
    theirs = {k: v for k, v in run.usual.items() if k in ours} | theirs
  if config_lib.digest(theirs) != config_lib.digest(ours):
    return OUTDATED
  return FINISHED if finished else STARTED


def run_unfinished(
  runs: Iterable[Run], train: Callable[..., Any], *, place: str = ""
) -> None:
  """Trains what is not finished, each in its folder.

  Args:
    runs: finished or not.
    train: `jaxvision.experiment.run`.
    place: where in a larger whole they are, as "paper 3 of 10 (gtan), ".
  """
  todo = [run for run in runs if status(run) != FINISHED]
  for number, run in enumerate(todo, start=1):
    interruption.check()
    where = f"{place}run {number} of {len(todo)}"
    print(f"{where}: {run.arm}, seed {run.seed}", flush=True)
    if status(run) == OUTDATED:
      _set_aside(run.folder)
    train(run.config, run.folder, "train", source=run.source)


def _set_aside(folder: Path) -> None:
  """Moves a run of another config away: it may be finished, and dear."""
  number = 1
  while (target := folder.with_name(f"{folder.name}.outdated_{number}")).exists():
    number += 1
  folder.rename(target)
  print(f"{folder} was made with another config; it is now {target}", flush=True)


def collect(runs: Iterable[Run]) -> dict[str, dict[int, Any]]:
  """Reads the results of the finished runs, as {arm: {seed: results}}."""
  found: dict[str, dict[int, Any]] = {}
  for run in runs:
    of_arm = found.setdefault(run.arm, {})
    if status(run) == FINISHED:
      of_arm[run.seed] = _read(run.folder / "results.json")
  return found


def _read(path: Path) -> Any:
  try:
    return json.loads(path.read_text())
  except json.JSONDecodeError as error:
    raise UserError(f"{path} is not JSON; remove its folder.") from error
