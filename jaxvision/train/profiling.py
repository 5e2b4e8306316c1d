"""A `jax.profiler` trace of a few steps."""

from pathlib import Path

import jax


class Profiler:
  """Traces `steps` steps, from the second dispatch on: the first one compiles."""

  def __init__(self, folder: Path, steps: int):
    """Does nothing if `steps` is 0."""
    self._folder, self._steps = folder, steps
    self._first: int | None = None
    self._until: int | None = None

  def __enter__(self) -> "Profiler":
    """Returns itself."""
    return self

  def __exit__(self, *_: object) -> None:
    """Ends a trace that the run was shorter than."""
    self._stop()

  def at(self, step: int) -> None:
    """Tells which step comes next."""
    if not self._steps:
      return
    if self._first is None:
      self._first = step
    elif self._until is None:
      jax.profiler.start_trace(str(self._folder))
      self._until = step + self._steps
    elif step >= self._until:
      self._stop()

  def _stop(self) -> None:
    if self._until is not None and self._steps:
      jax.profiler.stop_trace()
      self._steps = 0
