"""SIGTERM as a flag that long host loops poll: training, evaluation, attacks.

A cluster sends SIGTERM seconds before it takes a machine away. The handler only sets
a flag; whoever loops on the host calls `check()` between two dispatches and lets the
exception rise to the training loop, which saves the state and ends the run.
"""

import signal
import threading
from types import FrameType

_requested = threading.Event()


class Interrupted(Exception):
  """SIGTERM has arrived: save, and end with exit code 0."""


def install() -> None:
  """Makes SIGTERM set the flag; outside the main thread it does nothing."""
  if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGTERM, _set)


def _set(signum: int, frame: FrameType | None) -> None:
  del signum, frame
  _requested.set()


def requested() -> bool:
  """Whether SIGTERM has arrived."""
  return _requested.is_set()


def check() -> None:
  """Raises `Interrupted` if SIGTERM has arrived; cheap enough for every dispatch."""
  if requested():
    raise Interrupted


def clear() -> None:
  """Forgets an earlier SIGTERM: for notebooks and tests, which outlive a run."""
  _requested.clear()
