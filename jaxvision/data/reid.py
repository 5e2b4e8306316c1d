"""Re-identification data: `load_reid(config.data)`.

Sources are data sets to train on, each a domain; targets are others to search in. Both
are folders of images (`reid_known`), or are generated without any file.
"""

from pathlib import Path

import ml_collections
import numpy as np

from jaxvision.data import generated_people, rendered_people
from jaxvision.data.generated_people import WIDTH, abstract_people
from jaxvision.data.reid_defaults import FOLDERS, GENERATED, RENDERED
from jaxvision.data.reid_examples import (
  FileInputs,
  People,
  ReidDataset,
  Split,
  Target,
)
from jaxvision.data.reid_known import SOURCES, TARGETS, expected, read_files
from jaxvision.data.reid_layouts import PersonFiles
from jaxvision.data.reid_protocols import single_shot, stored_splits
from jaxvision.errors import UserError

KINDS = (GENERATED, RENDERED, FOLDERS)
PROBED = 4000  # training images that features of files are probed with, at most


def load_reid(config: ml_collections.ConfigDict) -> ReidDataset:
  """Loads data to train on and to search in.

  Args:
    config: the fields of `jaxvision.data.reid_defaults.DEFAULTS`.

  Raises:
    UserError: naming the field, the folder or the file that is wrong.
  """
  _check(config)
  if config.name == GENERATED:
    return generated_people.generated_dataset(config)
  if config.name == RENDERED:
    return rendered_people.rendered_dataset(config)
  if not config.folder:
    raise UserError(
      "--config.data.name=folders needs --config.data.folder=FOLDER, which holds a"
      " folder for each data set."
    )
  return _from_folders(config)


def abstract_reid(config: ml_collections.ConfigDict) -> ReidDataset:
  """Sizes of the data, for a plan; well-known data sets need no files.

  Args:
    config: the fields of `DEFAULTS`.

  Raises:
    UserError: naming the field, the folder or the file that is wrong.
  """
  _check(config)
  if config.name == GENERATED:
    return generated_people.abstract_dataset(config, (WIDTH,), np.dtype(np.float32))
  if config.name == RENDERED:
    return rendered_people.abstract_rendered(config)
  names = training_sources(config)
  counts = [_counts(config, name) for name in names]
  images, identities = (sum(each) for each in zip(*counts, strict=True))
  shape = (config.height, config.width, 3)
  people = abstract_people(images, len(names), shape, np.dtype(np.uint8))
  splits = {"train": people, "probe": people}
  return ReidDataset(_name(config), "", names, identities, splits, {})


def _counts(config: ml_collections.ConfigDict, name: str) -> tuple[int, int]:
  """(images, identities) of a source."""
  if name in SOURCES:
    return SOURCES[name].images, SOURCES[name].identities
  found = read_files(config.folder, name)
  return len(found.paths), len(np.unique(found.identity))


def expected_files(config: ml_collections.ConfigDict) -> tuple[str, ...]:
  """One sentence for each data set: which files are expected where.

  Args:
    config: the fields of `DEFAULTS`.
  """
  if config.name != FOLDERS:
    return (f"{config.name}: no files; people are drawn from --config.data.seed",)
  folder = config.folder or "--config.data.folder=FOLDER"
  splits = config.splits or f"{folder}/<target>"
  return (
    *(f"{folder}/{expected(name)}: a source" for name in config.sources),
    *(f"{folder}/{expected(name)}: a target" for name in config.targets),
    f"{splits}/splits_<target>.json: written where it is missing",
  )


def training_sources(config: ml_collections.ConfigDict) -> tuple[str, ...]:
  """The sources but for the one that is held out."""
  return tuple(name for name in config.sources if name != config.held_out)


