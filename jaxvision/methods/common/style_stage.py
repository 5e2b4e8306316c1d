"""The stage of CausalAdv: adversarial training with style aligned.

Each step trains the style head on natural style first, then the classifier, on
adversarial images made with both as they were before. Without a weight of the style the
classifier's part is plain adversarial training: the head watches and changes nothing.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import optax
from ml_collections import ConfigDict

from jaxvision.attacks.pgd import ascend
from jaxvision.losses.classification import cross_entropy
from jaxvision.losses.style import alignment, corrected
from jaxvision.methods.common import adversarial_training, batching, initial, style
from jaxvision.methods.common.adversarial_training import Training
from jaxvision.methods.common.distillation import joined, part
from jaxvision.methods.common.distillation_stages import Source
from jaxvision.methods.common.style import Net
from jaxvision.methods.common.supervised import VIEW, Evaluate
from jaxvision.metrics.classification import in_top_k
from jaxvision.ops.style import style as coordinates_of
from jaxvision.train import state
from jaxvision.train.stage import Stage, State
from jaxvision.typing import Array, PRNGKey, PyTree

ATTACK, PARTS = 3, 2**31  # folded into a key: a step's attack, parts of `init`
MODEL, HEAD = "model", "head"
LossFn = Callable[[PyTree], tuple[Array, tuple[dict, dict]]]


class Attacked(NamedTuple):
  """What a step is about: images, labels, adversarial images, the style's basis."""

  x: Array
  label: Array
  x_adv: Array
  basis: Array


