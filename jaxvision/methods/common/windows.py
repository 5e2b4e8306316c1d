"""From detections of windows to detections of videos."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jaxvision.data.temporal import Windows
from jaxvision.metrics.temporal import Segments

VIDEOS = 16  # suppressed in one call

Found = Mapping[str, np.ndarray]


def merge(
  windows: Windows,
  found: Found,
  config: ConfigDict,
  suppress: Callable[..., dict[str, jax.Array]],
) -> Segments:
  """Brings detections into seconds; where windows overlap, suppresses across them.

  Args:
    windows: where they lie in their videos.
    found: {"segments": [n, k, 2] in units of the window, "label", "score": [n, k]}.
    config: `config.suppression`.
    suppress: (segments [m, 2], label [m], score [m], config) -> the kept ones.

  Returns:
    Detections of all videos in seconds.
  """
  rows = {**found, "segments": windows.to_seconds(found["segments"])}
  video, first, count = np.unique(windows.video, return_index=True, return_counts=True)
  if count.max() == 1:
    return listed(rows, windows.video)
  joined = _by_video(rows, windows.video, video, int(count.max()))
  # In fractions of the video: suppression may depend on widths in [0, 1].
  duration = windows.duration[first]
  scaled = joined["segments"] / duration[:, None, None]
  call = jax.jit(jax.vmap(lambda s, l, p: suppress(s, l, p, config)))  # noqa: E741
  parts = [
    jax.device_get(call(*part))
    for part in _blocks(scaled, joined["label"], joined["score"])
  ]
  kept = {k: np.concatenate([p[k] for p in parts])[: len(video)] for k in parts[0]}
  kept["segments"] = kept["segments"].astype(np.float64) * duration[:, None, None]
  return listed(kept, video)


def _by_video(
  rows: Found, window_video: np.ndarray, video: np.ndarray, most: int
) -> dict[str, np.ndarray]:
  """Detections [v, most * k, ...] of each video; score -inf where there are none."""
  order = np.argsort(window_video, kind="stable")
  place = np.searchsorted(video, window_video[order])
  rank = np.arange(len(order)) - np.searchsorted(place, place)
  joined = {}
  for name, x in rows.items():
    fill = -np.inf if name == "score" else 0
    padded = np.full((len(video), most, *x.shape[1:]), fill, x.dtype)
    padded[place, rank] = x[order]
    joined[name] = padded.reshape(len(video), -1, *x.shape[2:])
  return joined


def _blocks(*arrays: np.ndarray):
  """Blocks of `VIDEOS` rows, the last one filled up, as float32 and int32."""
  for start in range(0, len(arrays[0]), VIDEOS):
    rows = np.minimum(np.arange(start, start + VIDEOS), len(arrays[0]) - 1)
    yield [jnp.asarray(x[rows]) for x in arrays]


def listed(rows: Found, video: np.ndarray) -> Segments:
  """Detections [n, k] of windows as one list without empty slots.

  Args:
    rows: {"segments": [n, k, 2], "label", "score": [n, k]}.
    video: number of each of the n windows' video.
  """
  start, end = np.moveaxis(rows["segments"], -1, 0)
  real = (rows["score"] > 0) & (end > start)
  names = np.broadcast_to(video[:, None], real.shape)
  return Segments(
    names[real].astype(np.int64),
    rows["label"][real].astype(np.int64),
    start[real].astype(np.float64),
    end[real].astype(np.float64),
    rows["score"][real].astype(np.float64),
  )
