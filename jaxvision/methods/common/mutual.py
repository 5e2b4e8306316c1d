"""Two networks that teach each other: DML, and its form with two halves, IE-DML.

Zhang, Xiang, Hospedales, Lu (2018), "Deep Mutual Learning": each network's loss is its
task's plus a KL divergence to the other's predictions; they are updated in turn, the
second one against the first one as it has just become.

In IE-DML each network has two halves that inherit from, and explore away from, the
other. Huang et al. (2021) report it, but no summary of theirs gives the losses and no
code does: this form is ours (specification, 3.8). What a network is compared with is
the factor of an auto-encoder that is trained along with it on its own features.
"""

from collections.abc import Mapping
from typing import NamedTuple

import flax.linen as nn
import jax
from flax.core import FrozenDict
from ml_collections import ConfigDict

from jaxvision.errors import UserError
from jaxvision.layers import insertion
from jaxvision.losses.distillation import (
  inheritance_exploration,
  reconstruction,
  soft_target_kl,
)
from jaxvision.methods.common import batching
from jaxvision.methods.common.distillation import SPLIT, joined, part
from jaxvision.methods.common.distillation_stages import Source
from jaxvision.methods.common.supervised import VIEW, Evaluate, Loss, Model
from jaxvision.models.coders import Adapters, AutoEncoder
from jaxvision.ops.channels import make_split, take_channels
from jaxvision.ops.feature_maps import same_resolution
from jaxvision.train import state
from jaxvision.train.stage import Stage, State
from jaxvision.typing import Array, PRNGKey, PyTree

KINDS = ("dml", "ie_dml")
FIRST, SECOND = "student", "peer"


class Networks(NamedTuple):
  """The two networks and what is trained along with them.

  Attributes:
    models: by name, "student" and "peer".
    taps: of each, the place of the feature that is split.
    helpers: modules of a network, by name: "adapter" and "coder" in IE-DML.
  """

  models: Mapping[str, Model]
  taps: Mapping[str, str]
  helpers: Mapping[str, nn.Module]

  def owned(self, name: str) -> list[str]:
    """Names of the variables that a network's optimizer moves."""
    return [name, *(f"{name}_{helper}" for helper in self.helpers)]


def networks(config: ConfigDict, student: Model, peer: Model) -> Networks:
  """Pairs two networks as `config.distill` says.

  Raises:
    UserError: not one tap a network, or what two networks at once cannot do.
  """
  fields, coder, quantize = config.distill, config.coder, config.quantize
  files = config.init_from or config.teacher.init_from
  if files or quantize.weights or quantize.activations:
    raise UserError(
      f"config.distill.kind {fields.kind!r} trains both networks from the start and "
      "quantizes none; unset init_from, teacher.init_from and quantize."
    )
  taps = [tuple(fields.taps), tuple(fields.teacher_taps or fields.taps)]
  if [len(t) for t in taps] != [1, 1]:
    raise UserError(
      f"config.distill.kind {fields.kind!r} compares one feature; give each network "
      "one tap."
    )
  helpers = {}
  if fields.kind == "ie_dml":
    widths = FrozenDict(inherit=coder.width, explore=coder.width)
    options = {"norm": coder.norm, "dtype": config.dtype}
    helpers = {
      "adapter": Adapters(widths, **options),
      "coder": AutoEncoder(coder.width, **options),
    }
  return Networks(
    models={FIRST: student, SECOND: peer},
    taps={FIRST: taps[0][0], SECOND: taps[1][0]},
    helpers=helpers,
  )


def mutual_stage(
  config: ConfigDict,
  nets: Networks,
  source: Source,
  *,
  loss: Loss,
  evaluate: Evaluate,
  monitor: str,
) -> Stage:
  """The stage "student" of two networks with one optimizer each.

  Args:
    config: `distill`, `coder.rec_norm`, `batch_size`, `optimizer` and `ema` are read.
    nets: from `networks`.
    source: of the batches; both networks take the same ones.
    loss: of the task: (outputs, batch) -> (scalar, logs).
    evaluate: as of a `Stage`.
    monitor: as of a `Stage`.
  """
  optimizer = source.optimizer(config.optimizer, config.batch_size)

  def init(key: PRNGKey, frozen: PyTree, batch: PyTree) -> State:
    one = jax.tree.map(lambda x: x[:1], batching.rows(frozen, batch))
    variables, split = _begin(config, nets, key, source.inputs(one, key))
    slots = [{"subset": nets.owned(n), "slot": f"opt_{n}"} for n in (FIRST, SECOND)]
    made = {"split": split}
    for fields in slots:
      made |= state.create(variables, optimizer, **fields)
    return state.with_ema(made) if config.ema.decay else made

  def step(now: State, frozen: PyTree, batch: PyTree, key: PRNGKey):
    chosen = batching.rows(frozen, batch)
    x = source.inputs(chosen, jax.random.fold_in(key, VIEW))
    logs = {}
    for own, other in ((FIRST, SECOND), (SECOND, FIRST)):
      loss_fn = _loss_fn(config, nets, now, x, chosen, (own, other), loss, key)
      fields = {"subset": nets.owned(own), "slot": f"opt_{own}"}
      now, found = state.update(now, loss_fn, optimizer, **fields)
      prefix = "" if own == FIRST else f"{own}/"
      logs |= {f"{prefix}{name}": value for name, value in found.items()}
    accumulate = config.optimizer.accumulate
    return state.advance(now, decay=config.ema.decay, every=accumulate), logs

  fields = {"init": init, "step": step, "evaluate": evaluate, "monitor": monitor}
  size = config.batch_size
  return source.stage("student", size, frozen=lambda inherited: {}, **fields)