def train_stage(
  config: ConfigDict,
  source: Source,
  net: Net,
  *,
  inputs: PyTree,
  evaluate: Evaluate,
  monitor: str,
) -> Stage:
  """A stage whose state has `joined` variables, "model" and "head", and "style".

  Args:
    config: `adversarial`, `style`, `batch_size`, `optimizer`, `ema` and `init_from` are
      read.
    source: of the batches.
    net: the networks.
    inputs: `jax.ShapeDtypeStruct` of what the classifier takes.
    evaluate: as of a `Stage`.
    monitor: as of a `Stage`.
  """
  size = config.batch_size
  epoch = batching.steps_per_epoch(source.train, size)
  training = adversarial_training.build(config.adversarial)
  optimizers = _optimizers(config, source)

  def init(key: PRNGKey, frozen: PyTree, batch: PyTree) -> State:
    one = jax.tree.map(lambda x: x[:1], batching.rows(frozen, batch))
    variables, own = _begin(net, key, source.inputs(one, key), frozen.get("start", {}))
    made = {"style": own}
    for name, optimizer in optimizers.items():
      made |= state.create(variables, optimizer, subset=(name,), slot=f"opt_{name}")
    return state.with_ema(made) if config.ema.decay else made

  def step(now: State, frozen: PyTree, batch: PyTree, key: PRNGKey):
    chosen = batching.rows(frozen, batch)
    x = source.inputs(chosen, jax.random.fold_in(key, VIEW))
    weights = style.weights_of(config.style, now["step"] // epoch, source.steps / epoch)
    now, attacked = _attack(config, training, net, now, x, chosen["label"], key)
    head_loss = _head_loss_fn(net, now, attacked, weights, key)
    now, logs = _update(now, HEAD, head_loss, optimizers)
    model_loss = _model_loss_fn(config, training, net, now, attacked, weights, key)
    now, own = _update(now, MODEL, model_loss, optimizers)
    accumulate = config.optimizer.accumulate
    now = state.advance(now, decay=config.ema.decay, every=accumulate)
    return now, {**own, "head_loss": logs["loss"]}

  fields = {"init": init, "step": step, "evaluate": evaluate, "monitor": monitor}
  return source.stage("train", size, frozen=_start_fn(config, net, inputs), **fields)


def _optimizers(
  config: ConfigDict, source: Source
) -> dict[str, optax.GradientTransformation]:
  """One a network; groups, whose patterns are of its paths, are the classifier's."""
  theirs = ConfigDict({**config.optimizer.to_dict(), "groups": (), "freeze": ()})
  return {
    MODEL: source.optimizer(config.optimizer, config.batch_size),
    HEAD: source.optimizer(theirs, config.batch_size),
  }


def _start_fn(
  config: ConfigDict, net: Net, inputs: PyTree
) -> Callable[[Mapping[str, State]], PyTree]:
  """Reads `config.init_from`, variables of the classifier, if there is one."""
  read = initial.from_file(config, net.model.model)
  like = lambda: jax.eval_shape(net.model.init, jax.random.key(0), inputs)
  return lambda inherited: {"start": read(inherited, like)} if config.init_from else {}


def _update(now: State, name: str, loss_fn: LossFn, optimizers) -> tuple[State, dict]:
  fields = {"subset": (name,), "slot": f"opt_{name}"}
  return state.update(now, loss_fn, optimizers[name], **fields)


def _begin(net: Net, key: PRNGKey, x: Array, start: PyTree) -> tuple[PyTree, PyTree]:
  """Fresh `joined` variables, and the "style" of a state."""
  model = initial.merge(net.model.init(key, x), start)
  head_key, style_key = jax.random.split(jax.random.fold_in(key, PARTS))
  feature, logits, _ = style.forward(net, model, x)
  head = net.head.init(head_key, feature)
  own = style.begin(style_key, feature.shape[-1], logits.shape[-1])
  return joined(model=model, head=head), own


def _attack(
  config: ConfigDict,
  training: Training,
  net: Net,
  now: State,
  x: Array,
  label: Array,
  key: PRNGKey,
) -> tuple[State, Attacked]:
  """Takes the natural features into the basis' covariance, and attacks.

  The networks are attacked as at inference, with the batch statistics that the natural
  pass has just left, and with full weights: the authors do not ramp the attack.
  """
  variables = state.variables(now, average=False)
  feature, _, model = style.forward(net, part(variables, MODEL), x, key=key)
  own = style.watch(now["style"], feature)
  seen = style.Seen(model, part(variables, HEAD), style.basis(net, model, own))
  fields, inner = config.style, config.adversarial
  strengths = style.Strengths(inner.beta, fields.alpha if fields.in_attack else 0.0)
  shifts = style.shifts(seen.head, own["classes"], fields.ratio)
  x_adv = ascend(
    lambda seen, x: style.outputs(net, seen, x),
    style.objective(training.objective),
    x,
    style.aim(style.outputs(net, seen, x), label, shifts, strengths),
    training.start(jax.random.fold_in(key, ATTACK), x),
    eps=inner.eps,
    step_size=inner.step_size,
    steps=inner.steps,
    variables=seen,
  )
  return {**now, "style": own}, Attacked(x, label, x_adv, seen.basis)


def _head_loss_fn(
  net: Net, now: State, attacked: Attacked, weights: style.Weights, key: PRNGKey
) -> LossFn:
  """The head's loss, on natural style; the classifier stays."""
  variables = state.variables(now, average=False)
  feature, _, _ = style.forward(net, part(variables, MODEL), attacked.x, key=key)
  coordinates = jax.lax.stop_gradient(coordinates_of(feature, attacked.basis))

  def loss_fn(params: PyTree):
    head = part({**variables, "params": params}, HEAD)
    logits, changed, classes = style.moved_head(
      net, head, coordinates, attacked.label, now["style"]["classes"]
    )
    shifts = style.shifts(head, classes, weights.ratio)
    own = corrected(logits, attacked.label, shifts)
    loss = cross_entropy(own, attacked.label).mean()
    after = {c: {**now[c], HEAD: tree} for c, tree in changed.items()}
    return loss, ({**after, "style": {**now["style"], "classes": classes}}, {})

  return loss_fn


def _model_loss_fn(
  config: ConfigDict,
  training: Training,
  net: Net,
  now: State,
  attacked: Attacked,
  weights: style.Weights,
  key: PRNGKey,
) -> LossFn:
  """The classifier's loss: of its kind of adversarial training, and of style."""
  head = part(state.variables(now, average=False), HEAD)
  label = attacked.label
  shifts = style.shifts(head, now["style"]["classes"], weights.ratio)

  def loss_fn(params: PyTree):
    model = part({**state.variables(now, average=False), "params": params}, MODEL)
    feature, clean, model = style.forward(net, model, attacked.x, key=key)
    feature_adv, adv, model = style.forward(net, model, attacked.x_adv, key=key)
    natural, moved = (
      style.head_logits(net, head, coordinates_of(f, attacked.basis), label, shifts)
      for f in (feature, feature_adv)
    )
    content = training.loss(clean, adv, label).mean()
    apart = alignment(natural, moved, detach=config.style.detach).mean()
    logs = {
      "accuracy": in_top_k(clean, label).mean(),
      "robust_accuracy": in_top_k(adv, label).mean(),
      "style_loss": apart,
      "style_gap": (cross_entropy(moved, label) - cross_entropy(natural, label)).mean(),
    }
    changed = {c: {**now[c], MODEL: model[c]} for c in ("batch_stats",) if c in model}
    return content + weights.alpha * apart, (changed, logs)

  return loss_fn
