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
from jaxvision.methods.common import image_data, invariance
from jaxvision.ops.warp import WarpSpec, random_transform
from jaxvision.train.stage import Method
from jaxvision.typing import Array, Float
from jaxvision.viz import warps

load = image_data.load
expected_files = invariance.expected_files
SHOWN = 6  # warps in the figure


def build(config: ConfigDict, data: ImageDataset) -> Method:
  """Makes the method: one stage, a classifier with maps warped in training."""

  def draw(before: Float[Array, "b h w c"], folder: Path) -> None:
    fields = {k: v for k, v in config.transform.to_dict().items() if k != "at"}
    x = _strongest(before[:1])
    keys = jax.random.split(jax.random.key(config.seed), SHOWN)
    warp = lambda key: random_transform(key, x, WarpSpec(**fields))[0]
    after = np.asarray(jax.jit(jax.vmap(warp))(keys))
    warps.draw_warps(np.repeat(np.asarray(x), SHOWN, 0), after, folder / "warps.png")

  return invariance.build(config, data, insertions(config), draw)


def insertions(config: ConfigDict) -> list[dict[str, Any]]:
  """The entry, as `config.insert` takes it; none where `config.transform.at` is ""."""
  fields = config.transform.to_dict()
  return [{"kind": "random_transform", **fields}] if fields["at"] else []


def _strongest(maps: Float[Array, "1 h w c"]) -> Float[Array, "1 h w 1"]:
  """The channel that answers most."""
  channel = int(maps.mean((0, 1, 2)).argmax())
  return maps[..., channel : channel + 1]
