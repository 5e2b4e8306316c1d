"""Measures suppression under jit, batched over videos, against plain numpy loops.

    python experiments/benchmarks/temporal_suppression.py [--fast]

A video has 765 candidates, as many as the paper's network has boxes, of five classes;
100 are kept. Prints JSON lines: times and ratios to the loop; the times of ours as the
videos, or the candidates of each, double. `--fast` takes a fifth of the videos, and few
rounds.
"""

import argparse
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import temporal_loops
from timing import measure, report, report_growth

from jaxvision.ops import suppression

VIDEOS, CANDIDATES, KEEP, CLASSES = 50, 765, 100, 5
THRESHOLD, SIGMA = 0.9, 0.5  # of the greedy and of the soft form, on ActivityNet
Candidates = tuple[np.ndarray, np.ndarray, np.ndarray]


def candidates(videos: int, count: int, *, seed: int = 0) -> Candidates:
  """Segments [v, n, 2] around five actions a video, classes [v, n], scores [v, n]."""
  rng = np.random.default_rng(seed)
  action = rng.integers(0, 5, (videos, count))
  center = np.take_along_axis(rng.random((videos, 5)), action, axis=1)
  center = center + 0.05 * rng.normal(size=action.shape)
  half = 0.1 * np.exp(0.5 * rng.normal(size=action.shape))
  segments = np.stack([center - half, center + half], axis=-1)
  scores = rng.random(action.shape)
  classes = rng.integers(0, CLASSES, action.shape)
  return segments.astype(np.float32), classes, scores.astype(np.float32)


def ours(name: str, data: Candidates) -> Callable[[], Any]:
  """One compiled program for all videos."""

  def one(segments, classes, scores):
    options = {"max_keep": KEEP, "classes": classes}
    if name == "nms":
      return suppression.nms(segments, scores, threshold=THRESHOLD, **options)
    return suppression.soft_nms(segments, scores, sigma=SIGMA, **options)

  return functools.partial(jax.jit(jax.vmap(one)), *map(jnp.asarray, data))


def loop(name: str, data: Candidates) -> Callable[[], Any]:
  """Video by video, candidate by candidate; the others of a candidate at once."""
  settings = {"nms": {"threshold": THRESHOLD}, "soft_nms": {"sigma": SIGMA}}[name]
  one = functools.partial(getattr(temporal_loops, name), keep=KEEP, **settings)
  return lambda: [one(*video) for video in zip(*data, strict=True)]


def main() -> None:
  """Reads the flag and measures both forms."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--fast", action="store_true")
  fast = parser.parse_args().fast
  videos, rounds = (VIDEOS // 5, 3) if fast else (VIDEOS, 7)
  for name in ("nms", "soft_nms"):
    size = {"videos": videos, "candidates": CANDIDATES}
    data = candidates(videos, CANDIDATES)
    pair = {"ours": ours(name, data), "loop": loop(name, data)}
    report(name, measure(pair, rounds=rounds), baseline="loop", **size)
    sizes = {f"{v}": candidates(v, CANDIDATES) for v in (25, 50, 100, 200)}
    times = measure({k: ours(name, x) for k, x in sizes.items()}, rounds=rounds)
    report_growth(name, times, sizes="videos", candidates=CANDIDATES)
    sizes = {f"{n}": candidates(videos, n) for n in (128, 256, 512, 1024)}
    times = measure({k: ours(name, x) for k, x in sizes.items()}, rounds=rounds)
    report_growth(name, times, sizes="candidates", videos=videos)


if __name__ == "__main__":
  main()
