"""Skeleton files to an ArrayRecord data set: in parallel, and resumable by shards."""

import concurrent.futures
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from jaxvision import files, interruption
from jaxvision.data.skeleton_shards import VERSION, Shard, finished, write_shard
from jaxvision.data.skeleton_sources import Source, cut_shards, find_source
from jaxvision.errors import UserError

INDEX, SKIPPED = "index.json", "skipped.txt"
SHARD = 512  # recordings: a second or two of work, and at most that is done twice


class Conversion(NamedTuple):
  """What was done.

  Attributes:
    records: recordings that are in the target.
    skipped: {name: why} of those that are not.
    reused: shards that an earlier conversion had finished.
    shards: of the target.
  """

  records: int
  skipped: dict[str, str]
  reused: int
  shards: int


def convert(
  source: str | Path,
  target: str | Path,
  *,
  workers: int = 0,
  shard_size: int = SHARD,
  report: Callable[[str], None] = lambda line: None,
) -> Conversion:
  """Converts a folder of NTU's `.skeleton` files, or of Kinetics-Skeleton.

  Recordings that cannot be read are left out, and the target's `skipped.txt` says which
  and why. Shards that an earlier conversion of the same files has finished are kept.

  Args:
    source: folder of the recordings.
    target: folder that is written. `index.json` in it is written last.
    workers: processes; 0 is one a core, 1 works in this one.
    shard_size: recordings in a file.
    report: takes a line whenever a shard is finished.

  Raises:
    UserError: if there is nothing to convert, or the target cannot be written.
    Interrupted: if SIGTERM has arrived; the shards that are finished are kept.
  """
  if workers < 0 or shard_size < 1:
    raise UserError("--workers has to be 0 or more and --shard_size 1 or more.")
  found = find_source(source)
  target = Path(target).expanduser()
  shards = cut_shards(found, target, shard_size)
  try:
    target.mkdir(parents=True, exist_ok=True)
    for part in target.glob(".*.part"):
      part.unlink(missing_ok=True)
    manifests = {shard.path: finished(shard) for shard in shards}
    missing = [shard for shard in shards if manifests[shard.path] is None]
    if missing:  # an index is never of other shards than those beside it
      (target / INDEX).unlink(missing_ok=True)
    left = sum(len(shard.recordings) for shard in missing)
    progress = _Progress(len(found.recordings), left, report)
    for shard, manifest in _write_all(missing, workers or os.cpu_count() or 1):
      manifests[shard.path] = manifest
      progress.add(len(shard.recordings), len(manifest["skipped"]))
    return _finish(found, target, list(manifests.values()), len(shards) - len(missing))
  except OSError as error:
    raise UserError(
      f"{target} cannot be written ({error}): check folder and disk."
    ) from error


def _write_all(shards: list[Shard], workers: int) -> Iterator[tuple[Shard, dict]]:
  """Writes shards in parallel and yields each as it is finished."""
  if workers == 1 or len(shards) < 2:
    for shard in shards:
      interruption.check()
      yield shard, write_shard(shard)
    return
  # not forked: a process that has imported JAX has threads
  pool = concurrent.futures.ProcessPoolExecutor(
    min(workers, len(shards)), multiprocessing.get_context("spawn"), _ignore_interrupts
  )
  try:
    futures = {pool.submit(write_shard, shard): shard for shard in shards}
    for future in concurrent.futures.as_completed(futures):
      interruption.check()
      yield futures[future], future.result()
  except concurrent.futures.process.BrokenProcessPool as error:
    raise UserError(
      "a worker of the conversion was killed, as happens without memory: run it again"
      " with fewer --workers; what is finished is kept."
    ) from error
  finally:
    pool.shutdown(cancel_futures=True)


def _ignore_interrupts() -> None:
  """Ctrl-C is for the main process; a worker finishes its shard."""
  signal.signal(signal.SIGINT, signal.SIG_IGN)


def _finish(
  source: Source, target: Path, manifests: list[dict], reused: int
) -> Conversion:
  """Writes the index and the list of recordings that were left out."""
  skipped = dict(source.skipped)
  for manifest in manifests:
    skipped |= manifest["skipped"]
  records = sum(len(manifest["names"]) for manifest in manifests)
  lines = [f"{name}: {why}\n" for name, why in skipped.items()]
  files.write_text(target / SKIPPED, "".join(lines))
  if not records:
    raise UserError(
      f"none of the {len(source.recordings)} recordings can be read, see"
      f" {target / SKIPPED}: {lines[0].strip()}"
    )
  keys = ("file", "names", "labels", "splits")
  index = {
    "version": VERSION,
    "kind": source.kind,
    "classes": source.classes,
    "shards": [{key: manifest[key] for key in keys} for manifest in manifests],
    "skipped": len(skipped),
  }
  files.write_json(target / INDEX, index)
  return Conversion(records, skipped, reused, len(manifests))


class _Progress:
  """Counts recordings and says how many a second there are."""

  def __init__(self, total: int, left: int, report: Callable[[str], None]) -> None:
    self._total, self._left, self._report = total, left, report
    self._written = self._skipped = 0
    self._start = time.monotonic()

  def add(self, count: int, skipped: int) -> None:
    self._written += count
    self._left -= count
    self._skipped += skipped
    rate = self._written / max(time.monotonic() - self._start, 1e-9)
    self._report(
      f"{self._total - self._left} of {self._total} recordings, {rate:.0f} a second,"
      f" {self._left / rate:.0f} s left, {self._skipped} left out"
    )
