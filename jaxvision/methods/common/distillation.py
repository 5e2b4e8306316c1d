"""A student and its teacher: what one shows and the other makes of it.

A teacher is seen through `Guide`s, a `Criterion` says what it adds to the loss of the
student's task, and variables of several modules are `joined` under their names:
"student", and "adapter", which only training needs.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import flax.linen as nn
import jax

from jaxvision.layers import insertion
from jaxvision.methods.common.supervised import Model
from jaxvision.models.coders import AutoEncoder, Coder
from jaxvision.ops import channels
from jaxvision.typing import Array, PRNGKey, PyTree

SPLIT = 2**31  # folded into the key of `init` for the split of the channels
Features = tuple[Array, ...]
Parts = dict[str, Array]


class Guide(NamedTuple):
  """What a teacher shows of a batch.

  Attributes:
    outputs: of the network.
    features: at its taps, or their factors.
    variables: of the network; OFD reads its batch norms.
  """

  outputs: PyTree
  features: Features
  variables: PyTree


class Criterion(NamedTuple):
  """What a teacher adds to the loss of the task.

  Attributes:
    taps: places of the student whose features count.
    parts: (features, split) -> {name: feature}, what the adapter takes.
    adapter: trained with the student: {name: feature} -> {name: feature}.
    loss: (adapted parts, guide) -> (loss, logs); None is none.
    outputs: (outputs, the teacher's outputs) -> loss; None is none.
    task_weight: of the loss of the task.
    split_kind: "natural" or "random".
    ratio: share of the channels that inherit.
  """

  taps: tuple[str, ...]
  parts: Callable[[Features, PyTree], Parts]
  adapter: nn.Module | None = None
  loss: Callable[[Parts, Guide], tuple[Array, dict[str, Array]]] | None = None
  outputs: Callable[[PyTree, PyTree], Array] | None = None
  task_weight: float = 1.0
  split_kind: str = "natural"
  ratio: float = 0.5


def joined(**parts: PyTree) -> PyTree:
  """Variables of several modules: {collection: {name of the module: tree}}."""
  names = dict.fromkeys(c for variables in parts.values() for c in variables)
  return {
    c: {name: variables[c] for name, variables in parts.items() if c in variables}
    for c in names
  }


def part(variables: PyTree, name: str) -> PyTree:
  """The variables of one module out of `joined` ones."""
  return {c: trees[name] for c, trees in variables.items() if name in trees}


def observer(
  model: Model, taps: Sequence[str], coder: AutoEncoder | None = None
) -> Callable[[PyTree, Array], Guide]:
  """Returns (frozen, x) -> what the teacher shows, without training's noise.

  Args:
    model: the teacher; its variables are frozen["teacher"].
    taps: places of the teacher.
    coder: the auto-encoder whose variables are frozen["coder"]; its factor replaces the
      feature. None shows features as they are.
  """

  def see(frozen: PyTree, x: Array) -> Guide:
    rngs, variables = {"dropout": jax.random.key(0)}, frozen["teacher"]
    outputs, found = insertion.features(model, variables, x, list(taps), rngs=rngs)
    features = tuple(found[tap] for tap in taps)
    if coder is not None:
      encoder = Coder(coder.width, coder.norm, coder.dtype)
      own = part(frozen["coder"], "encoder")
      features = tuple(encoder.apply(own, f, False) for f in features)
    return Guide(outputs, features, variables)

  return see


def begin(key: PRNGKey, model: Model, x: Array, criterion: Criterion) -> PyTree:
  """Fresh `joined` variables of a student and its adapter, and "split"."""
  variables = model.init(key, x)
  rngs = {"dropout": key}
  _, found = insertion.features(model, variables, x, list(criterion.taps), rngs=rngs)
  features = tuple(found[tap] for tap in criterion.taps)
  keys = jax.random.split(jax.random.fold_in(key, SPLIT), len(features) + 1)
  split = {}
  for i, (f, k) in enumerate(zip(features, keys, strict=False)):
    fields = {"ratio": criterion.ratio, "kind": criterion.split_kind, "key": k}
    inherit, explore = channels.make_split(f.shape[-1], **fields)
    split[f"tap{i}"] = {"inherit": inherit, "explore": explore}
  modules = {"student": variables}
  if criterion.adapter is not None:
    parts = criterion.parts(features, split)
    modules["adapter"] = criterion.adapter.init(keys[-1], parts)
  return {**joined(**modules), "split": split}


def forward(
  model: Model,
  variables: PyTree,
  x: Array,
  criterion: Criterion,
  split: PyTree,
  *,
  key: PRNGKey | None = None,
) -> tuple[PyTree, Parts, PyTree]:
  """A pass through the student and its adapter; in training if there is a key.

  Returns:
    Outputs, adapted parts, and the collections that changed, `joined`.
  """
  train, rngs = key is not None, {"dropout": jax.random.key(0) if key is None else key}
  (outputs, changed), found = insertion.features(
    model,
    part(variables, "student"),
    x,
    list(criterion.taps),
    train=train,
    mutable=["batch_stats"],
    rngs=rngs,
  )
  parts = criterion.parts(tuple(found[tap] for tap in criterion.taps), split)
  modules = {"student": dict(changed)}
  if criterion.adapter is not None:
    own = part(variables, "adapter")
    parts, after = criterion.adapter.apply(own, parts, train, mutable=["batch_stats"])
    modules["adapter"] = dict(after)
  return outputs, parts, joined(**modules)


def added(
  criterion: Criterion,
  outputs: PyTree,
  parts: Parts,
  guide: Guide | None,
  strength: float | Array,
) -> tuple[Array | float, dict[str, Array]]:
  """The teacher's part of the loss, and its logs; 0 without a teacher."""
  total, logs = 0.0, {}
  if criterion.loss is not None:
    feature, found = criterion.loss(parts, guide)
    total = total + strength * feature
    logs |= {"feature": feature, **found}
  if criterion.outputs is not None:
    soft = criterion.outputs(outputs, guide.outputs)
    total, logs = total + soft, {**logs, "soft": soft}
  return total, logs
