"""Times affine warps against torch's grid_sample.

    python experiments/benchmarks/warp.py [--fast]

Prints a JSON line for each size of maps, for one warp a batch and one an image, forward
alone and with the gradient to the maps; below 1 we are faster. Ours starts from angles,
scales and shifts; torch gets its grid and its mask ready-made, and its faster layout.
`--fast` takes a quarter of the batch, and few rounds.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from experiments.benchmarks import against_torch
from jaxvision.ops.warp import affine_coordinates, affine_matrix, affine_warp

SHAPES = [(64, 28, 28, 16), (64, 14, 14, 64), (64, 32, 32, 1)]
Program = Callable[[], Any]


class Pose(NamedTuple):
  """Arguments of `affine_warp`."""

  angle: jax.Array
  scale: jax.Array
  shift: jax.Array


def poses(count: int) -> Pose:
  """Poses of the ranges that TICNN trains with."""
  uniform = np.random.default_rng(0).uniform
  return Pose(
    jnp.asarray(uniform(-45, 45, count), jnp.float32),
    jnp.asarray(uniform(0.8, 1.2, count), jnp.float32),
    jnp.asarray(uniform(-3, 3, (count, 2)), jnp.float32),
  )


def ours(x: jax.Array, pose: Pose, backward: bool) -> Program:
  """The warp from its parameters, and what it sends back for a gradient of `x`."""

  @jax.jit
  def run(x, pose):
    warped = lambda x: affine_warp(x, **pose._asdict())
    if not backward:
      return warped(x)
    y, pull = jax.vjp(warped, x)
    return y, pull(x)

  return lambda: run(x, pose)


def theirs(x: jax.Array, pose: Pose, backward: bool) -> Program:
  """The same by torch, in the faster of its layouts."""
  b, h, w, _ = x.shape
  q = np.array(affine_coordinates(affine_matrix(*pose), (h, w)))
  inside = np.all((q >= -0.5) & (q < np.array([h, w]) - 0.5), -1)
  mask = torch.tensor(inside[:, None].astype(np.float32))
  grid = torch.tensor((2 * q / (np.array([h, w]) - 1) - 1)[..., ::-1].copy())
  grid = grid.to(torch.float32).expand(b, h, w, 2)
  maps = torch.tensor(np.asarray(x)).permute(0, 3, 1, 2)
  layouts = maps.contiguous(), maps.contiguous(memory_format=torch.channels_last)
  programs = [_grid_sample(layout, grid, mask, backward) for layout in layouts]
  return min(programs, key=_seconds)


def _grid_sample(
  maps: torch.Tensor, grid: torch.Tensor, mask: torch.Tensor, backward: bool
) -> Program:
  maps = maps.clone(memory_format=torch.preserve_format).requires_grad_(backward)
  cotangent = maps.detach()

  def run():
    y = torch.nn.functional.grid_sample(
      maps, grid, "bilinear", padding_mode="border", align_corners=True
    )
    y = y * mask
    return torch.autograd.grad(y, maps, cotangent) if backward else y

  return run


def _seconds(run: Program, trials: int = 3) -> float:
  run()
  elapsed = []
  for _ in range(trials):
    begin = time.perf_counter()
    run()
    elapsed.append(time.perf_counter() - begin)
  return min(elapsed)


def main() -> None:
  """Times all cases."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--fast", action="store_true", help="small batches, few rounds")
  fast = parser.parse_args().fast
  for b, *rest in SHAPES:
    shape = (b // 4 if fast else b, *rest)
    x = jnp.asarray(np.random.default_rng(1).normal(size=shape), jnp.float32)
    for warps in (1, shape[0]):
      pose = poses(warps)
      for backward in (False, True):
        programs = {
          "jaxvision": ours(x, pose, backward),
          "torch": theirs(x, pose, backward),
        }
        facts = {"shape": shape, "warps": warps, "backward": backward}
        against_torch.compare(
          "warp", programs, 3 if fast else 15, lambda _, facts=facts: facts
        )


if __name__ == "__main__":
  main()
