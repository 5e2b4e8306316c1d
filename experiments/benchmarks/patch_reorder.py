"""Patch reordering against torch's sort and gather.

    python experiments/benchmarks/patch_reorder.py [--fast]

Prints two JSON lines a case: the reordering ("forward"), then it with the gradient of
its input ("both"); below 1 we are faster. Torch moves single elements by `gather` or
whole patches by `index_select`, whichever it does faster. The results are compared
first. `--fast` takes a small batch and few rounds.

Needs `pip install 'jaxvision[bench]'`.
"""

import argparse
import functools
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import jax
import numpy as np
import torch

from experiments.benchmarks import against_torch
from jaxvision.ops.patches import patch_reorder

SHAPE = (64, 28, 28, 64)
CASES = (
  {"n": 2, "levels": 1, "shared": False},
  {"n": 2, "levels": 2, "shared": False},
  {"n": 4, "levels": 1, "shared": False},
  {"n": 2, "levels": 1, "shared": True},
)
Case = dict[str, Any]
Move = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def gather_elements(patches: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
  """Moves patches [b, c, k, pixels] to `order` [b, c, k]."""
  return patches.gather(2, order[..., None].expand(patches.shape))


def select_patches(patches: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
  """As `gather_elements`; a patch is a row in memory."""
  b, c, k, pixels = patches.shape
  first = torch.arange(0, b * c * k, k).view(b, c, 1)
  rows = patches.reshape(-1, pixels).index_select(0, (first + order).flatten())
  return rows.view(patches.shape)


def twin(
  x: torch.Tensor, move: Move, *, n: int, levels: int, shared: bool
) -> torch.Tensor:
  """Reorders "b c h w", torch's fastest layout as a patch's pixels lie together.

  Several levels with `shared` are not written: the patches are taken for channels.
  """
  b, c, h, w = x.shape
  split = x.view(b, c, n, h // n, n, w // n)
  energy = split.detach().square().sum((3, 5)).flatten(2)
  if shared:
    energy = energy.sum(1, keepdim=True)
  order = energy.sort(dim=2, descending=True, stable=True).indices
  patches = split.transpose(3, 4).reshape(b, c, n * n, -1)
  patches = move(patches, order.expand(b, c, n * n))
  if levels > 1:
    maps = patches.view(b, c * n * n, h // n, w // n)
    patches = twin(maps, move, n=n, levels=levels - 1, shared=shared)
  return patches.view(b, c, n, n, h // n, w // n).transpose(3, 4).reshape(x.shape)


def ours(x: np.ndarray, g: np.ndarray, case: Case) -> dict[str, Callable[[], Any]]:
  """The programs "forward" and "both"."""
  reorder = functools.partial(patch_reorder, **case)

  def both(x, g):
    y, pull_back = jax.vjp(reorder, x)
    return y, *pull_back(g)

  x, g = jax.device_put((x, g))
  return {
    "forward": functools.partial(jax.jit(reorder), x),
    "both": functools.partial(jax.jit(both), x, g),
  }


def torchs(
  x: np.ndarray, g: np.ndarray, case: Case, move: Move
) -> dict[str, Callable[[], Any]]:
  """The programs of the twin."""
  leaf, g = (torch.from_numpy(a.transpose(0, 3, 1, 2).copy()) for a in (x, g))

  def forward():
    with torch.no_grad():
      return twin(leaf, move, **case)

  def both():
    x = leaf.detach().requires_grad_()
    y = twin(x, move, **case)
    return y, *torch.autograd.grad(y, x, g)

  return {"forward": forward, "both": both}


def fastest(programs: dict[str, Callable[[], Any]], trials: int = 3) -> str:
  """Name of the program with the shortest time on one thread."""
  torch.set_num_threads(1)
  seconds = {}
  for name in list(programs) * trials:
    begin = time.perf_counter()
    programs[name]()
    elapsed = time.perf_counter() - begin
    seconds[name] = min(elapsed, seconds.get(name, elapsed))
  return min(seconds, key=seconds.get)


def assert_same(ours: Callable[[], Any], torchs: Callable[[], Any]) -> None:
  """Compares outputs and gradients."""
  for a, b in zip(ours(), torchs(), strict=True):
    # Sums differ in rounding, which may swap patches of all but equal energies.
    differ = np.mean(np.asarray(a) != b.detach().numpy().transpose(0, 2, 3, 1))
    if differ > 1e-3:
      raise AssertionError(f"{differ:.1%} of the values differ from torch's.")


def compare(case: Case, shape: tuple[int, ...], rounds: int) -> None:
  """Prints the two lines of a case."""
  rng = np.random.default_rng(0)
  x, g = (rng.standard_normal(shape, np.float32) for _ in range(2))
  mine = ours(x, g, case)
  moves = (gather_elements, select_patches)
  twins = {move.__name__: torchs(x, g, case, move) for move in moves}
  for made in twins.values():
    assert_same(mine["both"], made["both"])
  for part, program in mine.items():
    name = fastest({name: made[part] for name, made in twins.items()})
    facts = {"part": part, "shape": shape, **case, "torch_move": name}
    programs = {"jaxvision": program, "torch": twins[name][part]}
    against_torch.compare(
      "patch_reorder", programs, rounds, lambda times, facts=facts: facts
    )


def main() -> None:
  """Runs all cases."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--fast", action="store_true", help="small batch, few rounds")
  fast = parser.parse_args().fast
  for case in CASES:
    compare(case, (4, *SHAPE[1:]) if fast else SHAPE, rounds=3 if fast else 7)


if __name__ == "__main__":
  main()
