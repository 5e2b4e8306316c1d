"""How accuracy falls as the images turn and move: curves of a trained classifier."""

from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jaxvision import interruption
from jaxvision.data.examples import ImageDataset
from jaxvision.methods.common import batching, classification, views
from jaxvision.methods.common.supervised import Model
from jaxvision.metrics.classification import in_top_k
from jaxvision.ops.warp import affine_warp
from jaxvision.train import sharding, state
from jaxvision.train.stage import State
from jaxvision.typing import Array, PyTree
from jaxvision.viz.robustness import draw_accuracy_curves

Pose = tuple[float, float]  # (angle in degrees, shift to the right in pixels)


def draw(
  config: ConfigDict, data: ImageDataset, model: Model, now: State, folder: Path
) -> None:
  """Draws accuracy against angle and shift on the first test images.

  Args:
    config: `robustness` is read: `examples`, `angles` in degrees, `shifts` in pixels.
    data: with a split "test".
    model: the classifier.
    now: its state.
    folder: of `accuracy_by_angle.png` and `accuracy_by_shift.png`.
  """
  fields = config.robustness
  for name, values, pose in (
    ("angle", fields.angles, lambda value: (value, 0.0)),
    ("shift", fields.shifts, lambda value: (0.0, value)),
  ):
    found = accuracies(config, data, model, now, [pose(v) for v in values])
    unit = {"angle": "angle (degrees)", "shift": "shift (pixels)"}[name]
    path = folder / f"accuracy_by_{name}.png"
    draw_accuracy_curves({config.method: found}, np.array(values), path, xlabel=unit)


def accuracies(
  config: ConfigDict,
  data: ImageDataset,
  model: Model,
  now: State,
  poses: Sequence[Pose],
) -> np.ndarray:
  """Accuracy in [0, 1] on the first test images in each pose."""
  hits = _hits(config, model)
  variables, mesh = state.variables(now), sharding.mesh_of(now)
  total, rows = np.zeros(len(poses)), 0
  for batch in batching.whole(data.splits["test"], config.eval.batch_size):
    interruption.check()
    mask = batch["mask"] * (rows + np.arange(len(batch["mask"])) < _limit(config))
    placed = sharding.place_replicated({**batch, "mask": mask}, mesh)
    found = [hits(variables, placed, *np.float32(pose)) for pose in poses]
    total += np.array(jax.device_get(found))
    rows += len(mask)
    if rows >= _limit(config):
      break
  return total / min(_limit(config), len(data.splits["test"]))


def _limit(config: ConfigDict) -> int:
  return config.robustness.examples


def _hits(config: ConfigDict, model: Model) -> Callable[..., Array]:
  """(variables, batch, angle, shift) -> number of right answers; compiled once."""
  plain, logits = views.make_views(config).plain, classification.logits_fn(model)

  @jax.jit
  def hits(variables: PyTree, batch: PyTree, angle: Array, shift: Array) -> Array:
    x = affine_warp(plain(batch["image"]), angle=angle, shift=(0.0, shift))
    found = in_top_k(logits(variables, x), batch["label"])
    return jnp.sum(found * batch["mask"])

  return hits
