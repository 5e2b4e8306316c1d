"""Measures the temporal metrics against plain numpy loops.

    python experiments/benchmarks/temporal_metrics.py [--fast]

The data are generated with the statistics of ActivityNet's validation set: 4,728 videos
of 1.15 instances, one of 200 classes a video, 96,000 detections, 507,000 proposals.
Prints JSON lines: times and ratios to the loop at this size; times as the number of
videos grows and what a doubling costs; the peak of the memory that is allocated beyond
the data. `--fast` takes a tenth of the
videos, and few rounds.
"""

import argparse
import functools
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import temporal_loops
from timing import measure, report, report_growth

from jaxvision.metrics import temporal
from jaxvision.metrics.temporal import Segments

VIDEOS, CLASSES = 4728, 200
DETECTIONS, PROPOSALS = 96_000 / VIDEOS, 507_000 / VIDEOS  # a video
THRESHOLDS = np.linspace(0.5, 0.95, 10)


def truth(rng: np.random.Generator, videos: int) -> Segments:
  """Instances with about the relative lengths that ActivityNet's have."""
  video = np.repeat(np.arange(videos), 1 + rng.binomial(22, 0.007, videos))
  label = rng.integers(0, CLASSES, videos)[video]
  length = np.exp(rng.normal(-1.1, 1.0, len(video))).clip(0.01, 0.95)
  start = rng.random(len(video)) * (1 - length)
  return Segments(video, label, start, start + length)


def predictions(rng: np.random.Generator, instances: Segments, n: int) -> Segments:
  """Jittered copies of the instances, by video, three in five of the right class."""
  row = np.sort(rng.integers(0, len(instances.video), n))
  length = (instances.end - instances.start)[row]
  center = instances.start[row] + length * rng.normal(0.5, 0.2, n)
  length = length * np.exp(rng.normal(0, 0.4, n))
  right = rng.random(n) < 0.6
  label = np.where(right, instances.label[row], rng.integers(0, CLASSES, n))
  start, end = np.clip([center - length / 2, center + length / 2], 0, 1)
  return Segments(instances.video[row], label, start, end, rng.random(n))


def programs(videos: int) -> dict[str, dict[str, Callable[[], Any]]]:
  """For each metric ours and the loop, on one generated data set."""
  rng = np.random.default_rng(0)
  instances = truth(rng, videos)
  detections = predictions(rng, instances, int(videos * DETECTIONS))
  proposals = predictions(rng, instances, int(videos * PROPOSALS))
  return {
    "detection_average_precision": _pair(
      "detection_average_precision", instances, detections, THRESHOLDS
    ),
    "average_recall": _pair(
      "average_recall", instances, proposals, THRESHOLDS, max_proposals=100
    ),
  }


def _pair(name: str, *args: Any, **settings: Any) -> dict[str, Callable[[], Any]]:
  return {
    who: functools.partial(getattr(module, name), *args, **settings)
    for who, module in (("ours", temporal), ("loop", temporal_loops))
  }


def peak_megabytes(run: Callable[[], Any]) -> float:
  """Peak of what a program allocates."""
  tracemalloc.start()
  run()
  peak = tracemalloc.get_traced_memory()[1]
  tracemalloc.stop()
  return peak / 2**20


def scaling(name: str, sizes: list[int], rounds: int) -> None:
  """Prints time and memory of ours for growing data."""
  runs = {str(videos): programs(videos)[name]["ours"] for videos in sizes}
  times = measure(runs, rounds=rounds)
  peaks = {videos: round(peak_megabytes(run), 1) for videos, run in runs.items()}
  report_growth(name, times, peak_mb=peaks)


def main() -> None:
  """Reads the flag and measures both metrics."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--fast", action="store_true")
  fast = parser.parse_args().fast
  videos, rounds = (VIDEOS // 10, 3) if fast else (VIDEOS, 7)
  for name, pair in programs(videos).items():
    report(name, measure(pair, rounds=rounds), baseline="loop", videos=videos)
    scaling(name, [videos // 4, videos // 2, videos, 2 * videos], rounds)


if __name__ == "__main__":
  main()
