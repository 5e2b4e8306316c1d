"""Measures the metrics of re-identification against a plain evaluator.

    python experiments/benchmarks/retrieval.py [--fast]

The data are generated at the size of Market-1501's test set: 3,368 queries of 750
identities and 15,913 gallery images, a sixth of them distractors, from six cameras.
Prints JSON lines: times and ratios to the loop over queries, with the distances given;
times from features; the peak of the memory that is allocated beyond the arguments.
`--fast` takes a tenth of the images.
"""

import argparse
import functools
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import retrieval_loops
from temporal_metrics import peak_megabytes
from timing import measure, ratio, report

from jaxvision.metrics import retrieval

QUERIES, GALLERY, IDENTITIES, DISTRACTORS = 3368, 15_913, 750, 2798
CAMERAS, WIDTH = 6, 512


def features(
  rng: np.random.Generator, centers: np.ndarray, count: int, distractors: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Noisy copies of the identities' centers, with ids (-1: distractor) and cameras."""
  ids = rng.integers(0, len(centers), count)
  noise = 2.5 * rng.standard_normal((count, WIDTH), np.float32)
  x = centers[ids] + noise
  x[:distractors] = noise[:distractors]
  ids[:distractors] = -1
  return x, ids, rng.integers(0, CAMERAS, count)


def problem(scale: int) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
  """Features of queries and gallery, and their ids and cameras."""
  rng = np.random.default_rng(0)
  centers = rng.standard_normal((IDENTITIES // scale, WIDTH), np.float32)
  query, query_ids, query_cameras = features(rng, centers, QUERIES // scale)
  gallery, gallery_ids, gallery_cameras = features(
    rng, centers, GALLERY // scale, DISTRACTORS // scale
  )
  numbers = (query_ids, gallery_ids, query_cameras, gallery_cameras)
  return (query, gallery), numbers


def programs(scale: int) -> dict[str, dict[str, Callable[[], Any]]]:
  """Ours and the loop from distances; ours from features."""
  both, numbers = problem(scale)
  distances = retrieval.pairwise_distances(*both)
  given = {
    "ours": retrieval.rank_metrics,
    "loop": retrieval_loops.rank_metrics,
  }
  wanted = {
    "blocks": retrieval.rank_metrics_of_features,
    "distances alone": lambda query, gallery, *_: retrieval.pairwise_distances(
      query, gallery
    ),
  }
  return {
    "rank_metrics": {
      name: functools.partial(run, distances, *numbers) for name, run in given.items()
    },
    "rank_metrics_of_features": {
      name: functools.partial(run, *both, *numbers) for name, run in wanted.items()
    },
  }


def compare(name: str, runs: dict[str, Callable[[], Any]], rounds: int, **size) -> None:
  """Prints times of ours and of the baseline, the second one, and memory of ours."""
  ours, baseline = runs
  times = measure(runs, rounds=rounds)
  faster = {
    f"times_as_fast_{clock}": {
      ours: round(1 / ratio(times[ours], times[baseline], clock=clock), 1)
    }
    for clock in ("wall", "cpu")
  }
  report(name, times, baseline=baseline, **size, **faster)
  peak = round(peak_megabytes(runs[ours]), 1)
  print(json.dumps({"benchmark": f"{name}, memory", "peak_mb": peak}), flush=True)


def main() -> None:
  """Reads the flag and measures."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--fast", action="store_true")
  fast = parser.parse_args().fast
  scale, rounds = (10, 7) if fast else (1, 1)
  size = {"queries": QUERIES // scale, "gallery": GALLERY // scale}
  for name, runs in programs(scale).items():
    compare(name, runs, rounds, **size)


if __name__ == "__main__":
  main()
