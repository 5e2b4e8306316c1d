"""Networks as Flax Linen modules, and `build` for making one from a config."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
from flax.core import FrozenDict
from ml_collections import ConfigDict

from jaxvision.errors import UserError
from jaxvision.models.agcn import AGCN
from jaxvision.models.ahernet import AherNet
from jaxvision.models.alexnet import AlexNet
from jaxvision.models.cnn import CNN
from jaxvision.models.ctr_gcn import CTRGCN
from jaxvision.models.embedding_mlp import EmbeddingMLP
from jaxvision.models.gtan import GTAN
from jaxvision.models.mlp import MLP
from jaxvision.models.mobilenet import MobileNet, MobileNetV2
from jaxvision.models.resnet import CifarResNet, ResNet
from jaxvision.models.si_cnn import SICNN
from jaxvision.models.spatial_transformer import SpatialTransformer
from jaxvision.models.st_gcn import STGCN
from jaxvision.models.stigcn import STIGCN
from jaxvision.models.ti_pooling import TIPooling
from jaxvision.models.vgg import VGG
from jaxvision.models.wide_resnet import WideResNet

MODELS: dict[str, type[nn.Module]] = {
  "cnn": CNN,
  "mlp": MLP,
  "embedding_mlp": EmbeddingMLP,
  "ti_pooling": TIPooling,
  "si_cnn": SICNN,
  "spatial_transformer": SpatialTransformer,
  "cifar_resnet": CifarResNet,
  "resnet": ResNet,
  "wide_resnet": WideResNet,
  "alexnet": AlexNet,
  "vgg": VGG,
  "mobilenet": MobileNet,
  "mobilenet_v2": MobileNetV2,
  "gtan": GTAN,
  "ahernet": AherNet,
  "stigcn": STIGCN,
  "st_gcn": STGCN,
  "agcn": AGCN,
  "ctr_gcn": CTRGCN,
}


def build(config: Mapping[str, Any] | ConfigDict) -> nn.Module:
  """Makes the network that a config describes.

  Args:
    config: "name", one of `MODELS`, and any fields of that module.

  Raises:
    UserError: an unknown name or field.
  """
  fields = config.to_dict() if isinstance(config, ConfigDict) else dict(config)
  name = fields.pop("name", None)
  if name not in MODELS:
    raise UserError(
      f"config.model.name is {name!r}; choose one of {', '.join(MODELS)}."
    )
  own = [field.name for field in dataclasses.fields(MODELS[name])]
  known = [field for field in own if field not in ("name", "parent")]
  unknown = sorted(set(fields) - set(known))
  if unknown:
    raise UserError(
      f"config.model has {unknown[0]!r}, which {name} lacks; it has {', '.join(known)}."
    )
  return MODELS[name](**{field: _frozen(value) for field, value in fields.items()})


def _frozen(value: Any) -> Any:
  """Makes a config's lists and dictionaries hashable, as a static module must be."""
  if isinstance(value, Mapping):
    return FrozenDict({k: _frozen(v) for k, v in value.items()})
  if isinstance(value, list | tuple):
    return tuple(map(_frozen, value))
  return value
