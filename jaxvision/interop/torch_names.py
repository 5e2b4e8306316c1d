"""What torchvision's and the papers' authors' networks call our modules."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import flax.linen as nn
from flax.core import FrozenDict

from jaxvision.errors import UserError
from jaxvision.models import alexnet, mobilenet, resnet, vgg, wide_resnet

BLOCK = r"stage(\d)/block(\d+)/"
SHORTCUTS = ("downsample", "shortcut")


class Names(NamedTuple):
  """Names of one network.

  Attributes:
    rules: (regular expression that fully matches the path of a module, names that torch
      may have for it). Authors differ, so there can be several.
    flattened: dense modules that read a flattened map -> channels of the map. Torch
      flattens the channels first, we last.
    unused: regular expression of names that the network computes nothing with.
    side: of the images that the published weights are for.
  """

  rules: tuple[tuple[str, tuple[str, ...]], ...]
  flattened: Mapping[str, int] = FrozenDict()
  unused: str = ""
  side: int = 32

  def candidates(self, module: str) -> list[str]:
    """Names that torch may have for the module of a path; none: it knows no such."""
    for pattern, names in self.rules:
      if match := re.fullmatch(pattern, module):
        return [match.expand(name) for name in names]
    return []


def names_of(model: nn.Module) -> Names:
  """Looks up the names of a network.

  Raises:
    UserError: nobody publishes weights of it.
  """
  if type(model) not in FAMILIES:
    known = ", ".join(kind.__name__ for kind in FAMILIES)
    raise UserError(
      f"no torch names are known for {type(model).__name__}, only for {known}."
    )
  return FAMILIES[type(model)](model)


def _residual(model: nn.Module) -> Names:
  """Names of torchvision, of IE-KD (CIFAR) and of CausalAdv (CIFAR ResNet-18)."""
  del model
  return Names(
    (
      (r"conv1", ("conv1",)),
      (r"norm1", ("bn1",)),
      (BLOCK + r"conv(\d)", (r"layer\1.\2.conv\3",)),
      (BLOCK + r"norm(\d)", (r"layer\1.\2.bn\3",)),
      (
        BLOCK + r"shortcut_conv",
        (r"layer\1.\2.downsample.0", r"layer\1.\2.shortcut.0"),
      ),
      (
        BLOCK + r"shortcut_norm",
        (r"layer\1.\2.downsample.1", r"layer\1.\2.shortcut.1"),
      ),
      (r"logits", ("fc", "linear", "fc.0")),
    )
  )


def _wide(model: nn.Module) -> Names:
  """Names of IE-KD and of CausalAdv, which are those of most adversarial training."""
  del model
  return Names(
    (
      (r"conv1", ("conv1",)),
      (r"norm", ("bn1",)),
      (BLOCK + r"conv(\d)", (r"block\1.layer.\2.conv\3",)),
      (BLOCK + r"norm(\d)", (r"block\1.layer.\2.bn\3",)),
      (BLOCK + r"shortcut", (r"block\1.layer.\2.convShortcut",)),
      (r"logits", ("fc", "fc.0")),
    ),
    unused=r"sub_block1\..*",  # built by TRADES' code and its heirs, never applied
  )


def _alexnet(model: alexnet.AlexNet) -> Names:
  """Without norms the names of torchvision, with norms those of Yang et al."""
  convs = ("0.0", "1.0", "2.0", "2.1", "2.2")  # in "features_0" to "features_2"
  rules = [("logits", ("classifier.4",))]
  for i, place in enumerate(convs, start=1):
    rules += [(f"conv{i}", (f"features_{place}.conv",))]
    rules += [(f"norm{i}", (f"features_{place}.bn",))]
  for i, place in ((6, 1), (7, 3)):
    rules += [(f"dense{i}", (f"classifier.{place}.linear",))]
    rules += [(f"norm{i}", (f"classifier.{place}.bn",))]
  if model.norm == "none":
    rules = [
      (f"conv{i}", (f"features.{n}",)) for i, n in enumerate((0, 3, 6, 8, 10), 1)
    ]
    heads = (("dense6", 1), ("dense7", 4), ("logits", 6))
    rules += [(module, (f"classifier.{n}",)) for module, n in heads]
  return Names(tuple(rules), {"dense6": model.widths[-1]}, side=224)


def _vgg(model: vgg.VGG) -> Names:
  """Numbers of torchvision in "features" and "classifier"; IE-KD has the same."""
  rules, number = [], 0
  normed = model.norm == "batch"
  for i, layers in enumerate(vgg.DEPTHS[model.depth], start=1):
    for j in range(1, layers + 1):
      rules += [(f"conv{i}_{j}", (f"features.{number}",))]
      if normed:
        rules += [(f"norm{i}_{j}", (f"features.{number + 1}",))]
      number += 3 if normed else 2  # a ReLU has a number too
    number += 1  # and the pooling
  heads = (("dense6", 0), ("dense7", 3), ("logits", 6))
  rules += [(module, (f"classifier.{place}",)) for module, place in heads]
  if not model.flatten:
    return Names(tuple(rules))
  return Names(tuple(rules), {"dense6": 8 * model.width}, side=224)


def _mobilenet(model: nn.Module) -> Names:
  """Names of IE-KD."""
  del model
  return Names(
    (
      (r"conv1", ("conv1",)),
      (r"norm1", ("bn1",)),
      (r"block(\d+)/conv(\d)", (r"layers.\1.conv\2",)),
      (r"block(\d+)/norm(\d)", (r"layers.\1.bn\2",)),
      (r"logits", ("linear",)),
    )
  )


def _mobilenet_v2(model: nn.Module) -> Names:
  """Numbers of torchvision, which counts blocks throughout, and the layers in each."""
  del model
  rules, number = list(_pair("conv1", "norm1", "features.0.{}")), 1
  for i, (expansion, _, blocks, _) in enumerate(mobilenet.STAGES, start=1):
    for j in range(blocks):
      ours, theirs = f"stage{i}/block{j}/", f"features.{number}.conv."
      inner = (1, 2) if expansion != 1 else (2,)
      for place, k in enumerate(inner):
        rules += _pair(f"{ours}conv{k}", f"{ours}norm{k}", f"{theirs}{place}.{{}}")
      last = len(inner)
      rules += [(f"{ours}conv3", (f"{theirs}{last}",))]
      rules += [(f"{ours}norm3", (f"{theirs}{last + 1}",))]
      number += 1
  rules += _pair("conv2", "norm2", f"features.{number}.{{}}")
  return Names((*rules, ("logits", ("classifier.1",))))


def _pair(conv: str, norm: str, names: str) -> Iterable[tuple[str, tuple[str, ...]]]:
  """Rules of a convolution and its norm, layers 0 and 1 of a sequence."""
  return (conv, (names.format(0),)), (norm, (names.format(1),))


FAMILIES: dict[type[nn.Module], Callable[..., Names]] = {
  resnet.CifarResNet: _residual,
  resnet.ResNet: _residual,
  wide_resnet.WideResNet: _wide,
  alexnet.AlexNet: _alexnet,
  vgg.VGG: _vgg,
  mobilenet.MobileNet: _mobilenet,
  mobilenet.MobileNetV2: _mobilenet_v2,
}
