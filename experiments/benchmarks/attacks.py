"""The attacks of AutoAttack, and PGD, against torch twins on the same network.

    python experiments/benchmarks/attacks.py [--fast] [--stages pgd fab-t ...]

Prints a JSON line a stage; below 1 we are faster. The network is a small CNN with
random weights, the images have 28x28 pixels; labels are its own predictions and the
radius is so small that (nearly) all images hold, so that both do the same work. What
they find is compared first. `--fast` takes a small batch, few steps and few rounds.

Needs `pip install 'jaxvision[bench]'`.
"""

import argparse
import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import jax
import jax.numpy as jnp
import numpy as np
import torch

from experiments.benchmarks import against_torch, attack_twins
from jaxvision.attacks import objectives, pgd
from jaxvision.attacks.apgd import ascend, windows
from jaxvision.attacks.fab import seek_boundary
from jaxvision.attacks.objectives import Aim
from jaxvision.attacks.square import search_squares, square_sides
from jaxvision.ops.convolution import convolution

SIDE, CLASSES, EPS = 28, 10, 1e-3
STAGES = ("pgd", "apgd-ce", "apgd-t", "fab-t", "square")
Programs = dict[str, Callable[[], Any]]


def network(weights: dict[str, jax.Array], x: jax.Array) -> jax.Array:
  """Two 3x3 convolutions, the second with stride 2, and a dense layer."""
  conv = functools.partial(
    convolution,
    padding=[(1, 1), (1, 1)],
    dimension_numbers=("NHWC", "HWIO", "NHWC"),
  )
  x = jax.nn.relu(conv(x, weights["first"], (1, 1)))
  x = jax.nn.relu(conv(x, weights["second"], (2, 2)))
  return x.reshape(len(x), -1) @ weights["dense"]


def problem(batch: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
  """Random weights and images."""
  rng = np.random.default_rng(0)
  he = lambda *shape: (
    rng.normal(size=shape) * np.sqrt(2 / np.prod(shape[:-1]))
  ).astype(np.float32)
  weights = {
    "first": he(3, 3, 1, 32),
    "second": he(3, 3, 32, 64),
    "dense": he((SIDE // 2) ** 2 * 64, CLASSES),
  }
  return weights, rng.random((batch, SIDE, SIDE, 1)).astype(np.float32)


def ours(batch: int, steps: int, queries: int) -> Programs:
  """{stage: program} of jaxvision; each returns its adversarial images."""
  weights, x = jax.device_put(problem(batch))
  y, target = labels(weights, x)
  keys, everyone = jax.random.split(jax.random.key(0), batch), jnp.ones(batch, bool)
  climb = lambda objective, aim: (
    ascend(network, objective, x, aim, x, eps=EPS, steps=steps, variables=weights).x_adv
  )
  return {
    "pgd": lambda: pgd(
      keys[0], network, x, y, eps=EPS, step_size=EPS / 10, steps=steps, start=x,
      variables=weights,
    ),
    "apgd-ce": lambda: climb(objectives.ce, Aim(y)),
    "apgd-t": lambda: climb(objectives.dlr_targeted, Aim(y, target)),
    "fab-t": lambda: seek_boundary(
      network, x, y, target, steps=steps, variables=weights
    ).x_adv,
    "square": lambda: search_squares(
      keys, network, x, y, everyone, eps=EPS, queries=queries, variables=weights
    ).x_adv,
  }  # fmt: skip


def torchs(batch: int, steps: int, queries: int) -> Programs:
  """The programs of the twin, from the same starts."""
  weights, image = problem(batch)
  net = attack_twins.network(weights)
  x = torch.from_numpy(image.transpose(0, 3, 1, 2).copy())
  y, target = (
    torch.from_numpy(np.asarray(a, np.int64)) for a in labels(weights, image)
  )
  table, sides = windows(steps), square_sides(queries, SIDE, SIDE)
  ce, dlr = attack_twins.cross_entropy(y), attack_twins.dlr_targeted(y, target)
  climb = lambda objective: attack_twins.apgd(
    net, objective, x, y, x, eps=EPS, windows=table
  )[0]
  return {
    "pgd": lambda: attack_twins.pgd(
      net, ce, x, x, eps=EPS, step_size=EPS / 10, steps=steps
    ),
    "apgd-ce": lambda: climb(ce),
    "apgd-t": lambda: climb(dlr),
    "fab-t": lambda: attack_twins.fab(net, x, y, target, steps=steps)[0],
    "square": lambda: attack_twins.square(net, x, y, eps=EPS, sides=sides)[0],
  }


def labels(weights: dict[str, Any], x: Any) -> tuple[jax.Array, jax.Array]:
  """The network's own predictions, and its second choices."""
  logits = network(weights, x)
  return jnp.argmax(logits, 1), objectives.target_of_rank(logits, 2)


def assert_same(stage: str, programs: Programs) -> None:
  """Compares what is found: pixels, except of Square, which draws its own."""
  ours, theirs = (np.asarray(run()) for run in programs.values())
  theirs = theirs.transpose(0, 2, 3, 1)
  if stage == "square":
    return
  # Signs of gradients next to 0 differ, and an attack that goes on from there.
  differ = np.mean(np.abs(ours - theirs) > EPS / 20)
  if differ > 0.02:
    raise AssertionError(f"{stage}: {differ:.1%} of the pixels differ from torch's.")


def main() -> None:
  """Runs all stages."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--fast", action="store_true", help="small batch, few steps")
  parser.add_argument("--stages", nargs="*", choices=STAGES, default=STAGES)
  args = parser.parse_args()
  batch, steps, queries = sizes = (32, 10, 50) if args.fast else (128, 100, 500)
  mine, twins = ours(*sizes), torchs(*sizes)
  for stage in args.stages:
    programs = {"jaxvision": mine[stage], "torch": twins[stage]}
    assert_same(stage, programs)
    facts = {"stage": stage, "batch": batch, "steps": steps}
    if stage == "square":
      facts = {"stage": stage, "batch": batch, "queries": queries}
    against_torch.compare(
      "attacks", programs, 3 if args.fast else 5, lambda times, facts=facts: facts
    )


if __name__ == "__main__":
  main()
