"""Measures the convolution's gradients against lax's, in a loop and out of it.

    python experiments/benchmarks/convolution.py [--fast]

A program takes two steps of gradient descent on a layer's inputs and kernel, one after
the other or in a `fori_loop` ("_loop"). Prints two JSON lines a layer: ratios to lax
outside a loop, then to lax in a loop, the latter for a batch of 4 as it takes so long.
`--fast` takes that batch throughout, and few rounds.
"""

import argparse
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from timing import measure, report

from jaxvision.ops.convolution import convolution

LAYOUTS = {1: ("NWC", "WIO", "NWC"), 2: ("NHWC", "HWIO", "NHWC")}
Step = Callable[[tuple[jax.Array, jax.Array]], tuple[jax.Array, jax.Array]]


class Layer(NamedTuple):
  """Shapes of the inputs and the kernel; one stride for all axes."""

  inputs: tuple[int, ...]
  kernel: tuple[int, ...]
  stride: int = 1


LAYERS = {
  "cnn 28x28x1": Layer((100, 28, 28, 1), (3, 3, 1, 32)),
  "cnn 14x14x32": Layer((100, 14, 14, 32), (3, 3, 32, 64)),
  "cnn 8x8x1": Layer((100, 8, 8, 1), (3, 3, 1, 32)),
  "cnn 4x4x32": Layer((100, 4, 4, 32), (3, 3, 32, 64)),
  "cnn 2x2x64": Layer((100, 2, 2, 64), (3, 3, 64, 128)),
  "cnn 32x32x3": Layer((100, 32, 32, 3), (3, 3, 3, 64)),
  "resnet 32x32x64": Layer((64, 32, 32, 64), (3, 3, 64, 64)),
  "resnet 16x16x128": Layer((64, 16, 16, 128), (3, 3, 128, 128)),
  "resnet 8x8x256": Layer((64, 8, 8, 256), (3, 3, 256, 256)),
  "resnet 4x4x512": Layer((64, 4, 4, 512), (3, 3, 512, 512)),
  "resnet 3x3/2": Layer((64, 32, 32, 64), (3, 3, 64, 128), 2),
  "resnet 1x1/2": Layer((64, 32, 32, 64), (1, 1, 64, 128), 2),
  "resnet 1x1": Layer((64, 32, 32, 64), (1, 1, 64, 128)),
  "skeleton 9x1": Layer((16, 150, 25, 64), (9, 1, 64, 64)),
  "temporal 3": Layer((8, 256, 512), (3, 512, 512)),
}


def descent(function: Callable[..., jax.Array], layer: Layer) -> Step:
  """A step down the gradient of the mean square of the outputs."""
  spatial = len(layer.inputs) - 2
  strides = (layer.stride,) * spatial

  def loss(arrays):
    y = function(*arrays, strides, "SAME", dimension_numbers=LAYOUTS[spatial])
    return jnp.mean(y**2)

  return lambda arrays: jax.tree.map(jnp.subtract, arrays, jax.grad(loss)(arrays))


def programs(layer: Layer) -> dict[str, Callable[[], Any]]:
  """Two steps of lax's and ours, in a loop and out of it."""
  keys = jax.random.split(jax.random.key(0))
  x = jax.random.normal(keys[0], layer.inputs)
  arrays = (x, 0.05 * jax.random.normal(keys[1], layer.kernel))
  made = {}
  for name, function in {"lax": lax.conv_general_dilated, "ours": convolution}.items():
    step = descent(function, layer)
    twice = lambda arrays, step=step: step(step(arrays))
    loop = lambda arrays, step=step: lax.fori_loop(0, 2, lambda _, a: step(a), arrays)
    made[name] = functools.partial(jax.jit(twice), arrays)
    made[f"{name}_loop"] = functools.partial(jax.jit(loop), arrays)
  return made


def time_layer(name: str, layer: Layer, names: Sequence[str], *, rounds: int) -> None:
  """Prints a line: the named programs of a layer, the first of them the baseline."""
  made = programs(layer)
  times = measure({key: made[key] for key in names}, rounds=rounds)
  report(name, times, baseline=names[0], **layer._asdict())


def main() -> None:
  """Times all layers."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--fast", action="store_true", help="small batches, few rounds")
  fast = parser.parse_args().fast
  for name, layer in LAYERS.items():
    small = layer._replace(inputs=(4, *layer.inputs[1:]))
    chosen, rounds = (small, 3) if fast else (layer, 7)
    time_layer(name, chosen, ("lax", "ours", "ours_loop"), rounds=rounds)
    time_layer(name, small, ("lax_loop", "ours_loop"), rounds=1)


if __name__ == "__main__":
  main()
