"""STIGCN's inference and training step against a torch twin and our own ST-GCN.

taskset -c 0 python experiments/benchmarks/skeleton.py [--fast] [--own]

Sizes are 16 sequences of one person and 150 frames, and the paper's: two persons, 300
frames, of 4 examples; of 25 joints each. Prints JSON lines. `stigcn_infer` and
`stigcn_train` are our time by that of the twin, below 1 we are faster; the twin has two
forms, see `skeleton_twins`. In `st_gcn_infer` and `st_gcn_train` ratios are our
ST-GCN's time by our STIGCN's, the throughput of STIGCN in ST-GCN's. On one core, as
above, the ratios of CPU time hold on a busy machine, too. `--fast` takes the first size
and few rounds, `--own` compares with ST-GCN only.
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
SIZES = ((16, 1, 150), (4, 2, 300))  # examples, persons, frames
JOINTS, CLASSES = 25, 60


class Ours:
  """A network of ours: inference and training steps on one batch."""

  def __init__(self, name: str, x: jax.Array, labels: jax.Array):
    """Initialises; the batch stays resident."""
    self.model = models.build({"name": name, "classes": CLASSES})
    self.batch = x, labels
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


def data(examples: int, persons: int, frames: int) -> tuple[jax.Array, jax.Array]:
  """Sequences [b, m, t, v, c] and labels."""
  shape = (examples, persons, frames, JOINTS, 3)
  x = jax.random.normal(jax.random.key(0), shape)
  return x, jnp.arange(examples) % CLASSES


def twin(form: str, x: jax.Array, labels: jax.Array) -> Programs:
  """The twin's programs."""
  adjacency = graphs.spatial_adjacency(graphs.skeleton("ntu"))
  fixed = torch.tensor(np.asarray(graphs.inception_adjacency(adjacency)))
  net = skeleton_twins.STIGCN(fixed, x.shape[1], form)
  y = torch.tensor(np.asarray(x)).permute(0, 4, 2, 3, 1).contiguous()
  labels = torch.tensor(np.asarray(labels)).long()
  step = skeleton_twins.train_step(net, y, labels)
  return {"train": step, "infer": skeleton_twins.inference(net, y)}


def compare_with_torch(
  ours: Ours, batch: tuple[jax.Array, jax.Array], rounds: int, facts: dict[str, int]
) -> None:
  """Prints a line a program and form of the twin."""
  for form in ("project", "literal"):
    theirs, line = twin(form, *batch), {**facts, "twin": form}
    for kind in ("infer", "train"):
      programs = {"jaxvision": getattr(ours, kind), "torch": theirs[kind]}
      against_torch.compare(
        f"stigcn_{kind}", programs, rounds, lambda _, line=line: line
      )


def compare_with_st_gcn(
  ours: Ours, batch: tuple[jax.Array, jax.Array], rounds: int, facts: dict[str, int]
) -> None:
  """Prints a line a program."""
  baseline = Ours("st_gcn", *batch)
  for kind in ("infer", "train"):
    programs = {"stigcn": getattr(ours, kind), "st_gcn": getattr(baseline, kind)}
    times = timing.measure(programs, rounds=rounds)
    timing.report(f"st_gcn_{kind}", times, baseline="stigcn", **facts)


def main() -> None:
  """Runs all cases."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--fast", action="store_true")
  parser.add_argument("--own", action="store_true")
  args = parser.parse_args()
  rounds = 3 if args.fast else 7
  for size in SIZES[:1] if args.fast else SIZES:
    batch = data(*size)
    ours = Ours("stigcn", *batch)
    facts = dict(zip(("examples", "persons", "frames"), size, strict=True))
    if not args.own:
      compare_with_torch(ours, batch, rounds, facts)
    compare_with_st_gcn(ours, batch, rounds, facts)


if __name__ == "__main__":
  main()