def _begin(
  config: ConfigDict, nets: Networks, key: PRNGKey, x: Array
) -> tuple[PyTree, PyTree]:
  """Fresh `joined` variables, and the split of each network's channels."""
  modules, split = {}, {}
  for i, (name, model) in enumerate(nets.models.items()):
    own, cut, *more = jax.random.split(jax.random.fold_in(key, i + SPLIT), 4)
    modules[name] = model.init(own, x)
    tap = nets.taps[name]
    rngs = {"dropout": own}
    found = insertion.features(model, modules[name], x, [tap], rngs=rngs)[1][tap]
    fields = {"ratio": config.distill.ratio, "kind": config.distill.split, "key": cut}
    inherit, explore = make_split(found.shape[-1], **fields)
    split[name] = {"inherit": inherit, "explore": explore}
    inputs = {"adapter": _halves(found, split[name]), "coder": found}
    for k, (helper, module) in zip(more, nets.helpers.items(), strict=False):
      modules[f"{name}_{helper}"] = module.init(k, inputs[helper])
  return joined(**modules), split


def _halves(feature: Array, split: PyTree) -> dict[str, Array]:
  return {half: take_channels(feature, index) for half, index in split.items()}


class _Seen(NamedTuple):
  """A network's training pass: outputs, its feature, changed statistics, its name."""

  outputs: PyTree
  feature: Array
  changed: PyTree
  name: str


def _look(
  nets: Networks, variables: PyTree, x: Array, name: str, key: PRNGKey
) -> _Seen:
  """Both networks are in training mode, also the one that is only looked at."""
  tap = nets.taps[name]
  (outputs, changed), found = insertion.features(
    nets.models[name],
    part(variables, name),
    x,
    [tap],
    train=True,
    mutable=["batch_stats"],
    rngs={"dropout": key},
  )
  return _Seen(outputs, found[tap], dict(changed), name)


def _loss_fn(config, nets, now, x, batch, names, loss: Loss, key):
  """The loss of the first of two networks, the other being as it is now."""
  fields = config.distill

  def loss_fn(params: PyTree):
    variables = {**state.variables(now, average=False), "params": params}
    me, other = (_look(nets, variables, x, name, key) for name in names)
    task, logs = loss(me.outputs, batch)
    total, changed, logs = task, {me.name: me.changed}, {**logs, "task": task}
    if fields.soft_weight:
      soft = soft_target_kl(me.outputs, other.outputs, temperature=fields.temperature)
      logs["soft"] = soft.mean()
      total = total + fields.soft_weight * logs["soft"]
    if nets.helpers:
      more, found, after = _opposed(config, nets, variables, now["split"], me, other)
      total, logs, changed = total + more, logs | found, changed | after
    new = joined(**changed)
    return total, ({c: {**variables[c], **new[c]} for c in new}, logs)

  return loss_fn


def _opposed(config, nets, variables, split, me: _Seen, other: _Seen):
  """The halves against the other's factor, and the own auto-encoder's error."""
  fields, train = config.distill, {"mutable": ["batch_stats"]}
  adapter, coder = nets.helpers["adapter"], nets.helpers["coder"]
  parts = _halves(me.feature, split[me.name])
  halves, adapted = adapter.apply(
    part(variables, f"{me.name}_adapter"), parts, True, **train
  )
  mine = jax.lax.stop_gradient(me.feature)
  own = part(variables, f"{me.name}_coder")
  (_, output), coded = coder.apply(own, mine, True, **train)
  theirs, _ = coder.apply(part(variables, f"{other.name}_coder"), other.feature, False)
  inherited, target = same_resolution(halves["inherit"], theirs)
  explored, _ = same_resolution(halves["explore"], theirs)
  feature = inheritance_exploration(
    inherited,
    explored,
    target,
    inherit_weight=fields.inherit_weight,
    explore_weight=fields.explore_weight,
    distance=fields.distance,
    both_inherit=fields.both_inherit,
  ).mean()
  error = reconstruction(output, mine, p=config.coder.rec_norm).mean()
  changed = {f"{me.name}_adapter": dict(adapted), f"{me.name}_coder": dict(coded)}
  return feature + error, {"feature": feature, "reconstruction": error}, changed
