"""The stage of domain-class correlation decomposition.

A step moves the features of a batch, and trains networks on real and on moved ones. The
critic of domains is trained together with them, behind a reversed gradient, or by an
optimizer of its own before them, "alternating".
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from jaxvision.data.reid_examples import ReidDataset
from jaxvision.losses.classification import cross_entropy
from jaxvision.losses.domains import coral
from jaxvision.methods.common import batching, initial, reid_data
from jaxvision.methods.common import decomposition as parts
from jaxvision.methods.common.decomposition import CRITIC, Features, Moved, Net
from jaxvision.methods.common.distillation import part
from jaxvision.methods.common.supervised import VIEW, Evaluate
from jaxvision.metrics.classification import in_top_k
from jaxvision.ops.gradients import gradient_reversal
from jaxvision.ops.statistics import MomentBank
from jaxvision.train import optimizers, state
from jaxvision.train.stage import Stage, State
from jaxvision.typing import Array, PRNGKey, PyTree

CRITIC_SLOT = "opt_critic"
Step = Callable[..., tuple[State, dict[str, Any]]]


def train_stage(
  config: ConfigDict, data: ReidDataset, net: Net, *, evaluate: Evaluate, monitor: str
) -> Stage:
  """A stage whose state has `joined` variables, and "bank".

  Args:
    config: of the experiment.
    data: its split "train" is trained on.
    net: the networks.
    evaluate: as of a `Stage`.
    monitor: as of a `Stage`.
  """
  train, epoch = data.splits["train"], reid_data.epoch_steps(config, data)
  steps = max(1, round(config.epochs * epoch))
  resident = reid_data.is_resident(train, config)
  length = {"steps": steps, "steps_per_epoch": epoch}
  optimizer = optimizers.build(config.optimizer, **length)
  critic = optimizers.build(_critic_fields(config), **length)
  read = initial.from_file(config, net.model.model, part="model")
  like = lambda: jax.eval_shape(net.model.init, jax.random.key(0), reid_data.seen(data))

  def frozen(inherited: PyTree) -> PyTree:
    kept = {"data": reid_data.resident(train)} if resident else {}
    return {**kept, "start": read(inherited, like)} if config.init_from else kept

  return Stage(
    name="train",
    steps=steps,
    spec=reid_data.batch_spec(config, data),
    batches=lambda seed: reid_data.training(
      config, train, seed=seed, steps=steps, resident=resident
    ),
    frozen=frozen,
    init=_init_fn(config, data, net, optimizer, critic),
    step=_step_fn(config, net, optimizer, critic, steps),
    evaluate=evaluate,
    monitor=monitor,
  )


def _critic_fields(config: ConfigDict) -> ConfigDict:
  """Fields of the optimizer of an alternating critic: Adam."""
  own = config.adversary.optimizer
  fields = {**config.optimizer.to_dict(), **own.to_dict(), "name": "adam"}
  return ConfigDict({**fields, "groups": (), "freeze": (), "max_norm": 0.0})


def alternating(config: ConfigDict) -> bool:
  """Whether the critic has steps of its own."""
  return config.adversary.kind == "alternating" and config.adversary.on != "none"


def _subset(params: PyTree, config: ConfigDict) -> tuple[str, ...] | None:
  """What the main optimizer trains; None is all."""
  if not alternating(config):
    return None
  return tuple(name for name in params if name != CRITIC)


def _init_fn(
  config: ConfigDict,
  data: ReidDataset,
  net: Net,
  optimizer: optax.GradientTransformation,
  critic: optax.GradientTransformation,
) -> Callable[[PRNGKey, PyTree, PyTree], State]:
  view = reid_data.train_view(config)

  def init(key: PRNGKey, frozen: PyTree, batch: PyTree) -> State:
    one = jax.tree.map(lambda x: x[:1], batching.rows(frozen, batch))
    x = view(key, one["input"])
    variables = parts.begin(key, net, x)
    if "start" in frozen:
      start = {c: {"model": tree} for c, tree in frozen["start"].items()}
      variables = initial.merge(variables, start)
    subset = _subset(variables["params"], config)
    made = state.create(variables, optimizer, subset=subset)
    if alternating(config):
      made |= state.create(variables, critic, subset=(CRITIC,), slot=CRITIC_SLOT)
    size = parts.forward(net, variables, x)[0].z.shape[-1]
    made["bank"] = parts.empty_bank(config, len(data.domains), size)
    return state.with_ema(made) if config.ema.decay else made

  return init


def _step_fn(
  config: ConfigDict,
  net: Net,
  optimizer: optax.GradientTransformation,
  critic: optax.GradientTransformation,
  steps: int,
) -> Step:
  view, accumulate = reid_data.train_view(config), config.optimizer.accumulate

  def step(now: State, frozen: PyTree, batch: PyTree, key: PRNGKey):
    chosen = batching.rows(frozen, batch)
    x = view(jax.random.fold_in(key, VIEW), chosen["input"])
    chosen = {**chosen, "input": x}
    logs = {}
    if alternating(config):
      loss_fn = _critic_loss(config, net, now, chosen, key)
      now, logs = state.update(now, loss_fn, critic, subset=(CRITIC,), slot=CRITIC_SLOT)
      logs = {"critic_loss": logs["loss"]}
    loss_fn = _loss_fn(config, net, now, chosen, key, steps)
    subset = _subset(now["params"], config)
    now, own = state.update(now, loss_fn, optimizer, subset=subset)
    now = state.advance(now, decay=config.ema.decay, every=accumulate)
    return now, {**own, **logs}

  return step


def _features(
  config: ConfigDict, net: Net, now: State, params: PyTree, chosen: PyTree, key: PRNGKey
) -> tuple[Features, Moved, MomentBank, PyTree]:
  """A training pass: features, moved ones, the bank, and statistics that changed."""
  variables = {**state.variables(now, average=False), "params": params}
  features, changed = parts.forward(net, variables, chosen["input"], key=key)
  bank = parts.take_in(config, now["bank"], features.z, chosen["domain"])
  moved = parts.intervene(config, key, bank, features.z, chosen)
  return features, moved, bank, changed


def _critic_loss(
  config: ConfigDict, net: Net, now: State, chosen: PyTree, key: PRNGKey
) -> Callable[[PyTree], Any]:
  """The loss of an alternating critic, with a penalty on its gradient by features.

  Gulrajani and Lopez-Paz (2021): the mean squared norm of the gradient of each
  feature's cross-entropy.
  """
  features, moved, _, _ = _features(config, net, now, now["params"], chosen, key)
  z, domain = jax.lax.stop_gradient(
    parts.told(config, features, moved, chosen["domain"])
  )

  def loss_fn(params: PyTree):
    of_features = lambda z: _critic_entropy(net, params, z, domain)
    loss = of_features(z).mean()
    if config.adversary.penalty:
      slope = jax.grad(lambda z: of_features(z).sum())(z)
      loss += config.adversary.penalty * jnp.square(slope).sum(1).mean()
    return loss, ({}, {})

  return loss_fn


def _critic_entropy(net: Net, params: PyTree, z: Array, domain: Array) -> Array:
  logits = net.critic.apply(part({"params": params}, CRITIC), z)
  return cross_entropy(logits, domain)


def _loss_fn(
  config: ConfigDict, net: Net, now: State, chosen: PyTree, key: PRNGKey, steps: int
) -> Callable[[PyTree], Any]:
  """The loss of a step, and what it changes and logs.

  Before `transport.warmup` steps, while the bank knows little, losses on moved features
  do not count.
  """
  label, weight = chosen["identity"], config.transport.weight
  trusted = (now["step"] >= config.transport.warmup).astype(jnp.float32)
  scale = parts.strength(config, now["step"] / steps)

  def loss_fn(params: PyTree):
    features, moved, bank, changed = _features(config, net, now, params, chosen, key)
    variables = {**state.variables(now, average=False), "params": params}
    classifier = part(variables, "classifier")
    logits = net.classifier.apply(classifier, features.descriptor)
    logs = {"accuracy": in_top_k(logits, label).mean()}
    logs["identity_loss"] = parts.identity_loss(config, logits, features.z, label)
    total = logs["identity_loss"]
    if weight:
      logits = parts.classify_moved(net, variables, moved.z)
      logs["moved_loss"] = parts.identity_loss(config, logits, moved.z, moved.identity)
      total = total + weight * trusted * logs["moved_loss"]
    if config.adversary.on != "none":
      counted = 1.0 if config.adversary.on == "z" else trusted
      asked = parts.told(config, features, moved, chosen["domain"])
      logs["domain_loss"] = _domain_loss(config, net, params, *asked, scale)
      total = total + counted * _signed(config, logs["domain_loss"], scale)
    if config.coral:
      logs["coral"] = coral(features.z, chosen["domain"], domains=bank.count.size)
      total = total + config.coral * logs["coral"]
    after = {c: {**now[c], **tree} for c, tree in changed.items()}
    return total, ({**after, "bank": jax.lax.stop_gradient(bank)}, logs)

  return loss_fn


def _domain_loss(
  config: ConfigDict, net: Net, params: PyTree, z: Array, domain: Array, scale: Array
) -> Array:
  """Cross-entropy of the critic; only a reversed gradient carries lambda into z."""
  z = z if alternating(config) else gradient_reversal(z, scale)
  return _critic_entropy(net, params, z, domain).mean()


def _signed(config: ConfigDict, loss: Array, scale: Array) -> Array:
  """What of the domain loss is minimised: all, or lambda times its negative."""
  return -scale * loss if alternating(config) else loss
