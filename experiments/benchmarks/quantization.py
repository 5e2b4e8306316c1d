"""Training steps of quantized ResNets against torch twins, and inference in integers.

    python experiments/benchmarks/quantization.py [--fast] [--depths 20 18]

Networks are the CIFAR ResNet-20 and the ResNet-18 for CIFAR; a step is plain, with
ternary soft weights, or with two-bit soft activations as well. The twins run in
`channels_last` and start from the same weights and quantizers: the losses of the first
step are compared. Ours is the step of `configs/quantization_networks.py`. Prints a JSON
line a case, below 1 we are faster; then one of the hard network's inference in int8
(`config.quantize.integers`) against the same in floating point, both ours. `--fast`
takes a small batch and few rounds.

Needs `pip install 'jaxvision[bench]'`.
"""

import argparse
import dataclasses
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import jax
import jax.numpy as jnp
import numpy as np
import torch
from ml_collections import ConfigDict

from configs import quantization_networks as config_file
from experiments.benchmarks import against_torch, quantization_twins, timing
from jaxvision.data.examples import ArrayExamples, ImageDataset
from jaxvision.methods import quantization_networks as method
from jaxvision.methods.common import supervised
from jaxvision.ops.quantization import LEVELS

MODELS = {
  20: {"name": "cifar_resnet", "depth": 20},
  18: {"name": "resnet", "depth": 18, "stem": "cifar", "bias": False},
}
PLACES = r"stage\d/block\d/relu\d"
KINDS = {  # kind of step: (quantized weights, quantized activations)
  "plain": (False, False),
  "weights": (True, False),
  "weights_activations": (True, True),
}
TOLERANCE = 1e-3  # between losses of the first step


def configure(depth: int, kind: str, batch: int, weights: str) -> ConfigDict:
  """The method's config for one case, starting from a file of weights."""
  config = config_file.get_config()
  quantized, activations = KINDS[kind]
  with config.unlocked():
    config.model = MODELS[depth]
    config.batch_size, config.init_from, config.pretrain = batch, weights, not quantized
    config.restart = True  # so that T is 5, as in the twins
    if not quantized:
      config.quantize.weights = ()
    if activations:
      config.quantize.activations = ({"at": PLACES, "levels": "a2"},)
    config.phases.float.clip_norm = 5.0
    config.phases.float.weight_decay = 0.0
    for phase in config.phases.values():
      phase.learning_rate = 1e-4
  return config


def random_images(batch: int) -> ImageDataset:
  """As many images as a batch has, for all splits."""
  rng = np.random.default_rng(0)
  image = rng.integers(0, 256, (batch, 32, 32, 3), np.uint8)
  examples = ArrayExamples(image, rng.integers(0, 10, batch).astype(np.int32))
  splits = dict.fromkeys(("train", "val", "test"), examples)
  return ImageDataset("random", "", tuple(map(str, range(10))), splits)


class Ours:
  """The last stage of the method: steps on one batch."""

  def __init__(self, config: ConfigDict, data: ImageDataset):
    """Initialises all stages, each from the one before, and trains none."""
    self.data, states = data, {}
    for stage in method.build(config, data).stages:
      frozen, rows = stage.frozen(states), np.arange(config.batch_size, dtype=np.int32)
      states[stage.name] = jax.jit(stage.init)(jax.random.key(0), frozen, rows)
    self.state, self._inputs = states[stage.name], (frozen, rows, jax.random.key(1))
    self._step = jax.jit(stage.step, donate_argnums=0)
    self.model = supervised.build_model(config, len(data.classes))

  def train(self) -> float:
    """Takes a step; returns its loss."""
    self.state, logs = self._step(self.state, *self._inputs)
    return float(jax.block_until_ready((self.state, logs))[1]["loss"])

  def quantizers(self) -> list[dict[str, np.ndarray]]:
    """Parameters of the activation quantizers, in the order of the network."""
    params, found = jax.device_get(self.state["params"]), []
    for stage in sorted(name for name in params if name.startswith("stage")):
      for block in sorted(params[stage]):
        for relu in ("relu1", "relu2"):
          found.append(params[stage][block][relu]["quantize"]["quantizer"])
    return found

  def inference(self, *, integers: bool) -> Callable[[], Any]:
    """A program that computes the hard network's logits of the batch."""
    inner = dataclasses.replace(self.model.model, integers=integers)
    model = self.model._replace(model=inner)
    variables = {k: self.state[k] for k in ("params", "batch_stats")}
    x = jnp.asarray(self.data.splits["test"].image, jnp.float32) / 255
    run = jax.jit(lambda x: model.apply(variables, x))
    return lambda: run(x)


def twin(
  net: torch.nn.Module, kind: str, ours: Ours, data: ImageDataset
) -> Callable[[], float]:
  """The same step in torch."""
  quantized, activations = KINDS[kind]
  if quantized:
    quantization_twins.quantize_weights(net, LEVELS["w2"])
  if activations:
    quantization_twins.quantize_activations(net, ours.quantizers(), LEVELS["a2"])
  train = data.splits["train"]
  image = torch.from_numpy(train.image.transpose(0, 3, 1, 2).copy())
  batch = image, torch.from_numpy(train.label).long()
  return quantization_twins.trainer(net, batch, rate=1e-4, clip=5.0)


def compare(depth: int, kind: str, batch: int, rounds: int) -> Ours:
  """Prints the line of one case; returns ours."""
  torch.manual_seed(0)
  net, data = quantization_twins.network(depth), random_images(batch)
  with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "weights.npz")
    np.savez(path, **{k: v.numpy() for k, v in net.state_dict().items()})
    ours = Ours(configure(depth, kind, batch, str(path)), data)
  step = twin(net, kind, ours, data)
  losses = ours.train(), step()
  if abs(losses[0] - losses[1]) > TOLERANCE * losses[1]:
    raise AssertionError(f"{depth}, {kind}: the first losses are {losses}.")
  facts = {"network": f"resnet{depth}", "step": kind, "batch": batch}
  programs = {"jaxvision": ours.train, "torch": step}
  against_torch.compare("quantization", programs, rounds, lambda times: facts)
  return ours


def compare_integers(ours: Ours, depth: int, batch: int, rounds: int) -> None:
  """Prints the line of inference in integers against that in floating point."""
  programs = {
    name: ours.inference(integers=name == "int8") for name in ("int8", "float32")
  }
  logits = [np.asarray(run()) for run in programs.values()]
  worst = np.abs(logits[0] - logits[1]).max() / np.abs(logits[1]).max()
  facts = {"network": f"resnet{depth}", "batch": batch, "difference": float(worst)}
  times = timing.measure(programs, rounds=rounds)
  timing.report("integers", times, baseline="float32", **facts)


def main() -> None:
  """Runs all cases."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--fast", action="store_true", help="small batch, few rounds")
  parser.add_argument("--depths", type=int, nargs="+", default=list(MODELS))
  args = parser.parse_args()
  batch, rounds = (16, 3) if args.fast else (64, 5)
  for depth in args.depths:
    for kind in KINDS:
      ours = compare(depth, kind, batch, rounds)
    compare_integers(ours, depth, batch, rounds)


if __name__ == "__main__":
  main()
