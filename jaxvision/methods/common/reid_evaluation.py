"""Retrieval on target domains, probes of features, ranked lists."""

from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from ml_collections import ConfigDict

from jaxvision import interruption
from jaxvision.data.reid_examples import People, ReidDataset, Target
from jaxvision.errors import UserError
from jaxvision.methods.common import batching
from jaxvision.methods.common.supervised import Evaluate
from jaxvision.metrics import probes, retrieval
from jaxvision.train import sharding, state
from jaxvision.train.stage import Metrics, State
from jaxvision.typing import Array, Float, PyTree
from jaxvision.viz import rank_list

RANKS = (1, 5, 10)
SHOWN, RESULTS = 6, 6  # queries and results in the figure
Describe = Callable[[PyTree, Array], Float[Array, "b d"]]


def evaluator(
  config: ConfigDict, data: ReidDataset, descriptor: Describe, feature: Describe
) -> Evaluate:
  """Returns a stage's `evaluate`.

  Its metrics are "rank1", "rank5", "rank10", "map", "minp" and "valid", the share of
  queries with a match, over splits first and then over targets, and those of each
  target as "viper/rank1". For the split "test" also those of `probe`. A split without
  targets has none.

  Args:
    config: `eval.batch_size` is read.
    data: its targets are searched in.
    descriptor: (variables, inputs) -> what is searched with.
    feature: (variables, inputs) -> what domains are told by.
  """
  descriptor, feature = jax.jit(descriptor), jax.jit(feature)

  def evaluate(now: State, frozen: PyTree, split: str) -> Metrics:
    del frozen
    if split not in data.targets:
      raise UserError(
        f"config.eval.split is {split!r}; {data.name} has {', '.join(data.targets)}."
      )
    found = {
      name: search(describe(config, descriptor, now, target.people), target)
      for name, target in data.targets[split].items()
    }
    if not found:
      return {}
    mean = lambda key: float(np.mean([metrics[key] for metrics in found.values()]))
    total = {key: mean(key) for key in next(iter(found.values()))}
    for name, metrics in found.items():
      total |= {f"{name}/{key}": value for key, value in metrics.items()}
    if split == "test":
      people = data.splits["probe"]
      total |= probe(data, describe(config, feature, now, people))
    return total

  return evaluate


def describe(
  config: ConfigDict, function: Describe, now: State, people: People
) -> Float[np.ndarray, "n d"]:
  """What a jitted function of variables and inputs makes of people, in their order."""
  mesh, variables, parts = sharding.mesh_of(now), state.variables(now), []
  for batch in batching.whole(people, config.eval.batch_size):
    interruption.check()
    x = sharding.place_replicated(batch["input"], mesh)
    found = jax.device_get(function(variables, x))
    parts.append(found[batch["mask"] > 0])
  return np.concatenate(parts)


def search(descriptors: Float[np.ndarray, "n d"], target: Target) -> Metrics:
  """Mean metrics of a target's splits."""
  people = target.people
  each = []
  for query, gallery in target.splits:
    found = retrieval.rank_metrics_of_features(
      descriptors[query],
      descriptors[gallery],
      people.identity[query],
      people.identity[gallery],
      people.camera[query],
      people.camera[gallery],
      max_rank=max(RANKS),
    )
    cmc = found["cmc"]  # cut where the gallery has fewer than ten
    metrics = {f"rank{r}": cmc[min(r, len(cmc)) - 1] for r in RANKS}
    metrics |= {key: found[key] for key in ("map", "minp")}
    each.append({**metrics, "valid": found["valid"].mean()})
  return {key: float(np.mean([m[key] for m in each])) for key in each[0]}


def probe(data: ReidDataset, z: Float[np.ndarray, "n d"]) -> Metrics:
  """What a fresh linear model reads off features of the sources.

  Half of the people are trained on, the other half tested on.

  Args:
    data: of its split "probe".
    z: features of that split.

  Returns:
    "probe/domain", accuracy, and "probe/chance"; of generated people also how much of
    the variance of the code's coordinates is decoded, "probe/correlated", of those that
    go with the domain, and "probe/others".
  """
  people = data.splits["probe"]
  test = people.identity % 2 == 1
  if test.all() or not test.any():
    return {}
  shares = np.bincount(people.domain[test]) / test.sum()
  found = {
    "probe/domain": probes.probe_accuracy(z, people.domain, test),
    "probe/chance": float(shares.max()),
  }
  if people.code is None:
    return found
  r2 = probes.probe_r2(z, people.code, test)
  parts = {"correlated": r2[: data.correlated], "others": r2[data.correlated :]}
  return found | {f"probe/{k}": float(v.mean()) for k, v in parts.items() if len(v)}


def draw(
  config: ConfigDict, data: ReidDataset, descriptor: Describe, now: State, folder: Path
) -> None:
  """Draws `rank_lists_<target>.png` of each target of images: its first split."""
  descriptor = jax.jit(descriptor)
  for name, target in data.targets["test"].items():
    if len(target.people.shape) == 3:
      found = describe(config, descriptor, now, target.people)
      draw_target(found, target, folder / f"rank_lists_{name}.png", title=name)


def draw_target(
  descriptors: Float[np.ndarray, "n d"], target: Target, path: Path, *, title: str
) -> None:
  """Draws queries of a target's first split beside what is nearest to them."""
  people, (query, gallery) = target.people, target.splits[0]
  query = query[:: max(1, len(query) // SHOWN)][:SHOWN]
  distances = retrieval.pairwise_distances(descriptors[query], descriptors[gallery])
  same = people.identity[query, None] == people.identity[gallery]
  junk = same & (people.camera[query, None] == people.camera[gallery])
  distances = np.where(junk, np.inf, distances)
  best = np.argsort(distances, axis=1, kind="stable")
  best = best[:, : min(RESULTS, (~junk).sum(1).min())]
  rows = gallery[best]
  images = people.input[rows.ravel()]
  rank_list.draw_rank_lists(
    people.input[query],
    images.reshape(*rows.shape, *images.shape[1:]),
    np.take_along_axis(same, best, 1),
    np.take_along_axis(distances, best, 1),
    path,
    title=title,
  )
