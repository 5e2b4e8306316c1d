"""Patch Reordering (Shen, Tian, Sun, Tao; AAAI 2017): invariance to where things are.

A feature map is cut into patches, and the patches are sorted by energy: wherever an
object is, its patch comes first. The sorting (`ops.patches`) is inserted behind a place
of any classifier (`config.reorder.at`) and has no parameters; here are only the
placing, the retrieval test and the figures.
"""

from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from jaxvision.data.examples import ImageDataset
from jaxvision.methods.common import (
  classifier,
  image_data,
  invariance,
  supervised,
)
from jaxvision.ops.patches import patch_reorder
from jaxvision.train.stage import Method, State
from jaxvision.viz import patches as patch_figures

load = image_data.load
expected_files = image_data.expected_files


def build(config: ConfigDict, data: ImageDataset) -> Method:
  """Makes the method: one stage, a classifier with patches reordered."""
  model = supervised.build_model(config, len(data.classes), insertions(config))
  return classifier.build(
    config,
    data,
    model,
    evaluate=invariance.evaluator(config, data, model),
    figures=lambda now, folder: draw(config, data, model, now, folder),
  )


def insertions(config: ConfigDict) -> list[dict[str, Any]]:
  """The entry, as `config.insert` takes it; none where `config.reorder.at` is ""."""
  fields = config.reorder.to_dict()
  return [{"kind": "patch_reorder", **fields}] if fields["at"] else []


def draw(
  config: ConfigDict,
  data: ImageDataset,
  model: supervised.Model,
  now: State,
  folder: Path,
) -> None:
  """Draws a feature map before and after reordering, and accuracies by pose."""
  invariance.draw(config, data, model, now, folder)
  if not config.reorder.at:
    return
  before = invariance.maps_before(config, data, model, now, "patch_reorder")
  fields = {k: v for k, v in config.reorder.to_dict().items() if k != "at"}
  after = jax.jit(lambda x: patch_reorder(x, **fields))(before)
  patch_figures.draw_reordering(
    np.asarray(before[0]),
    np.asarray(after[0]),
    folder / "reordering.png",
    n=fields["n"],
    levels=fields["levels"],
  )
