"""TICNN (Shen, Tian, He, Sun, Tao; ACM Multimedia 2016): invariance by random warps.

In training, feature maps inside the network are turned, scaled and shifted at random,
so that no filter relies on one pose of what it sees; at inference nothing is done. The
warps (`ops.warp`) are inserted behind places of any classifier (`config.transform.at`);
"input" is data augmentation, the paper's baseline.
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
from jaxvision.ops.warp import WarpSpec, random_transform
from jaxvision.train.stage import Method, State
from jaxvision.viz import warps

load = image_data.load
expected_files = image_data.expected_files
SHOWN = 6  # warps in the figure


def build(config: ConfigDict, data: ImageDataset) -> Method:
  """Makes the method: one stage, a classifier with maps warped in training."""
  model = supervised.build_model(config, len(data.classes), insertions(config))
  return classifier.build(
    config,
    data,
    model,
    evaluate=invariance.evaluator(config, data, model),
    figures=lambda now, folder: draw(config, data, model, now, folder),
  )


def insertions(config: ConfigDict) -> list[dict[str, Any]]:
  """The entry, as `config.insert` takes it; none where `config.transform.at` is ""."""
  fields = config.transform.to_dict()
  return [{"kind": "random_transform", **fields}] if fields["at"] else []


def draw(
  config: ConfigDict,
  data: ImageDataset,
  model: supervised.Model,
  now: State,
  folder: Path,
) -> None:
  """Draws a feature map under some of the warps, and accuracies by pose."""
  invariance.draw(config, data, model, now, folder)
  if not config.transform.at:
    return
  before = invariance.maps_before(config, data, model, now, "random_transform")
  fields = {k: v for k, v in config.transform.to_dict().items() if k != "at"}
  spec = WarpSpec(**fields)
  strongest = np.asarray(before[0]).mean((0, 1)).argmax()
  x = before[:1, :, :, strongest : strongest + 1]
  keys = jax.random.split(jax.random.key(config.seed), SHOWN)
  after = jax.jit(jax.vmap(lambda key: random_transform(key, x, spec)[0]))(keys)
  warps.draw_warps(
    np.repeat(np.asarray(x), SHOWN, axis=0), np.asarray(after), folder / "warps.png"
  )
