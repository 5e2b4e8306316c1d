"""GTAN's training step, detections and trunk against torch twins.

python experiments/benchmarks/temporal_step.py [--fast]

The step is the whole one of the loop, batches taken and gathered, targets matched; the
detections are network, decoding and soft-NMS, which the twin does on the host, as is
usual; the trunk is that of the paper's size, forward and backward. Prints JSON lines;
below 1 we are faster. `--fast` takes few steps and rounds.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch

from configs import gtan
from experiments.benchmarks import against_torch, stages, temporal_twins
from jaxvision.models import temporal
from jaxvision.train import state

Programs = dict[str, Callable[[], Any]]
EVAL_BATCH, VIDEOS, STEPS, WIDTH = 50, 2, 512, 2048  # windows; the paper's trunk


class Twin:
  """The same in torch, on the same data."""

  def __init__(self, data: dict[str, np.ndarray], batch_size: int):
    """Initialises; data stay resident in torch's layout."""
    self.net, self.size = temporal_twins.GTAN(), batch_size
    self.features = torch.tensor(data["features"]).mT.contiguous()
    segments, *others = (torch.tensor(data[k]) for k in ("segments", "label", "valid"))
    self.targets = (segments, others[0].long(), others[1])
    self.optimizer = torch.optim.Adam(self.net.parameters(), lr=3e-3, fused=True)

  def train(self, steps: int) -> float:
    """Takes some steps."""
    order = torch.randperm(len(self.features))[: steps * self.size]
    for rows in order.split(self.size):
      outputs = self.net(self.features[rows])
      loss = temporal_twins.loss(outputs, *(part[rows] for part in self.targets))
      self.optimizer.zero_grad(set_to_none=True)
      loss.backward()
      self.optimizer.step()
    return loss.item()


def trunks() -> Programs:
  """Forward and backward of the paper's trunk."""
  model = nn.Sequential([temporal.TemporalBase(), temporal.AnchorPyramid()])
  x = jax.random.normal(jax.random.key(0), (VIDEOS, STEPS, WIDTH))
  params = jax.jit(model.init)(jax.random.key(0), x)
  total = lambda params, x: sum(layer.sum() for layer in model.apply(params, x))
  gradient = jax.jit(jax.grad(total))
  twin = temporal_twins.Trunk(WIDTH, temporal.BASE_WIDTHS, temporal.ANCHOR_WIDTHS)
  y = torch.tensor(np.asarray(x)).mT.contiguous()

  def torch_step() -> None:
    twin.zero_grad(set_to_none=True)
    sum(layer.sum() for layer in twin(y)).backward()

  return {"jaxvision": lambda: gradient(params, x), "torch": torch_step}


def main() -> None:
  """Runs all cases."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--fast", action="store_true")
  fast = parser.parse_args().fast
  steps, rounds = (20, 3) if fast else (100, 7)
  config = gtan.get_config()
  ours = stages.Ours(config)
  data = jax.device_get(ours.frozen["data"])
  twin = Twin(data, config.batch_size)
  step = {"jaxvision": lambda: ours.train(steps), "torch": lambda: twin.train(steps)}
  compare = against_torch.compare
  compare("temporal_train_step", step, rounds, lambda _: {"steps": steps})
  windows, torch_windows = data["features"][:EVAL_BATCH], twin.features[:EVAL_BATCH]
  predict = jax.jit(ours.method.predict)
  detections = {
    "jaxvision": lambda: jax.device_get(predict(state.variables(ours.state), windows)),
    "torch": lambda: temporal_twins.detect(twin.net, torch_windows),
  }
  compare("temporal_detections", detections, rounds, lambda _: {"windows": EVAL_BATCH})
  size = {"videos": VIDEOS, "steps": STEPS, "width": WIDTH}
  compare("temporal_trunk", trunks(), rounds, lambda _: size)


if __name__ == "__main__":
  main()
