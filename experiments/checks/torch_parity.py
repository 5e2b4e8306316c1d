"""Compares our networks with torch's on the same weights and images.

Prints a line of JSON a network: the largest difference of the logits over the largest
logit, in evaluation. Ends with code 1 if one is above 1e-5. Needs
`pip install 'jaxvision[bench]'`: torch, and torchvision for its networks.
"""

import functools
import json
import sys
from collections.abc import Callable

import jax
import numpy as np
import torch
from torch import nn

from experiments.checks import torch_twins
from jaxvision import models
from jaxvision.interop.torch import import_state_dict
from jaxvision.models.mobilenet import BLOCKS

TOLERANCE = 1e-5
BASIC = (2, 2, 2, 2)

TWINS = {  # config of our network, its torch twin, pixels a side
  "resnet20_a": (
    {"name": "cifar_resnet", "depth": 20},
    functools.partial(torch_twins.ResNet, (3, 3, 3), 16, shortcut="A"),
    32,
  ),
  "resnet32_b": (
    {"name": "cifar_resnet", "depth": 32, "option": "B"},
    functools.partial(torch_twins.ResNet, (5, 5, 5), 16, shortcut="shortcut"),
    32,
  ),
  "cifar_resnet18": (
    {"name": "resnet", "depth": 18, "stem": "cifar", "classes": 10, "bias": False},
    functools.partial(
      torch_twins.ResNet, BASIC, 64, shortcut="downsample", head="fc", bias=False
    ),
    32,
  ),
  "wrn_16_2": (
    {"name": "wide_resnet", "depth": 16, "widen": 2},
    functools.partial(torch_twins.WideResNet, 16, 2),
    32,
  ),
  "mobilenet": (
    {"name": "mobilenet", "classes": 100},
    functools.partial(torch_twins.MobileNet, BLOCKS),
    32,
  ),
  "alexnet_bn": ({"name": "alexnet"}, torch_twins.AlexNet, 224),
}
PUBLISHED = {  # config of our network, its name in torchvision
  "resnet18": ({"name": "resnet", "depth": 18}, "resnet18"),
  "resnet34": ({"name": "resnet", "depth": 34}, "resnet34"),
  "resnet50": ({"name": "resnet", "depth": 50}, "resnet50"),
  "vgg16": ({"name": "vgg"}, "vgg16"),
  "vgg16_bn": ({"name": "vgg", "norm": "batch"}, "vgg16_bn"),
  "mobilenet_v2": ({"name": "mobilenet_v2"}, "mobilenet_v2"),
  "alexnet": (
    {"name": "alexnet", "norm": "none", "widths": (64, 192, 384, 256, 256)},
    "alexnet",
  ),
}


def published(name: str) -> nn.Module:
  """A network of torchvision, without weights."""
  import torchvision

  return getattr(torchvision.models, name)()


def randomize_norms(net: nn.Module) -> None:
  """Gives norms other numbers than zeros and ones, which would hide mistakes."""
  for module in net.modules():
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
      for values in (module.weight.data, module.running_var):
        values.uniform_(0.7, 1.3)
      for values in (module.bias.data, module.running_mean):
        values.normal_(0, 0.1)


def difference(config: dict, make: Callable[[], nn.Module], side: int) -> float:
  """Largest difference of the logits, over the largest logit."""
  torch.manual_seed(0)
  net = make().eval()
  randomize_norms(net)
  x = torch.randn(2, 3, side, side)
  with torch.no_grad():
    expected = net(x).numpy()
  model = models.build(config)
  state = {name: value.numpy() for name, value in net.state_dict().items()}
  variables = import_state_dict(model, state)
  found = jax.jit(model.apply)(variables, x.permute(0, 2, 3, 1).numpy())
  return float(np.abs(found - expected).max() / np.abs(expected).max())


def main() -> int:
  """Compares all networks, or those that the command line names."""
  cases = dict(TWINS)
  for key, (config, name) in PUBLISHED.items():
    cases[key] = (config, functools.partial(published, name), 224)
  worst = 0.0
  for name in sys.argv[1:] or cases:
    found = difference(*cases[name])
    worst = max(worst, found)
    print(json.dumps({"network": name, "difference": found}), flush=True)
  return int(worst > TOLERANCE)


if __name__ == "__main__":
  sys.exit(main())
