"""Times programs side by side, for all benchmarks.

On a shared machine the seconds of one program mean little; the ratio of two means much
if both met the same neighbours. So the programs take turns, a round each, the order
reversed from round to round, and a ratio is the median over the rounds of the ratio
within a round. Wall time is what the user waits for; CPU time, that of all threads of
this process, is the steadier.

    times = measure({"ours": lambda: step(x), "torch": lambda: torch_step(x)})
    report("step", times, baseline="torch", batch=64)

A program runs to its end before it returns: arrays of JAX are waited for here; torch on
the CPU waits by itself. Both must use the same number of threads, see `torch_threads`.
"""

import itertools
import json
import os
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax


class Times(NamedTuple):
  """Seconds of one program, a round each."""

  wall: list[float]
  cpu: list[float]


def measure(
  programs: Mapping[str, Callable[[], Any]], *, rounds: int = 7
) -> dict[str, Times]:
  """Runs each program once to warm up (and compile), then `rounds` times in turn."""
  times = {name: Times([], []) for name in programs}
  for run in programs.values():
    jax.block_until_ready(run())
  for number in range(rounds):
    names = list(programs)
    for name in names if number % 2 == 0 else reversed(names):
      wall, cpu = time.perf_counter(), time.process_time()
      jax.block_until_ready(programs[name]())
      times[name].wall.append(time.perf_counter() - wall)
      times[name].cpu.append(time.process_time() - cpu)
  return times


def ratio(times: Times, baseline: Times, *, clock: str = "wall") -> float:
  """Median over the rounds of `times` by `baseline`; below 1 is faster."""
  pairs = zip(getattr(times, clock), getattr(baseline, clock), strict=True)
  return statistics.median(a / b for a, b in pairs)


def report(
  benchmark: str, times: Mapping[str, Times], *, baseline: str, **facts: Any
) -> dict[str, Any]:
  """Prints (and returns) one JSON line: median milliseconds, ratios to the baseline."""
  others = [name for name in times if name != baseline]
  line = {"benchmark": benchmark, **facts, "baseline": baseline}
  for clock in Times._fields:
    line[f"{clock}_ms"] = {
      name: round(1e3 * statistics.median(getattr(t, clock)), 3)
      for name, t in times.items()
    }
    line[f"{clock}_ratio"] = {
      name: round(ratio(times[name], times[baseline], clock=clock), 3)
      for name in others
    }
  print(json.dumps(line), flush=True)
  return line


def report_growth(
  benchmark: str, times: Mapping[str, Times], *, clock: str = "cpu", **facts: Any
) -> dict[str, Any]:
  """Prints (and returns) one JSON line: what each doubling of the size costs.

  Args:
    benchmark: its name.
    times: {size: times}, each size twice the one before it.
    clock: whose times; "wall" counts what runs on several cores once.
    facts: what else the line holds.
  """
  line = {
    "benchmark": f"{benchmark}, growing",
    **facts,
    f"{clock}_ms": {
      size: round(1e3 * statistics.median(getattr(t, clock)), 2)
      for size, t in times.items()
    },
    "of_a_doubling": [
      round(ratio(b, a, clock=clock), 2) for a, b in itertools.pairwise(times.values())
    ],
  }
  print(json.dumps(line), flush=True)
  return line


def torch_threads() -> int:
  """Number of threads to give torch: as many as XLA takes, one for each usable core."""
  return len(os.sched_getaffinity(0))
