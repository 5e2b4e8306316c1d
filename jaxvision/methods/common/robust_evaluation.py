"""Robust accuracy of an image classifier under the attack that the config names.

Evaluations by AutoAttack take hours. After every batch the counts so far are written to
a small file; a run that is killed goes on behind its last finished batch, with the same
result: chance depends on the seed and the batch's number alone.
"""

import hashlib
import json
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jaxvision import files, interruption
from jaxvision.attacks import checks
from jaxvision.attacks.classifier import LogitsFn
from jaxvision.errors import UserError
from jaxvision.methods.common import robust_attacks
from jaxvision.methods.common.image_data import as_float
from jaxvision.methods.common.robust_attacks import FIELDS, Counts
from jaxvision.train import reports
from jaxvision.typing import Array, PyTree

Batch = Mapping[str, Any]
See = Callable[[int, np.ndarray, np.ndarray, Array], None]
ROWS = "examples"  # beside the counts of a batch's stages, and its checksum
CHECKSUM = "crc32"


class RobustAccuracy(NamedTuple):
  """The result of an evaluation.

  Attributes:
    metrics: {"robust/<attack>": accuracy}, and of each stage before the attack's end
      "robust/<attack>/<stage>"; "clean" is the first.
    stages: the table: {stage: accuracy after it}, in order.
    examples: number of images.
  """

  metrics: dict[str, float]
  stages: dict[str, float]
  examples: int


def evaluate(
  config: ConfigDict,
  logits_fn: LogitsFn,
  variables: PyTree,
  batches: Iterable[Batch],
  *,
  progress: Path | None = None,
  report: Callable[[str], None] = reports.show,
  see: See = lambda number, x, y, x_adv: None,
) -> RobustAccuracy:
  """Attacks a classifier batch by batch.

  Args:
    config: `seed` and `attack` are read, whose name is that of one attack.
    logits_fn: (variables, images in [0, 1]) -> logits; compiled once for all batches.
    variables: its first argument.
    batches: "image" (uint8, or floats in [0, 1]), "label" and, of padded batches,
      "mask"; the same at every call.
    progress: the file of finished batches; None keeps none. It is ignored, and said to
      be, if it belongs to other weights, another attack or another seed.
    report: takes lines of progress.
    see: called with (number, x, y, x_adv) of a batch, when it is attacked and before
      it is in the file: what is drawn of it need not be kept for a resumed run.

  Raises:
    UserError: an attack or a field that cannot be; no image; images outside of [0, 1].
    Interrupted: SIGTERM arrived; the finished batches are in the file.
  """
  attack = robust_attacks.choose(config.attack)
  mark = _fingerprint(config, variables)
  done = _read(progress, mark, report)
  counts: list[dict[str, int]] = []
  for number, batch in enumerate(batches):
    interruption.check()
    x, y = _rows(batch)
    checksum = zlib.crc32(y.tobytes(), zlib.crc32(x.tobytes()))
    if number < len(done) and done[number][CHECKSUM] == checksum:
      counts.append(done[number])
      continue
    done = []  # other data than those of the file from here on
    key = jax.random.fold_in(jax.random.key(config.seed), number)
    found = attack.run(
      key, logits_fn, variables, jnp.asarray(x), jnp.asarray(y),
      lambda line, number=number: report(f"batch {number + 1}: {line}"),
    )  # fmt: skip
    see(number, x, y, found.x_adv)
    counts.append({ROWS: len(x), CHECKSUM: checksum, **found.counts})
    if progress is not None:
      files.write_json(progress, {"fingerprint": mark, "batches": counts})
  total = _total(attack.label, counts)
  for doubt in _doubts_of_stages(total.stages):
    report(f"warning: {doubt}")
  return total


def doubts(logits_fn: LogitsFn, variables: PyTree, batch: Batch) -> list[str]:
  """Tells if a classifier hides its gradients from attacks; see `attacks.checks`.

  Args:
    logits_fn: as of `evaluate`.
    variables: its first argument.
    batch: a few images.
  """
  x, y = map(jnp.asarray, _rows(batch))
  return checks.doubts_of_gradients(logits_fn, x, y, variables=variables)


def _doubts_of_stages(stages: Mapping[str, float]) -> list[str]:
  if not {"fab-t", "square"} <= set(stages):
    return []
  return checks.doubts_of_square(stages["fab-t"], stages["square"])


def _rows(batch: Batch) -> tuple[np.ndarray, np.ndarray]:
  """Images and labels of a batch without its padding, on the host."""
  image, label = (np.asarray(batch[name]) for name in ("image", "label"))
  if "mask" in batch:
    real = np.asarray(batch["mask"]) > 0
    image, label = image[real], label[real]
  return np.asarray(as_float(image)), label


def _total(label: str, counts: list[Counts]) -> RobustAccuracy:
  examples = sum(batch[ROWS] for batch in counts)
  if not examples:
    raise UserError("there is no image to attack.")
  names = [name for name in counts[0] if name not in (ROWS, CHECKSUM)]
  stages = {name: sum(batch[name] for batch in counts) / examples for name in names}
  *earlier, last = names
  metrics = {f"robust/{label}": stages[last]}
  metrics |= {f"robust/{label}/{name}": stages[name] for name in earlier}
  return RobustAccuracy(metrics, stages, examples)


def _fingerprint(config: ConfigDict, variables: PyTree) -> str:
  """Of what decides a batch's counts: the attack, the seed, the weights."""
  attack = {key: config.attack[key] for key in FIELDS}
  digest = hashlib.sha256(json.dumps([attack, config.seed], sort_keys=True).encode())
  for path, leaf in jax.tree_util.tree_leaves_with_path(variables):
    digest.update(jax.tree_util.keystr(path).encode())
    digest.update(np.asarray(leaf).tobytes())
  return digest.hexdigest()


def _read(
  path: Path | None, fingerprint: str, report: Callable[[str], None]
) -> list[dict[str, int]]:
  if path is None or not path.exists():
    return []
  try:
    stored = json.loads(path.read_text())
    mark, batches = stored["fingerprint"], list(stored["batches"])
  except (ValueError, KeyError, TypeError):
    mark, batches = "", []
  if mark != fingerprint:
    report(f"starting fresh: {path.name} is of another attack, seed or state.")
    return []
  report(f"resumed from batch {len(batches) + 1}")
  return batches
