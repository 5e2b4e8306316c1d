"""What torchvision's and the papers' authors' networks call our modules."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import flax.linen as nn
from flax.core import FrozenDict

from jaxvision.errors import UserError
from jaxvision.models import alexnet, mobilenet, resnet, stigcn, vgg, wide_resnet
from jaxvision.models.inception import TEMPORAL
from jaxvision.ops import graphs

BLOCK = r"stage(\d)/block(\d+)/"
SHORTCUTS = ("downsample", "shortcut")
# Our name of a leaf -> torch's.
LEAVES = {
  "kernel": "weight",
  "scale": "weight",
  "bias": "bias",
  "mean": "running_mean",
  "var": "running_var",
}


class Names(NamedTuple):
  """Names of one network.

  Attributes:
    rules: (regular expression that fully matches the path of a module, names that torch
      may have for it). Authors differ, so there can be several.
    flattened: dense modules that read a flattened map -> channels of the map. Torch
      flattens the channels first, we last.
    unused: regular expression of names that the network computes nothing with.
    side: of the images that the published weights are for.
    joined: (as a rule; names of torch's modules, of which ours is all, side by side in
      its last axis).
    stacked: (regular expression that fully matches the path of a parameter that belongs
      to no layer; torch's full names of what it holds, along its first axis).
    sequences: shape of the input of a network that sees no images.
  """

  rules: tuple[tuple[str, tuple[str, ...]], ...]
  flattened: Mapping[str, int] = FrozenDict()
  unused: str = ""
  side: int = 32
  joined: tuple[tuple[str, tuple[str, ...]], ...] = ()
  stacked: tuple[tuple[str, tuple[str, ...]], ...] = ()
  sequences: tuple[int, ...] = ()

  def parts(self, path: str) -> tuple[list[str], bool] | None:
    """Names of the arrays that make up a leaf and whether they are stacked; or None.

    Args:
      path: of the leaf, as "stem/spatial/norm/scale".
    """
    module, _, leaf = path.rpartition("/")
    for pattern, names in self.joined:
      if match := re.fullmatch(pattern, module):
        return [f"{match.expand(name)}.{LEAVES[leaf]}" for name in names], False
    for pattern, names in self.stacked:
      if match := re.fullmatch(pattern, path):
        return [match.expand(name) for name in names], True
    return None

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


def _stigcn(model: stigcn.STIGCN) -> Names:
  """Names of Huang et al., who have a layer, a norm and a graph for each branch."""
  spatial = [stigcn.BRANCHES.index(name) for name in model.branches]
  temporal = [TEMPORAL.index(name) for name in model.temporal]
  rules = [("input_norm/norm", ("data_bn.bn",)), ("logits", ("fc",))]
  joined, stacked = [], []
  for ours, theirs in (("stem/", "layer0."), (BLOCK, r"layer\1.\2.")):
    branch = f"{theirs}spatial.branches.{{}}.{{}}"
    for kind, module in (("conv", "project"), ("bn", "norm")):
      names = tuple(branch.format(i, kind) for i in spatial)
      joined += [(f"{ours}spatial/{module}", names)]
    branch = f"{theirs}temporal.branches.{{}}.{{}}"
    joined += [
      (f"{ours}temporal/norm", tuple(branch.format(i, "bn") for i in temporal))
    ]
    for i in temporal:
      rules += [(f"{ours}temporal/{TEMPORAL[i]}", (branch.format(i, "conv"),))]
    for path in ("spatial", "temporal"):
      fusion = f"{theirs}{path}.fusion."
      rules += [(f"{ours}{path}/fusion_conv", (f"{fusion}conv",))]
      rules += [(f"{ours}{path}/fusion_norm", (f"{fusion}bn",))]
    for name, number in (("theta", 1), ("phi", 2)):
      projection = f"{theirs}spatial.CA.proj{number}"
      rules += [(f"{ours}spatial/attention/{name}", (projection,))]
    rules += [(f"{ours}shortcut_conv", (f"{theirs}shortcut.conv",))]
    rules += [(f"{ours}shortcut_norm", (f"{theirs}shortcut.bn",))]
    learned = tuple(f"{theirs}spatial.PA{i + 1}" for i in spatial)
    stacked += [(f"{ours}spatial/graphs", learned)]
    stacked += [(f"{ours}spatial/attention_scale", (f"{theirs}spatial.PCA",))]
  joints = graphs.skeleton(model.graph).joints
  sequences = (1, 2, 2**model.pools, joints, 3)  # two persons, three coordinates
  return Names(
    tuple(rules), joined=tuple(joined), stacked=tuple(stacked), sequences=sequences
  )


FAMILIES: dict[type[nn.Module], Callable[..., Names]] = {
  resnet.CifarResNet: _residual,
  resnet.ResNet: _residual,
  wide_resnet.WideResNet: _wide,
  alexnet.AlexNet: _alexnet,
  vgg.VGG: _vgg,
  mobilenet.MobileNet: _mobilenet,
  mobilenet.MobileNetV2: _mobilenet_v2,
  stigcn.STIGCN: _stigcn,
}
