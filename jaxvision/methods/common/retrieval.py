"""Retrieval with a classifier's features: the other task of papers on invariance."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from ml_collections import ConfigDict

from jaxvision.data import image_files, retrieval_files, retrieval_tasks
from jaxvision.data.batches import padded_batches
from jaxvision.data.examples import ImageDataset
from jaxvision.data.retrieval_tasks import RetrievalTask
from jaxvision.errors import UserError
from jaxvision.methods.common import views
from jaxvision.methods.common.classifier import network_input
from jaxvision.methods.common.descriptors import descriptors
from jaxvision.methods.common.supervised import Model
from jaxvision.metrics import retrieval
from jaxvision.ops import distortions
from jaxvision.train import state
from jaxvision.train.stage import Metrics, State
from jaxvision.viz import rank_list

OWN = "test"  # the source that needs no files: distorted images of the test split
SEED = 0  # of instances and poses, the same for all runs
SHOWN, RANKS = 6, 6  # queries and results in the figure


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
    task.image[best],
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
  kind, _, folder = config.retrieval.source.partition(":")
  if kind == OWN and not folder:
    return _own_tasks(config, data)
  readers = {
    "ukbench": ("ns", retrieval_files.read_ukbench),
    "holidays": ("map", retrieval_files.read_holidays),
  }
  if kind not in readers or not folder:
    raise UserError(
      f"config.retrieval.source is {config.retrieval.source!r}; choose {OWN}, "
      "ukbench:FOLDER or holidays:FOLDER."
    )
  name, read = readers[kind]
  files = read(folder)
  shape = network_input(config, data).shape[1:]
  paths = [str(path) for path in files.paths]
  images = [x for _, x in image_files.read_images(paths, shape, np.dtype("float32"))]
  return {name: RetrievalTask(np.stack(images), files.number, files.group)}


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
  try:
    pose = distortions.find_distortion(fields.distortion)
  except ValueError as error:
    raise UserError(f"config.retrieval.distortion: {error}") from error
  whole = dataclasses.replace(pose, canvas=canvas, object_size=canvas)
  return jax.jit(lambda key, image: distortions.distort(key, image, whole))
