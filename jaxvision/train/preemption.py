"""SIGTERM in a run of one process or of several."""

import jax
from jax.experimental import multihost_utils

from jaxvision import interruption


def check(step: int) -> None:
  """Raises `Interrupted` once SIGTERM has arrived, in all processes at one step.

  With several processes JAX's own preemption service hears the signal and agrees on a
  step that every process will reach; evaluation, which has no such common step, is
  then not interrupted.
  """
  if jax.process_count() == 1:
    interruption.check()
  elif multihost_utils.reached_preemption_sync_point(step):
    raise interruption.Interrupted
