"""Retrieval with a classifier's features: the other task of papers on invariance."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

import jax
import numpy as np
from ml_collections import ConfigDict

from jaxvision.data import retrieval_files, retrieval_tasks
from jaxvision.data.batches import padded_batches
from jaxvision.data.examples import AbstractExamples, ImageDataset
from jaxvision.data.retrieval_files import RetrievalFiles
from jaxvision.data.retrieval_tasks import RetrievalTask
from jaxvision.errors import UserError
from jaxvision.layers import insertion
from jaxvision.methods.common import views
from jaxvision.methods.common.classifier import network_input
from jaxvision.methods.common.descriptors import descriptors
from jaxvision.methods.common.supervised import Model
from jaxvision.metrics import retrieval
from jaxvision.ops import distortions
from jaxvision.train import state
from jaxvision.train.stage import Metrics, State
from jaxvision.typing import PyTree
from jaxvision.viz import rank_list

OWN = "test"  # the source that needs no files: distorted images of the test split
SEED = 0  # of instances and poses, the same for all runs
SHOWN, RANKS = 6, 6  # queries and results in the figure
READERS = {  # source: (metric, reader of its folder)
  "ukbench": ("ns", retrieval_files.read_ukbench),
  "holidays": ("map", retrieval_files.read_holidays),
}


def check(config: ConfigDict, data: ImageDataset, model: Model) -> None:
  """Checks `config.retrieval` before training rather than after it.

  Raises:
    UserError: a source, a distortion or a place that does not exist.
  """
  fields = config.retrieval
  if not fields.source:
    return
  _check_place(fields.at, insertion.places(model, network_input(config, data)))
  if _folder(config) is None:
    _find_distortion(fields)
  elif not isinstance(data.splits["train"], AbstractExamples):
    _files(config)


def _check_place(at: str, places: Mapping[str, PyTree]) -> None:
  """Takes the places for one image."""
  if at not in places:
    raise UserError(
      f"config.retrieval.at: {at!r} is no place of the model; "
      f"its places are {', '.join(places)}."
    )
  shape = places[at]
  if not (isinstance(shape, tuple) and shape[:1] == (1,)):
    raise UserError(
      f"config.retrieval.at: {at!r} holds {shape} for one image; choose a place with "
      "one row an image."
    )


def expected_files(config: ConfigDict) -> tuple[str, ...]:
  """Says which files `config.retrieval` expects where."""
  found = _folder(config)
  if found is None:
    return ()
  kind, folder = found
  name = {"ukbench": "ukbench00000.jpg", "holidays": "100000.jpg"}[kind]
  return (f"{folder}/{name}, ...: images to retrieve",)


def metrics(
  config: ConfigDict, data: ImageDataset, model: Model, now: State
) -> Metrics:
  """Scores retrieval as `config.retrieval` says; nothing where `source` is "".

  Returns:
    "retrieval/ns", UK-Bench's score in [0, 4], where all groups have four images, and
    "retrieval/map", Holidays' mean average precision in [0, 1].
  """
  if not config.retrieval.source:
    return {}
  found = {}
  for name, task in _tasks(config, data).items():
    distances = _distances(config, model, now, task)
    if name == "ns":
      found["retrieval/ns"] = float(retrieval.ns_score(distances, task.group))
    else:
      found["retrieval/map"] = float(retrieval.holidays_map(distances, task.number))
  return found


def draw(
  config: ConfigDict, data: ImageDataset, model: Model, now: State, folder: Path
) -> None:
  """Draws `retrieval.png`: queries and what is nearest to them."""
  if not config.retrieval.source:
    return
  task = next(iter(_tasks(config, data).values()))
  distances = _distances(config, model, now, task)
  _, queries = np.unique(task.group, return_index=True)
  queries = queries[:: max(1, len(queries) // SHOWN)][:SHOWN]
  rows = distances[queries]
  rows[np.arange(len(queries)), queries] = np.inf  # not the query itself
  best = np.argsort(rows, axis=1, kind="stable")[:, :RANKS]
  rank_list.draw_rank_lists(
    task.image[queries],
    task.image[best.ravel()].reshape(*best.shape, *task.image[:1].shape[1:]),
    task.group[best] == task.group[queries, None],
    np.take_along_axis(rows, best, 1),
    folder / "retrieval.png",
  )


def _distances(
  config: ConfigDict, model: Model, now: State, task: RetrievalTask
) -> np.ndarray:
  fields = config.retrieval
  found = descriptors(
    model,
    state.variables(now),
    padded_batches(task, config.eval.batch_size),
    fields.at,
    pooling=fields.pooling,
  )
  return retrieval.pairwise_distances(found, found)


def _tasks(config: ConfigDict, data: ImageDataset) -> dict[str, RetrievalTask]:
  """{"ns" or "map": task} of `config.retrieval.source`."""
  if _folder(config) is None:
    return _own_tasks(config, data)
  name, files = _files(config)
  shape, view = data.splits["train"].shape, jax.jit(views.make_views(config).plain)
  return {name: retrieval_tasks.file_task(files, shape, fit=data.fit, view=view)}


def _folder(config: ConfigDict) -> tuple[str, str] | None:
  """(kind, folder) of a source of files; None of the one that needs none.

  Raises:
    UserError: a source that is none.
  """
  source = config.retrieval.source
  kind, _, folder = source.partition(":")
  if source in ("", OWN):
    return None
  if kind not in READERS or not folder:
    raise UserError(
      f"config.retrieval.source is {source!r}; choose {OWN}, ukbench:FOLDER or "
      "holidays:FOLDER."
    )
  return kind, folder


def _files(config: ConfigDict) -> tuple[str, RetrievalFiles]:
  """(metric, files) of a source of files."""
  kind, folder = _folder(config)
  metric, read = READERS[kind]
  return metric, read(folder)


def _own_tasks(config: ConfigDict, data: ImageDataset) -> dict[str, RetrievalTask]:
  """Groups of test images in random poses, in both forms."""
  fields, test = config.retrieval, data.splits["test"]
  count = min(fields.instances, len(test))
  images = retrieval_tasks.instances(test, count, seed=SEED)
  plain = np.asarray(jax.jit(views.make_views(config).plain)(images))
  distort, key = _distortion(fields, plain.shape[1]), jax.random.key(SEED)
  return {
    "ns": retrieval_tasks.ukbench_task(plain, distort, key=key),
    "map": retrieval_tasks.holidays_task(plain, distort, key=key),
  }


def _distortion(fields: ConfigDict, canvas: int) -> Callable[..., jax.Array]:
  """Poses of what already lies on the network's canvas."""
  pose = _find_distortion(fields)
  whole = dataclasses.replace(pose, canvas=canvas, object_size=canvas)
  return jax.jit(lambda key, image: distortions.distort(key, image, whole))


def _find_distortion(fields: ConfigDict) -> distortions.Distortion:
  try:
    return distortions.find_distortion(fields.distortion)
  except ValueError as error:
    raise UserError(f"config.retrieval.distortion: {error}") from error
