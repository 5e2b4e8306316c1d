"""Generated people: vectors of several domains, whose identities go with the domain.

A person is a code of 8 numbers. Some of them have a mean that depends on the domain:
they tell people apart and domains, too, which is what a domain-invariant feature must
forget. An image adds a nuisance; a domain mixes, scales and shifts what is seen.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import ml_collections
import numpy as np

from jaxvision.data.field_checks import check_least
from jaxvision.data.reid_examples import (
  AbstractInputs,
  People,
  ReidDataset,
  Split,
  Target,
)
from jaxvision.errors import UserError
from jaxvision.typing import Float, Int

CODE, NUISANCE, HIDDEN, WIDTH = 8, 8, 64, 64
WORLD = 0  # seed of what all domains and all seeds share
PROBED = 50  # identities of each source that features are probed with, not trained on
PROBED_IMAGES = 4
Codes = Float[np.ndarray, "n c"]


class Domain(NamedTuple):
  """What a domain does to people.

  Attributes:
    mean: of the codes.
    gain: of each coordinate of an input.
    offset: likewise.
  """

  mean: Float[np.ndarray, " c"]
  gain: Float[np.ndarray, " d"]
  offset: Float[np.ndarray, " d"]


class Crowd(NamedTuple):
  """People before they are seen, one an image.

  Attributes:
    identity: from 0.
    camera: number of the image within its identity.
    code: of the identity.
    nuisance: of the image.
  """

  identity: Int[np.ndarray, " n"]
  camera: Int[np.ndarray, " n"]
  code: Codes
  nuisance: Float[np.ndarray, "n v"]


def generated_dataset(config: ml_collections.ConfigDict) -> ReidDataset:
  """Generates sources, probes, a held-out domain and unseen targets.

  Args:
    config: the fields of `jaxvision.data.reid_defaults.DEFAULTS`.

  Raises:
    UserError: numbers out of range.
  """
  return draw_dataset(config, draw_domain, see)


def draw_dataset(
  config: ml_collections.ConfigDict,
  draw_domain: Callable[[np.random.Generator, ml_collections.ConfigDict], Any],
  see: Callable[[np.random.Generator, Crowd, Any, float], np.ndarray],
) -> ReidDataset:
  """A data set of people that are drawn.

  Args:
    config: the fields of `DEFAULTS`.
    draw_domain: (rng, fields of `DRAWN`) -> domain with a `mean` of codes.
    see: (rng, crowd, domain, noise) -> inputs.
  """
  check(config)
  fields = config.drawn
  rng = np.random.default_rng(config.seed)
  total = fields.sources + 1 + fields.targets
  domains = [draw_domain(rng, fields) for _ in range(total)]
  numbers = {"fields": fields, "see": see}
  sources = range(fields.sources)
  parts = [
    _people(rng, domains[k], k, fields.identities, fields.images, **numbers)
    for k in sources
  ]
  probes = [
    _people(rng, domains[k], k, PROBED, PROBED_IMAGES, **numbers) for k in sources
  ]
  tests = [
    _target(_people(rng, d, 0, fields.target_identities, 2, **numbers))
    for d in domains[fields.sources :]
  ]
  return ReidDataset(
    config.name,
    "",
    tuple(f"source {k}" for k in sources),
    fields.sources * fields.identities,
    {"train": join(parts), "probe": join(probes)},
    {
      "val": {"held_out": tests[0]},
      "test": {f"target{k}": target for k, target in enumerate(tests[1:])},
    },
    correlated=fields.correlated,
  )


def abstract_dataset(
  config: ml_collections.ConfigDict, shape: tuple[int, ...], dtype: np.dtype
) -> ReidDataset:
  """Sizes of a drawn data set with inputs of this kind, without its numbers."""
  check(config)
  fields = config.drawn
  count = fields.sources * fields.identities * fields.images
  people = abstract_people(count, fields.sources, shape, dtype)
  names = tuple(f"source {k}" for k in range(fields.sources))
  identities = fields.sources * fields.identities
  splits = {"train": people, "probe": people}
  return ReidDataset(config.name, "", names, identities, splits, {}, fields.correlated)


def abstract_people(
  count: int, domains: int, shape: tuple[int, ...], dtype: np.dtype
) -> People:
  """So many people of so many domains, of whom nothing else is known."""
  unknown = np.zeros(count, int)
  inputs = AbstractInputs((count, *shape), np.dtype(dtype))
  return People(inputs, unknown, np.arange(count) % domains, unknown)


def draw_domain(rng: np.random.Generator, fields: ml_collections.ConfigDict) -> Domain:
  """Draws a domain of `generated_dataset`."""
  return Domain(
    draw_mean(rng, fields, CODE),
    np.exp(0.5 * rng.normal(size=WIDTH)),
    0.8 * rng.normal(size=WIDTH),
  )


def draw_mean(
  rng: np.random.Generator, fields: ml_collections.ConfigDict, size: int
) -> Float[np.ndarray, " c"]:
  """Mean of a domain's codes: 0 but for the correlated coordinates, the first ones."""
  mean = fields.strength * rng.normal(size=size)
  return np.where(np.arange(size) < fields.correlated, mean, 0.0)


def see(
  rng: np.random.Generator, crowd: Crowd, domain: Domain, noise: float
) -> Float[np.ndarray, "n d"]:
  """Inputs of people in a domain, float32."""
  world = np.random.default_rng(WORLD)
  size = CODE + NUISANCE
  mix = world.normal(size=(size, HIDDEN)) * 1.5 / np.sqrt(size)
  out = world.normal(size=(HIDDEN, WIDTH)) / np.sqrt(HIDDEN)
  hidden = np.tanh(np.concatenate([crowd.code, crowd.nuisance], 1) @ mix)
  x = hidden @ out * domain.gain + domain.offset
  return (x + noise * rng.normal(size=x.shape)).astype(np.float32)


def join(parts: list[People]) -> People:
  """People of several domains; identities are numbered on from one to the next."""
  before = np.cumsum([0, *(p.identity.max() + 1 for p in parts[:-1])])
  identity = [p.identity + b for p, b in zip(parts, before, strict=True)]
  codes = [p.code for p in parts if p.code is not None]
  return People(
    np.concatenate([p.input for p in parts]),
    np.concatenate(identity),
    np.concatenate([p.domain for p in parts]),
    np.concatenate([p.camera for p in parts]),
    np.concatenate(codes) if codes else None,
  )


def _people(rng, domain, number, identities, images, *, fields, see) -> People:
  code = domain.mean + rng.normal(size=(identities, len(domain.mean)))
  identity, camera = (x.ravel() for x in np.mgrid[:identities, :images])
  nuisance = fields.nuisance * rng.normal(size=(len(identity), NUISANCE))
  crowd = Crowd(identity, camera, code[identity], nuisance)
  inputs = see(rng, crowd, domain, fields.noise)
  return People(inputs, identity, np.full_like(identity, number), camera, crowd.code)


def _target(people: People) -> Target:
  rows = (np.flatnonzero(people.camera == c) for c in (0, 1))
  return Target(people, (Split(*rows),))


def check(config: ml_collections.ConfigDict) -> None:
  """Raises `UserError` for numbers of `config.drawn` that are out of range."""
  fields = config.drawn
  sizes = ("sources", "targets", "identities", "images", "target_identities")
  check_least(fields, sizes, 1, at="data.drawn")
  if not 0 <= fields.correlated <= CODE:
    raise UserError(
      f"--config.data.drawn.correlated={fields.correlated}: a code has {CODE} numbers."
    )
  check_least(fields, ("strength", "nuisance", "noise"), 0, at="data.drawn")
