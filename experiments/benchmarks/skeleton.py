"""STIGCN's inference and training step against a torch twin and our own ST-GCN.

python experiments/benchmarks/skeleton.py [--fast]

Sizes are (sequences, frames, joints) = (16, 150, 25), of two persons an example, and
(8, 300, 25), the paper's length. The twin is timed in two forms, see
`skeleton_twins`. Prints JSON lines; below 1 we are faster, and in the lines
"stigcn_by_st_gcn" STIGCN is faster than ST-GCN. `--fast` takes the first size and few
rounds.
"""

import argparse
import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch

from experiments.benchmarks import against_torch, skeleton_twins, timing
from jaxvision import models
from jaxvision.ops import graphs

Programs = dict[str, Callable[[], Any]]
SIZES = ((8, 150), (4, 300))  # examples of two persons, frames
JOINTS, CLASSES = 25, 60


class Ours:
  """A network of ours: inference and training steps on one batch."""

  def __init__(self, name: str, x: jax.Array, labels: jax.Array):
    """Initialises; the batch stays resident."""
    self.model, self.batch = (
      models.build({"name": name, "classes": CLASSES}),
      (x, labels),
    )
    self.optimizer = optax.chain(
      optax.add_decayed_weights(5e-4), optax.sgd(0.1, momentum=0.9, nesterov=True)
    )
    variables = jax.jit(self.model.init)(jax.random.key(0), x)
    self.state = variables, self.optimizer.init(variables["params"])
    self._step = jax.jit(self._update, donate_argnums=0)
    self._infer = jax.jit(self.model.apply)

  def train(self) -> jax.Array:
    """Takes a step; returns its loss."""
    self.state, loss = self._step(self.state, *self.batch)
    return jax.block_until_ready((self.state, loss))[1]

  def infer(self) -> jax.Array:
    """Returns logits."""
    return self._infer(self.state[0], self.batch[0])

  def _update(self, state, x, labels):
    variables, moments = state
    loss = functools.partial(self._loss, variables["batch_stats"], x, labels)
    params = variables["params"]
    (value, stats), grads = jax.value_and_grad(loss, has_aux=True)(params)
    updates, moments = self.optimizer.update(grads, moments, params)
    params = optax.apply_updates(params, updates)
    return ({"params": params, **stats}, moments), value

  def _loss(self, stats, x, labels, params):
    logits, stats = self.model.apply(
      {"params": params, "batch_stats": stats},
      x,
      train=True,
      mutable=["batch_stats"],
      rngs={"dropout": jax.random.key(0)},
    )
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    return losses.mean(), stats


def data(examples: int, frames: int) -> tuple[jax.Array, jax.Array]:
  """Sequences [b, m, t, v, c] and labels."""
  shape = (examples, skeleton_twins.PERSONS, frames, JOINTS, 3)
  x = jax.random.normal(jax.random.key(0), shape)
  return x, jnp.arange(examples) % CLASSES


def twin(form: str, x: jax.Array, labels: jax.Array) -> dict[str, Callable[[], Any]]:
  """The twin's programs."""
  adjacency = graphs.spatial_adjacency(graphs.skeleton("ntu"))
  fixed = torch.tensor(np.asarray(graphs.inception_adjacency(adjacency)))
  net = skeleton_twins.STIGCN(fixed, form)
  y = torch.tensor(np.asarray(x)).permute(0, 4, 2, 3, 1).contiguous()
  labels = torch.tensor(np.asarray(labels)).long()
  step = skeleton_twins.train_step(net, y, labels)
  return {"train": step, "infer": skeleton_twins.inference(net, y)}


def main() -> None:
  """Runs all cases."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--fast", action="store_true")
  fast = parser.parse_args().fast
  rounds = 3 if fast else 7
  for examples, frames in SIZES[:1] if fast else SIZES:
    batch = data(examples, frames)
    ours, baseline = Ours("stigcn", *batch), Ours("st_gcn", *batch)
    size = {"sequences": skeleton_twins.PERSONS * examples, "frames": frames}
    for kind in ("infer", "train"):
      for form in ("project", "literal"):
        programs = {"jaxvision": getattr(ours, kind), "torch": twin(form, *batch)[kind]}
        facts = {**size, "twin": form}
        against_torch.compare(
          f"stigcn_{kind}", programs, rounds, lambda _, facts=facts: facts
        )
      programs = {"stigcn": getattr(ours, kind), "st_gcn": getattr(baseline, kind)}
      times = timing.measure(programs, rounds=rounds)
      timing.report(f"stigcn_by_st_gcn_{kind}", times, baseline="st_gcn", **size)


if __name__ == "__main__":
  main()
