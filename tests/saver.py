"""Saves one checkpoint after the other in a child process until it is killed.

`saver.py FOLDER KILLS SEED` forks a child, kills it at a random time, and prints how
it ended, again and again. Forked and not started anew: imports take longer than all
the rest.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxvision.train import checkpoints


def state(step):
  values = np.random.default_rng(step).normal(size=(200, 300))
  return {"params": {"w": jnp.asarray(values, jnp.float32)}, "step": jnp.int32(step)}


def work(folder, parent):
  """Checks the last finished checkpoint, then saves on while it has a parent."""
  store = checkpoints.Checkpoints(folder, fingerprint={}, warn=sys.exit)
  found = store.restore_latest(checkpoints.abstract(state(0)))
  step = found.step if found else 0
  if found:
    equal = jax.tree.map(lambda a, b: bool((a == b).all()), found.state, state(step))
    if not all(jax.tree.leaves(equal)):
      sys.exit(f"checkpoint {step} has wrong values")
  while os.getppid() == parent:
    step += 1
    store.save(step, state(step))
  sys.exit("orphaned")


def finished(folder):
  return {p.name for p in folder.glob("*") if p.name.isdigit()}


def main(folder, kills, seed):
  rng = random.Random(seed)
  for _ in range(kills):
    before, parent = finished(folder), os.getpid()
    child = os.fork()
    if not child:
      work(folder, parent)
    while finished(folder) <= before and not ended(child):
      time.sleep(0.01)
    time.sleep(rng.uniform(0.0, 0.3))
    os.kill(child, signal.SIGKILL)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def ended(child):
  return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


if __name__ == "__main__":
  main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
