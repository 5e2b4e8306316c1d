"""Patch Reordering (Shen, Tian, Sun, Tao; AAAI 2017): invariance to where things are.

A feature map is cut into patches, and the patches are sorted by energy: wherever an
object is, its patch comes first. The sorting (`ops.patches`) is inserted behind a place
of any classifier (`config.reorder.at`) and has no parameters; here are only the
placing and the figure.
"""

from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from jaxvision.data.examples import ImageDataset
from jaxvision.methods.common import image_data, invariance
from jaxvision.ops.patches import patch_reorder
from jaxvision.train.stage import Method
from jaxvision.typing import Array, Float
from jaxvision.viz import patches

load = image_data.load
expected_files = invariance.expected_files


def build(config: ConfigDict, data: ImageDataset) -> Method:
  """Makes the method: one stage, a classifier with patches reordered."""

  def draw(before: Float[Array, "b h w c"], folder: Path) -> None:
    fields = {k: v for k, v in config.reorder.to_dict().items() if k != "at"}
    after = jax.jit(lambda x: patch_reorder(x, **fields))(before)
    maps = (np.asarray(x[0]) for x in (before, after))
    sizes = {key: fields[key] for key in ("n", "levels")}
    patches.draw_reordering(*maps, folder / "reordering.png", **sizes)

  return invariance.build(config, data, insertions(config), draw)


def insertions(config: ConfigDict) -> list[dict[str, Any]]:
  """The entry, as `config.insert` takes it; none where `config.reorder.at` is ""."""
  fields = config.reorder.to_dict()
  return [{"kind": "patch_reorder", **fields}] if fields["at"] else []
