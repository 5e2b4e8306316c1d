"""Domain-class correlation decomposition (Yang and Tian, 2021, arXiv 2106.15206).

Re-identification that is trained on several data sets and used on unseen ones. Each
person is filmed in one data set only, so a feature that hides the domain hides part of
the person. Here features are moved to domains that are drawn without regard to the
person (`ops.transport`), by statistics that a bank keeps (`ops.moment_bank`), and
losses are computed on what results: {z*, y, d*}.

Of the paper only the abstract could be read: the losses, their weights and the form of
the transport are a reconstruction of ours, with a switch for each choice.
"""

from collections.abc import Callable
from pathlib import Path

import jax.numpy as jnp
from ml_collections import ConfigDict

from jaxvision.data.reid_examples import ReidDataset
from jaxvision.errors import UserError
from jaxvision.methods.common import (
  decomposition,
  decomposition_stage,
  reid_data,
  reid_evaluation,
  reid_ranking,
  supervised,
)
from jaxvision.methods.common.decomposition import Net
from jaxvision.methods.common.image_data import as_float
from jaxvision.models.identity_head import Classifier, DomainHead, Neck
from jaxvision.ops.moment_bank import MODES
from jaxvision.ops.transport import DRAWS, KINDS
from jaxvision.train import state
from jaxvision.train.stage import Method, State
from jaxvision.typing import Array, Float, PyTree

load = reid_data.load
expected_files = reid_data.expected_files
CHOICES = {
  "transport.kind": KINDS,
  "transport.draw": DRAWS,
  "bank.mode": MODES,
  "adversary.on": ("none", "z", "z_star", "both"),
  "adversary.kind": ("reversal", "alternating"),
  "neck.place": ("before", "after"),
}


def build(config: ConfigDict, data: ReidDataset) -> Method:
  """Makes the method: one stage, a trunk with a classifier and a critic of domains."""
  check(config, data)
  net = build_net(config, data)
  descriptor = descriptor_fn(config, net)

  def figures(now: State, folder: Path) -> None:
    reid_evaluation.draw(config, data, descriptor, now, folder)

  evaluate = reid_evaluation.evaluator(config, data, descriptor, feature_fn(net))
  return Method(
    stages=(
      decomposition_stage.train_stage(
        config, data, net, evaluate=evaluate, monitor="map"
      ),
    ),
    predict=lambda variables, x: {"descriptor": descriptor(variables, x)},
    variables=state.variables,
    inputs=reid_data.inputs(data),
    read=reid_data.reader(config, data),
    write=reid_ranking.writer(config),
    figures=figures,
    inserted=supervised.where_inserted(net.model, reid_data.seen(data)),
  )


def check(config: ConfigDict, data: ReidDataset) -> None:
  """Refuses choices that do not exist, or that exclude each other.

  Raises:
    UserError: naming the field.
  """
  for name, known in CHOICES.items():
    group, field = name.split(".")
    if config[group][field] not in known:
      raise UserError(
        f"config.{name} is {config[group][field]!r}; choose one of {', '.join(known)}."
      )
  adversary, moves = config.adversary, config.transport.kind != "none"
  if not moves and (config.transport.weight or adversary.on in ("z_star", "both")):
    raise UserError(
      "config.transport.kind is 'none', so no feature is moved: set"
      " config.transport.weight=0 and config.adversary.on to none or z."
    )
  if adversary.penalty and adversary.kind == "reversal":
    raise UserError("config.adversary.penalty is for config.adversary.kind=alternating")
  if len(data.domains) < 2 and config.transport.draw == "others":
    raise UserError("config.transport.draw='others' needs two sources or more.")
  if config.quantize.weights or config.quantize.activations:
    raise UserError(
      "config.quantize: domain_class_decomposition does not train quantized networks;"
      " quantize its result, with config.init_from."
    )


def build_net(config: ConfigDict, data: ReidDataset) -> Net:
  """Makes the trunk of `config.model` and what stands behind it."""
  own = {"dtype": config.dtype}
  fields = config.neck
  return Net(
    supervised.build_model(config, 0),
    Neck(**own) if fields.use else None,
    Classifier(data.identities, bias=not fields.use, **own),
    DomainHead(len(data.domains), tuple(config.adversary.widths), **own),
    fields.place == "after",
  )


def descriptor_fn(
  config: ConfigDict, net: Net
) -> Callable[[PyTree, Array], Float[Array, "b d"]]:
  """Returns (variables, inputs) -> features of length 1, to search with.

  With `config.retrieval.flip` those of an image and of its mirror image are summed
  first, as Jia et al. (2019), "Frustratingly Easy Person Re-Identification", do.
  """

  def unit(x: Array) -> Array:
    length = jnp.linalg.norm(x, axis=1, keepdims=True)
    return x / jnp.where(length > 0, length, 1.0)

  def descriptor(variables: PyTree, x: Array) -> Float[Array, "b d"]:
    find = lambda x: decomposition.forward(net, variables, as_float(x))[0].descriptor
    found = find(x)
    if config.retrieval.flip and x.ndim == 4:
      found = found + find(x[:, :, ::-1])
    return unit(found)

  return descriptor


def feature_fn(net: Net) -> Callable[[PyTree, Array], Float[Array, "b d"]]:
  """Returns (variables, inputs) -> the features that are moved, for probes."""
  return lambda variables, x: decomposition.forward(net, variables, as_float(x))[0].z
