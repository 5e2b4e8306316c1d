"""Checkpoints of one stage: Orbax, with checksums, a fingerprint and a fall-back.

What Orbax leaves open is closed here: a flipped byte in a data file restores without
an error, so every leaf carries a checksum and every file a seal; its errors have no
common type, so any of them makes an older checkpoint the next candidate; and it does
not know which run a checkpoint belongs to, so each one carries the fingerprint of its
config.
"""

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp

from jaxvision import files
from jaxvision.errors import UserError
from jaxvision.ops import trees
from jaxvision.train import seals
from jaxvision.train.retention import LatestAndBest, best_of
from jaxvision.train.stage import State
from jaxvision.typing import PyTree

_checksums = jax.jit(lambda tree: [trees.checksum(x) for x in jax.tree.leaves(tree)])


class Restored(NamedTuple):
  """A checkpoint as it was read back."""

  step: int
  state: State
  metrics: dict[str, float] | None  # of the evaluation at this step, if it was done
  seconds: float  # of training so far, over all runs


class Checkpoints:
  """The checkpoints of one stage in one folder; close it, or use it with `with`."""

  def __init__(
    self,
    folder: Path,
    *,
    fingerprint: Mapping[str, str],
    keep: int = 2,
    warn: Callable[[str], None] = logging.warning,
  ):
    """Opens or makes the folder.

    Args:
      folder: of this stage alone.
      fingerprint: {config key: value} of what shapes training.
      keep: how many of the latest are kept, beside the best.
      warn: shows one line.

    Raises:
      UserError: `keep` is below 1.
    """
    if keep < 1:
      raise UserError(f"config.checkpoint.keep is {keep}; choose 1 or more.")
    self.folder = Path(folder).absolute()
    self._fingerprint = dict(fingerprint)
    self._warn = warn
    self._corrupt: set[int] = set()
    self._unsealed: int | None = None
    self._file = self.folder / "evaluations.json"
    self._metrics, self._scores = self._read_evaluations()
    self._manager = ocp.CheckpointManager(
      self.folder,
      options=ocp.CheckpointManagerOptions(
        preservation_policy=LatestAndBest(keep, self._scores)
      ),
    )

  def __enter__(self) -> "Checkpoints":
    """Returns itself."""
    return self

  def __exit__(self, *_: object) -> None:
    """Waits for the last save and closes."""
    self.close()

  def close(self) -> None:
    """Waits for the last save and closes."""
    self._seal()
    self._manager.close()

  def record(self, step: int, metrics: Mapping[str, float], score: float) -> None:
    """Notes the evaluation of the state at a step: the largest score is the best."""
    self._metrics[step], self._scores[step] = dict(metrics), score
    rows = {
      str(k): {"score": self._scores[k], "metrics": self._metrics[k]}
      for k in sorted(self._scores)
    }
    if jax.process_index() == 0:
      files.write_json(self._file, rows)

  def _read_evaluations(self) -> tuple[dict[int, dict], dict[int, float]]:
    if not self._file.exists():
      return {}, {}
    try:
      rows = json.loads(self._file.read_text())
      metrics = {int(k): dict(row["metrics"]) for k, row in rows.items()}
      return metrics, {int(k): float(row["score"]) for k, row in rows.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
      self._warn(f"{self._file} is corrupt ({_short(error)}); evaluating anew")
      return {}, {}

  def save(self, step: int, state: State, *, seconds: float = 0.0) -> None:
    """Starts to save a state; it is copied before this returns and may be donated.

    A whole checkpoint of this step stays as it is: steps are deterministic.

    Args:
      step: its number.
      state: arrays, on any number of devices.
      seconds: of training so far.
    """
    self._remove_corrupt()
    if step in self._manager.all_steps():
      return
    self._seal()
    meta = {
      "fingerprint": self._fingerprint,
      "checksums": [int(x) for x in jax.device_get(_checksums(state))],
      "seconds": seconds,
    }
    args = ocp.args.Composite(
      state=ocp.args.StandardSave(state), meta=ocp.args.JsonSave(meta)
    )
    if self._manager.save(step, args=args):
      self._unsealed = step

  def _seal(self) -> None:
    """Waits for the save before this one, which Orbax does too, and seals it."""
    self._manager.wait_until_finished()
    if self._unsealed is not None and jax.process_index() == 0:
      seals.write(self.folder / str(self._unsealed))
    self._unsealed = None

  def _remove_corrupt(self) -> None:
    """Makes room: Orbax silently skips a save below its newest step."""
    for step in sorted(self._corrupt.intersection(self._manager.all_steps())):
      self._manager.delete(step)
    self._corrupt.clear()

  def best_step(self) -> int | None:
    """Returns the kept step with the best score; None before any evaluation."""
    return best_of(self._scores, self._manager.all_steps())

  def restore_latest(self, like: PyTree) -> Restored | None:
    """Reads the newest checkpoint that is whole; None if there is none at all.

    Args:
      like: `jax.ShapeDtypeStruct`s of the state, with shardings.

    Raises:
      UserError: the newest readable one belongs to another config, or all are corrupt.
    """
    steps = sorted(self._manager.all_steps(), reverse=True)
    for step in steps:
      try:
        return self.restore(step, like)
      except UserError:
        raise
      except Exception as error:  # Orbax's errors have no common type
        self._corrupt.add(step)
        self._warn(
          f"checkpoint {step} in {self.folder} is corrupt ({_short(error)}); "
          "trying the one before it"
        )
    if steps:
      raise UserError(
        f"none of the checkpoints {steps} in {self.folder} can be read; "
        "remove the folder to start afresh."
      )
    return None

  def restore_best(self, last: State) -> State:
    """Reads the state with the best score.

    Args:
      last: the newest state: the answer if it is the best, or if none can be read.
    """
    step = self.best_step()
    if step is None or step == int(last["step"]):
      return last
    try:
      return self.restore(step, abstract(last)).state
    except Exception as error:  # Orbax's errors have no common type
      self._warn(
        f"checkpoint {step} in {self.folder}, the best one, is corrupt "
        f"({_short(error)}); taking the last one"
      )
      return last

  def restore(self, step: int, like: PyTree) -> Restored:
    """Reads one checkpoint and checks it.

    Raises:
      UserError: it belongs to another config.
      Exception: it cannot be read, or its seal or a checksum differs.
    """
    seals.check(self.folder / str(step))
    meta = self._meta(step)
    self._check_fingerprint(meta["fingerprint"])
    args = ocp.args.Composite(state=ocp.args.StandardRestore(like))
    state = self._manager.restore(step, args=args)["state"]
    found = np.array(jax.device_get(_checksums(state)), np.uint32)
    wrong = np.flatnonzero(found != np.array(meta["checksums"], np.uint32))
    if wrong.size:
      raise ValueError(f"checksum of {trees.paths(state)[wrong[0]]} differs")
    return Restored(step, state, self._metrics.get(step), meta["seconds"])

  def _meta(self, step: int) -> dict[str, Any]:
    args = ocp.args.Composite(meta=ocp.args.JsonRestore())
    return self._manager.restore(step, args=args)["meta"]

  def _check_fingerprint(self, theirs: Mapping[str, str]) -> None:
    ours = self._fingerprint
    differ = sorted(k for k in {*ours, *theirs} if ours.get(k) != theirs.get(k))
    if differ:
      key = differ[0]
      more = f" and {len(differ) - 1} more" if len(differ) > 1 else ""
      raise UserError(
        f"the checkpoints in {self.folder} belong to another run: {key} was "
        f"{theirs.get(key, 'absent')} and is {ours.get(key, 'absent')}{more}; "
        "use another --workdir, or the config of that run."
      )


def _short(error: Exception) -> str:
  lines = str(error).splitlines() or [""]
  return f"{type(error).__name__}: {lines[0][:80]}"


def abstract(state: State) -> PyTree:
  """Returns what `restore` needs to read a state like this one."""
  return jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), state
  )