def _check(config: ml_collections.ConfigDict) -> None:
  if config.name not in KINDS:
    raise UserError(
      f"--config.data.name={config.name!r} is unknown: give {', '.join(KINDS)}."
    )
  if min(config.height, config.width) < 1:
    raise UserError("--config.data.height and width are 1 or more.")
  if config.name != FOLDERS:
    return
  if config.held_out and config.held_out not in config.sources:
    raise UserError(
      f"--config.data.held_out={config.held_out!r} is none of config.data.sources."
    )
  if not training_sources(config):
    raise UserError("config.data.sources leaves nothing to train on: name a source.")
  unfit = [name for name in config.sources if name in TARGETS]
  if unfit:
    raise UserError(f"config.data.sources names {unfit[0]}, a target without cameras.")
  twice = [name for name in config.sources if config.sources.count(name) > 1]
  if twice:
    raise UserError(f"config.data.sources names {twice[0]} twice: name each once.")
  both = set(config.sources) & set(config.targets)
  if both:
    raise UserError(
      f"{min(both)} is in config.data.sources and in config.data.targets: targets are"
      " to be unseen."
    )


def _name(config: ml_collections.ConfigDict) -> str:
  return "+".join(training_sources(config))


def _from_folders(config: ml_collections.ConfigDict) -> ReidDataset:
  names = training_sources(config)
  files = [read_files(config.folder, name) for name in names]
  train = _train(files, config)
  targets = {name: _target(name, config) for name in config.targets}
  held_out = {config.held_out: _held_out(config)} if config.held_out else {}
  rng = np.random.default_rng(config.seed)
  probed = np.sort(rng.permutation(len(train))[:PROBED])
  identities = int(train.identity.max()) + 1
  splits = {"train": train, "probe": _taken(train, probed)}
  return ReidDataset(
    _name(config), "", names, identities, splits, {"val": held_out, "test": targets}
  )


def _train(files: list[PersonFiles], config: ml_collections.ConfigDict) -> People:
  """All images of all sources; people are numbered from 0."""
  identity, domain = [], []
  for number, found in enumerate(files):
    before = identity[-1].max() + 1 if identity else 0
    identity.append(before + np.unique(found.identity, return_inverse=True)[1])
    domain.append(np.full(len(found.paths), number))
  return People(
    _inputs(tuple(path for found in files for path in found.paths), config),
    np.concatenate(identity),
    np.concatenate(domain),
    np.concatenate([found.camera for found in files]),
  )


def _inputs(
  paths: tuple[Path, ...], config: ml_collections.ConfigDict
) -> FileInputs | np.ndarray:
  """Images of files, in memory if they fit there."""
  inputs = FileInputs(paths, config.height, config.width)
  small = int(np.prod(inputs.shape)) <= config.resident_bytes
  return inputs.read() if small else inputs


def _taken(people: People, rows: np.ndarray) -> People:
  """Some of the people, still unread if they were."""
  inputs = people.input
  if isinstance(inputs, FileInputs):
    paths = tuple(inputs.paths[i] for i in rows)
    inputs = FileInputs(paths, inputs.height, inputs.width)
  else:
    inputs = inputs[rows]
  return People(inputs, people.identity[rows], people.domain[rows], people.camera[rows])


def _target(name: str, config: ml_collections.ConfigDict) -> Target:
  files = read_files(config.folder, name)
  folder = Path(config.splits).expanduser() if config.splits else files.root
  return _searched(files, stored_splits(name, files, folder), config)


def _held_out(config: ml_collections.ConfigDict) -> Target:
  """A source as a target: one split, single shot, of the run's own seed."""
  files = read_files(config.folder, config.held_out)
  split = single_shot(files, np.random.default_rng(config.seed))
  return _searched(files, (split,), config)


def _searched(
  files: PersonFiles, splits: tuple[Split, ...], config: ml_collections.ConfigDict
) -> Target:
  """A target of those images that any split uses; unknown cameras all differ."""
  used = np.unique(np.concatenate([rows for split in splits for rows in split]))
  place = np.full(len(files.paths), -1)
  place[used] = np.arange(len(used))
  camera = files.camera[used]
  camera = np.where(camera < 0, files.camera.max() + 1 + np.arange(len(used)), camera)
  paths = tuple(files.paths[i] for i in used)
  domain = np.zeros(len(used), int)
  people = People(_inputs(paths, config), files.identity[used], domain, camera)
  return Target(people, tuple(Split(*(place[rows] for rows in s)) for s in splits))
