"""Times programs against torch, which gets the better of one thread and all.

XLA uses all cores. Torch's threads wait on each other, so on cores that others use too,
all of them can be many times slower than one: a ratio to that would flatter us.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

import torch

from experiments.benchmarks import timing

Programs = Mapping[str, Callable[[], Any]]


def better_threads(run: Callable[[], Any], *, trials: int = 3) -> int:
  """Returns the faster number of threads for a torch program: one, or all."""
  if timing.torch_threads() == 1:
    return 1
  seconds = {}
  for threads in (1, timing.torch_threads()) * trials:
    torch.set_num_threads(threads)
    run()
    begin = time.perf_counter()
    run()
    elapsed = time.perf_counter() - begin
    seconds[threads] = min(elapsed, seconds.get(threads, elapsed))
  return min(seconds, key=seconds.get)


def compare(
  name: str,
  programs: Programs,
  rounds: int,
  facts: Callable[[Mapping[str, timing.Times]], dict[str, Any]] = lambda times: {},
) -> None:
  """Prints the line of "jaxvision" against "torch".

  Args:
    name: of the benchmark.
    programs: the two.
    rounds: see `timing.measure`.
    facts: from the times, what else the line holds.
  """
  threads = better_threads(programs["torch"])
  torch.set_num_threads(threads)
  times = timing.measure(programs, rounds=rounds)
  timing.report(name, times, baseline="torch", torch_threads=threads, **facts(times))
