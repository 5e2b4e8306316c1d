"""A classifier with a style head, as CausalAdv trains them together.

Both are pure functions of `joined` variables, "model" and "head"; beside them the state
has in "style" what the basis and the correction of the head are made of.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from ml_collections import ConfigDict

from jaxvision.attacks.objectives import Aim, Objective
from jaxvision.layers import insertion
from jaxvision.losses.style import corrected, covariance_shifts, soft_cross_entropy
from jaxvision.methods.common.distillation import part
from jaxvision.methods.common.supervised import Model
from jaxvision.models.style_head import StyleHead
from jaxvision.ops import style as style_ops
from jaxvision.ops.moment_bank import MomentBank, update_bank
from jaxvision.typing import Array, Float, Int, PRNGKey, PyTree

LAST = "logits"  # the layer whose kernel holds the class weights


class Net(NamedTuple):
  """The networks.

  Attributes:
    model: the classifier; its layer "logits" sits right behind the feature.
    at: place of the feature, as "pool".
    head: of the style.
    basis: kind of the basis, see `ops.style.style_basis`.
  """

  model: Model
  at: str
  head: StyleHead
  basis: str


class Seen(NamedTuple):
  """All that an attack on both networks needs.

  Attributes:
    model: variables of the classifier.
    head: variables of the style head.
    basis: [d, d] of the style.
  """

  model: PyTree
  head: PyTree
  basis: Array


class Outputs(NamedTuple):
  """Logits of the classifier and, uncorrected, of the style head."""

  logits: Array
  style: Array


class Weights(NamedTuple):
  """Of the style at one step; with a ramp they grow from epoch to epoch.

  Attributes:
    alpha: of the style's loss.
    ratio: of the correction by covariances.
  """

  alpha: Float[Array, ""]
  ratio: Float[Array, ""]


def weights_of(fields: ConfigDict, epoch: Int[Array, ""], epochs: float) -> Weights:
  """Weights of an epoch: with a ramp the first one, number 0, has none.

  Args:
    fields: `config.style`: `alpha`, `ratio`, `ramp` and `in_loss` are read.
    epoch: its number.
    epochs: of the run.
  """
  share = epoch / epochs if fields.ramp else jnp.float32(1.0)
  alpha = fields.alpha if fields.in_loss else 0.0
  return Weights(alpha * share, fields.ratio * share)


def begin(key: PRNGKey, size: int, classes: int) -> dict[str, PyTree]:
  """Fresh "style" of a state.

  Args:
    key: of the anchor.
    size: of the feature.
    classes: number of classes.
  """
  return {
    "anchor": style_ops.make_anchor(key, size),
    "features": MomentBank.zeros(1, size, full=True),
    "classes": MomentBank.zeros(classes, size, full=True),
  }


def forward(
  net: Net, variables: PyTree, x: Array, *, key: PRNGKey | None = None
) -> tuple[Array, Array, PyTree]:
  """A pass through the classifier, in training if there is a key.

  Returns:
    Features, logits, and the variables with those collections that changed.
  """
  train, rngs = key is not None, {"dropout": jax.random.key(0) if key is None else key}
  (logits, changed), found = insertion.features(
    net.model, variables, x, [net.at], train=train, mutable=["batch_stats"], rngs=rngs
  )
  feature = found[net.at].astype(jnp.float32)
  return feature, logits, {**variables, **changed}


def basis(net: Net, model: PyTree, style: PyTree) -> Array:
  """The basis of the style, [d, d]; no gradient flows through it.

  Args:
    net: the networks.
    model: variables of the classifier.
    style: of the state.
  """
  kernel = model["params"][LAST]["kernel"]
  return style_ops.style_basis(
    style["anchor"], kernel, style["features"].cov[0], kind=net.basis
  )


def watch(style: PyTree, feature: Array) -> PyTree:
  """Takes a batch of features into the covariance that the basis goes by."""
  unit = style_ops.unit_features(feature)
  one_class = jnp.zeros(len(unit), jnp.int32)
  bank = update_bank(style["features"], unit, one_class, mode="cumulative")
  return {**style, "features": bank}


def shifts(head: PyTree, classes: MomentBank, ratio: ArrayLike) -> Array:
  """The table that corrects the head's logits, `losses.style.covariance_shifts`."""
  return covariance_shifts(head["params"][LAST]["kernel"], classes.cov, ratio=ratio)


def see(net: Net, variables: PyTree, style: PyTree) -> Seen:
  """Puts together what `outputs` needs.

  Args:
    net: the networks.
    variables: `joined`.
    style: of the state.
  """
  model = part(variables, "model")
  return Seen(model, part(variables, "head"), basis(net, model, style))


def outputs(net: Net, seen: Seen, x: Array) -> Outputs:
  """What both networks say, without training's noise."""
  feature, logits, _ = forward(net, seen.model, x)
  style, _ = net.head.apply(seen.head, style_ops.style(feature, seen.basis))
  return Outputs(logits, style)


class Strengths(NamedTuple):
  """What an attack maximises: a weight of the content's loss, and of the style's."""

  content: ArrayLike
  style: ArrayLike


def aim(clean: Outputs, label: Array, shifts: Array, strengths: Strengths) -> Aim:
  """What `objective` compares with: the clean outputs, and each row's correction.

  Args:
    clean: outputs of the clean images.
    label: their labels.
    shifts: from `shifts`.
    strengths: may be traced, so that all attacks are one program.
  """
  shift = shifts[label]
  target = jax.nn.softmax(clean.style + shift)
  own = {"logits": clean.logits, "shift": shift, "target": target}
  return Aim(label, clean=jax.lax.stop_gradient({**own, "strengths": strengths}))


def objective(content: Objective) -> Objective:
  """Returns an objective on `Outputs`, of `aim`: that on logits, and of style.

  The latter is the cross-entropy of the head's answer to attacked style against that to
  clean style.

  Args:
    content: on logits.
  """

  def losses(found: Outputs, aim: Aim) -> Array:
    own, strengths = aim.clean, aim.clean["strengths"]
    base = content(found.logits, Aim(aim.label, clean=own["logits"]))
    apart = soft_cross_entropy(found.style + own["shift"], own["target"])
    return strengths.content * base + strengths.style * apart

  return losses


def moved_head(
  net: Net, head: PyTree, coordinates: Array, label: Array, classes: MomentBank
) -> tuple[Array, PyTree, MomentBank]:
  """A training pass of the head, which takes its own features into their covariance.

  Returns:
    Uncorrected logits, what changed of the variables, and the covariance with this
    batch: the authors correct the logits of the same call by it already.
  """
  (logits, feature), changed = net.head.apply(
    head, coordinates, True, mutable=["batch_stats"]
  )
  return logits, dict(changed), update_bank(classes, feature, label, mode="cumulative")


def head_logits(
  net: Net, head: PyTree, coordinates: Array, label: Array, shifts: Array
) -> Array:
  """The head's logits at inference, corrected."""
  return corrected(net.head.apply(head, coordinates)[0], label, shifts)
