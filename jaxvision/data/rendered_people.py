"""Generated people, rendered as small figures: the image form of `generated_people`.

The code of a person sets the colours of upper and lower clothing, the build and the
stripes of the upper part; the nuisance of an image sets place, size, stride and what is
carried; a domain has its own light, colour cast, blur and background. Colours, the
first coordinates of the code, are what goes with the domain.
"""

from typing import NamedTuple

import ml_collections
import numpy as np

from jaxvision.data.generated_people import (
  CODE,
  Crowd,
  abstract_dataset,
  draw_dataset,
  draw_mean,
)
from jaxvision.data.reid_examples import ReidDataset
from jaxvision.typing import Bool, Float, UInt8

UPPER, LOWER, BUILD, STRIPES = slice(0, 3), slice(3, 6), 6, 7  # in a code
SKIN = np.array([0.8, 0.62, 0.5])
Canvas = Float[np.ndarray, "n h w 3"]
Grid = tuple[Float[np.ndarray, "1 h 1"], Float[np.ndarray, "1 1 w"]]
Part = tuple[Bool[np.ndarray, "n h w"], Float[np.ndarray, "n i j 3"]]


class Scene(NamedTuple):
  """What a domain does to figures.

  Attributes:
    mean: of the codes.
    light: exponent of the brightness, 1 is none.
    cast: factor of each colour.
    blur: passes of a 3x3 mean.
    ground: colours of the background, above and below.
    tiles: spatial frequency of the background's pattern.
  """

  mean: Float[np.ndarray, " c"]
  light: float
  cast: Float[np.ndarray, "3"]
  blur: int
  ground: Float[np.ndarray, "2 3"]
  tiles: float


def rendered_dataset(config: ml_collections.ConfigDict) -> ReidDataset:
  """Renders sources, probes, a held-out domain and unseen targets.

  Args:
    config: the fields of `jaxvision.data.reid_defaults.DEFAULTS`.

  Raises:
    UserError: numbers out of range.
  """
  size = (config.height, config.width)

  def see(
    rng: np.random.Generator, crowd: Crowd, scene: Scene, noise: float
  ) -> UInt8[np.ndarray, "n h w 3"]:
    return render(rng, crowd, scene, noise=noise, size=size)

  return draw_dataset(config, draw_scene, see)


def abstract_rendered(config: ml_collections.ConfigDict) -> ReidDataset:
  """Sizes of `rendered_dataset`, without its images."""
  shape = (config.height, config.width, 3)
  return abstract_dataset(config, shape, np.dtype(np.uint8))


def draw_scene(rng: np.random.Generator, fields: ml_collections.ConfigDict) -> Scene:
  """Draws a domain."""
  return Scene(
    draw_mean(rng, fields, CODE),
    float(np.exp(rng.uniform(-0.5, 0.5))),
    rng.uniform(0.7, 1.2, 3),
    int(rng.integers(0, 3)),
    rng.uniform(0.1, 0.9, (2, 3)),
    float(rng.uniform(0.5, 3.0)),
  )


def render(
  rng: np.random.Generator,
  crowd: Crowd,
  scene: Scene,
  *,
  noise: float,
  size: tuple[int, int],
) -> UInt8[np.ndarray, "n h w 3"]:
  """Images of people in a domain.

  Args:
    rng: of the noise of the pixels.
    crowd: whom to draw.
    scene: where.
    noise: standard deviation, of values in [0, 1].
    size: (height, width) in pixels.
  """
  height, width = size
  grid = (
    ((np.arange(height) + 0.5) / height)[None, :, None],
    ((np.arange(width) + 0.5) / width)[None, None, :],
  )
  x = _background(scene, grid, len(crowd.code))
  for inside, colour in _parts(crowd, grid):
    x = np.where(inside[..., None], colour, x)
  for _ in range(scene.blur):
    x = _blurred(x)
  x = np.clip(x, 0, 1) ** scene.light * scene.cast
  x = x + noise / 4 * rng.normal(size=x.shape)
  return np.rint(255 * np.clip(x, 0, 1)).astype(np.uint8)


def _background(scene: Scene, grid: Grid, count: int) -> Canvas:
  row, column = (g[..., None] for g in grid)
  plain = scene.ground[0] * (1 - row) + scene.ground[1] * row
  wave = np.sin(2 * np.pi * scene.tiles * (row + column)) * 0.1
  return np.repeat(plain + wave, count, axis=0)


def _parts(crowd: Crowd, grid: Grid) -> list[Part]:
  """What covers what: (where, its colour), from the back to the front."""
  code, chance = crowd.code, np.tanh(crowd.nuisance)
  at = lambda values: values[:, None, None]
  scale = at(1 + 0.1 * chance[:, 0])
  row = (grid[0] - 0.5 - at(0.05 * chance[:, 1])) / scale
  column = (grid[1] - 0.5 - at(0.1 * chance[:, 2])) / scale
  half = at(0.2 + 0.06 * np.tanh(code[:, BUILD]))  # of the body's width
  stride = at(0.08 * (1 + chance[:, 3]))
  upper, lower = (_colour(code[:, part]) for part in (UPPER, LOWER))
  stripes = 6 + 5 * np.tanh(at(code[:, STRIPES]))
  dark = 1 - 0.4 * (np.sin(2 * np.pi * stripes * row) > 0)
  legs = (np.abs(np.abs(column) - stride) < 0.4 * half) & (row > 0.05) & (row < 0.42)
  body = (np.abs(column) < half) & (row > -0.28) & (row <= 0.08)
  head = (row + 0.36) ** 2 + (column / 2) ** 2 < 0.007
  bag = (np.abs(column - half) < 0.12) & (np.abs(row) < 0.08) & at(chance[:, 4] > 0.3)
  whole = lambda colour: np.broadcast_to(colour, (len(code), 1, 1, 3))
  return [
    (legs, lower[:, None, None]),
    (body, upper[:, None, None] * dark[..., None]),
    (head, whole(SKIN)),
    (bag, whole(np.array([0.25, 0.2, 0.15]))),
  ]


def _colour(code: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
  return 1 / (1 + np.exp(-code))


def _blurred(x: Canvas) -> Canvas:
  """A 3x3 mean, at the rim of what is there."""
  x = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
  x = (x[:, :-2] + x[:, 1:-1] + x[:, 2:]) / 3
  return (x[:, :, :-2] + x[:, :, 1:-1] + x[:, :, 2:]) / 3
