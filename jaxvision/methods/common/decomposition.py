"""Domain-class correlation decomposition: what a step computes of a batch.

Features of a batch go into a bank of the domains' statistics, are moved to domains that
are drawn without regard to the class, and losses see both: {z, y, d} and {z*, y, d*}.
All are pure functions of `joined` variables: "model", the trunk; "neck", if there is
one; "classifier"; and "critic", which tells domains.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from jaxvision.losses.classification import cross_entropy
from jaxvision.losses.metric_learning import batch_hard_triplet
from jaxvision.methods.common.distillation import joined, part
from jaxvision.methods.common.supervised import Model
from jaxvision.models.identity_head import Classifier, DomainHead, Neck
from jaxvision.ops.moment_bank import MomentBank, update_bank
from jaxvision.ops.transport import FULL, draw_domains, transport
from jaxvision.typing import Array, PRNGKey, PyTree

CRITIC = "critic"
DRAW = 1  # folded into a step's key for the domains that features are moved to


class Net(NamedTuple):
  """The networks.

  Attributes:
    model: the trunk, from inputs to raw features.
    neck: behind it; None is none.
    classifier: of identities.
    critic: of domains.
    after: whether features are moved, and domains told, behind the neck and not before.
  """

  model: Model
  neck: Neck | None
  classifier: Classifier
  critic: DomainHead
  after: bool


class Features(NamedTuple):
  """Features of inputs.

  Attributes:
    z: what is moved, and compared by triplets: raw, or behind the neck.
    descriptor: what is classified and searched with.
  """

  z: Array
  descriptor: Array


class Moved(NamedTuple):
  """Features after an intervention: {z*, y, d*}; several for each, or one.

  Attributes:
    z: the features.
    identity: unchanged.
    domain: where they were moved.
  """

  z: Array
  identity: Array
  domain: Array


def begin(key: PRNGKey, net: Net, x: Array) -> PyTree:
  """Fresh `joined` variables of the networks for inputs `x`."""
  keys = jax.random.split(key, 4)
  modules = {"model": net.model.init(keys[0], x)}
  z = net.model.apply(modules["model"], x)
  if net.neck is not None:
    modules["neck"] = net.neck.init(keys[1], z)
  modules["classifier"] = net.classifier.init(keys[2], z)
  modules[CRITIC] = net.critic.init(keys[3], z)
  return joined(**modules)


def forward(
  net: Net, variables: PyTree, x: Array, *, key: PRNGKey | None = None
) -> tuple[Features, PyTree]:
  """A pass through trunk and neck, in training if there is a key.

  Returns:
    Features in float32, and the collections that changed, `joined`.
  """
  train = key is not None
  rngs = {"dropout": jax.random.key(0) if key is None else key}
  raw, changed = net.model.apply(
    part(variables, "model"), x, train=train, rngs=rngs, mutable=["batch_stats"]
  )
  modules, descriptor = {"model": dict(changed)}, raw
  if net.neck is not None:
    own = part(variables, "neck")
    descriptor, after = net.neck.apply(own, raw, train, mutable=["batch_stats"])
    modules["neck"] = dict(after)
  found = Features(descriptor if net.after else raw, descriptor)
  return jax.tree.map(lambda x: x.astype(jnp.float32), found), joined(**modules)


def classify_moved(net: Net, variables: PyTree, z: Array) -> Array:
  """Logits of features that were moved, in training.

  They are normalized by their own batch; the neck's running statistics, which serve
  inference, are those of real features alone.
  """
  if net.neck is not None and not net.after:
    own = part(variables, "neck")
    z, _ = net.neck.apply(own, z, True, mutable=["batch_stats"])
  return net.classifier.apply(part(variables, "classifier"), z)


def empty_bank(config: ConfigDict, domains: int, size: int) -> MomentBank:
  """A bank with the statistics that `config.transport.kind` needs."""
  return MomentBank.zeros(domains, size, full=config.transport.kind in FULL)


def take_in(
  config: ConfigDict, bank: MomentBank, z: Array, domain: Array
) -> MomentBank:
  """The bank with the real features of a batch."""
  fields = config.bank
  return update_bank(
    bank, z, domain, mode=fields.mode, momentum=fields.momentum, grad=fields.grad
  )


def intervene(
  config: ConfigDict, key: PRNGKey, bank: MomentBank, z: Array, chosen: PyTree
) -> Moved:
  """Moves features to domains that are drawn; one that was never seen is none.

  Args:
    config: `transport` and `bank.grad` are read.
    key: of a step.
    bank: with this batch.
    z: features.
    chosen: the batch, with "identity" and "domain".
  """
  fields, domain = config.transport, chosen["domain"]
  key = jax.random.fold_in(key, DRAW)
  target = draw_domains(key, domain, bank.count.size, kind=fields.draw)
  times = len(target)
  target = jnp.where(bank.count[target] > 0, target, domain).reshape(-1)
  repeated = lambda x: jnp.tile(x, (times, *(1,) * (x.ndim - 1)))
  moved = transport(
    repeated(z),
    repeated(domain),
    target,
    bank,
    kind=fields.kind,
    eps=fields.eps,
    max_ratio=fields.max_ratio,
    grad=config.bank.grad,
  )
  return Moved(moved, repeated(chosen["identity"]), target)


def identity_loss(config: ConfigDict, logits: Array, z: Array, label: Array) -> Array:
  """Cross-entropy and triplets: the mean over a batch.

  Real and moved features are pools of their own: a feature and what became of it never
  make a pair.
  """
  fields = config.identity
  loss = cross_entropy(logits, label, smoothing=fields.smoothing).mean()
  if not fields.triplet:
    return loss
  triplets = batch_hard_triplet(z, label, margin=fields.margin).mean()
  return loss + fields.triplet * triplets


def told(
  config: ConfigDict, features: Features, moved: Moved, domain: Array
) -> tuple[Array, Array]:
  """What the critic is asked: (features, domains), real ones, moved ones, or both."""
  pairs = {
    "z": [(features.z, domain)],
    "z_star": [(moved.z, moved.domain)],
    "both": [(features.z, domain), (moved.z, moved.domain)],
  }[config.adversary.on]
  z, domains = zip(*pairs, strict=True)
  return jnp.concatenate(z), jnp.concatenate(domains)


def strength(config: ConfigDict, progress: Array) -> Array:
  """Lambda at a share of the run in [0, 1].

  With a ramp, scale (2 / (1 + exp(-10 progress)) - 1): Ganin and Lempitsky (2015).
  """
  fields = config.adversary
  ramp = 2 / (1 + jnp.exp(-10 * progress)) - 1 if fields.ramp else jnp.float32(1.0)
  return fields.scale * ramp
