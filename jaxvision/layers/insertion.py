"""Insertion: feature transforms behind named places of an unmodified Linen model.

A place is the output of any named submodule, addressed by its path: a `Tap`
("stage1/block0/relu"), a layer ("conv1"), a block ("stage1"). Dropout, quantizers of
activations, patch reordering and random warps all enter a model this way.
"""

import contextlib
import functools
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax

from jaxvision.errors import UserError
from jaxvision.typing import PyTree


class Rule(NamedTuple):
  """Inserts one kind of transform behind all places that match a pattern.

  Attributes:
    pattern: regular expression that must fully match a place's path.
    make: from (name, train) to the Linen module to insert, called with the output.
    name: the inserted module's own name. Its variables live under the place, as in
      `params["relu1"][name]`, so each place has its own. Unique among a model's rules.
  """

  pattern: str
  make: Callable[[str, bool], nn.Module]
  name: str


class Inserted(NamedTuple):
  """A model with transforms inserted; used as the model itself.

  Not for models with `nn.jit` inside: it caches the trace of a module whether or not
  something is inserted. Jit the whole step instead.

  Attributes:
    model: a Linen module called as `model(x, ..., train=...)`.
    rules: applied in this order where several match one place.
  """

  model: nn.Module
  rules: tuple[Rule, ...]

  def init(
    self, rngs: PyTree, *args: Any, train: bool = False, **kwargs: Any
  ) -> PyTree:
    """Returns variables of the model and of what is inserted, as `nn.Module.init`."""
    with _walk(self, train):
      return self.model.init(rngs, *args, train=train, **kwargs)

  def apply(
    self, variables: PyTree, *args: Any, train: bool = False, **kwargs: Any
  ) -> Any:
    """Applies the model, as `nn.Module.apply`: with rngs, mutable, method and so on.

    Raises:
      UserError: a rule matches no place. Not checked if `method` is given: another
        method need not visit every place.
    """
    with _walk(self, train, check=kwargs.get("method") is None):
      return self.model.apply(variables, *args, train=train, **kwargs)


class _Walk:
  """One pass through a model: an interceptor that inserts, and notes what it met."""

  def __init__(self, rules: Sequence[Rule], train: bool):
    # Made out here, a transform has no parent; each place gets its own bound copy.
    self.transforms = [(rule, rule.make(rule.name, train)) for rule in rules]
    self.places: dict[str, PyTree] = {}  # path -> shape of the output
    self.inserted: dict[str, list[str]] = {rule.name: [] for rule in rules}
    self._open: list[str] = []  # places whose call has begun and not ended
    self._within_transform = False

  def __call__(self, next_fun, args, kwargs, context: nn.module.InterceptorContext):
    path = "/".join(context.module.path)
    # `super().__call__` would make the same place twice: the outer call counts.
    skip = self._within_transform or not path or path in self._open
    if skip or context.method_name != "__call__":
      return next_fun(*args, **kwargs)
    self._open.append(path)
    try:
      y = self._insert(path, context.module.scope, next_fun(*args, **kwargs))
    finally:
      self._open.pop()
    self.places[path] = jax.tree.map(jax.numpy.shape, y)
    return y

  def _insert(self, path: str, scope: Any, y: PyTree) -> PyTree:
    """Applies the transforms of a place in its scope, which any module style has."""
    for rule, transform in self.transforms:
      if not re.fullmatch(rule.pattern, path):
        continue
      again = path in self.inserted[rule.name]  # a module called twice: same variables
      if not again and scope.name_reserved(rule.name):
        raise UserError(
          f"insertion {rule.name!r}: {path} already holds something of that name; "
          "give the rule another."
        )
      child = scope.push(rule.name, reuse=again)
      self._within_transform = True
      try:
        y = transform.clone(parent=child)(y)
      finally:
        self._within_transform = False
      if not again:
        self.inserted[rule.name].append(path)
    return y


@contextlib.contextmanager
def _walk(inserted: Inserted, train: bool, check: bool = True) -> Iterator[_Walk]:
  """Opens an interceptor around init or apply.

  Inside a function that is traced this happens in the trace, where it must: a cached
  jit would not see an interceptor around it.
  """
  names = [rule.name for rule in inserted.rules]
  repeated = sorted({name for name in names if names.count(name) > 1})
  if repeated:
    raise UserError(f"insertion rules share the name {repeated[0]!r}; rename one.")
  walk = _Walk(inserted.rules, train)
  with nn.intercept_methods(walk):
    yield walk
  lost = [rule for rule in inserted.rules if not walk.inserted[rule.name]]
  if check and lost:
    raise UserError(
      f"insertion {lost[0].name!r} at {lost[0].pattern!r} matches no place of "
      f"{type(inserted.model).__name__}; its places are {', '.join(walk.places)}."
    )


def _visit(inserted: Inserted, *inputs: Any, train: bool, **kwargs: Any) -> _Walk:
  """Walks through an abstract `init`, which computes nothing."""
  key = jax.random.key(0)

  def init(*inputs: Any) -> PyTree:
    return inserted.model.init(key, *inputs, train=train, **kwargs)

  with _walk(inserted, train) as walk:
    jax.eval_shape(init, *inputs)
  return walk


def places(
  model: nn.Module | Inserted, *inputs: Any, train: bool = False, **kwargs: Any
) -> dict[str, PyTree]:
  """Lists the places of a model, in order of call, with the shapes of their outputs.

  Args:
    model: a Linen module, or one with insertions.
    *inputs: its inputs, as arrays or `jax.ShapeDtypeStruct`s.
    train: passed on.
    **kwargs: passed on.
  """
  whole = model if isinstance(model, Inserted) else Inserted(model, ())
  return _visit(whole, *inputs, train=train, **kwargs).places


def inserted_where(
  inserted: Inserted, *inputs: Any, train: bool = False, **kwargs: Any
) -> dict[str, list[str]]:
  """Tells where each rule inserts: {rule name: [path]}; arguments as for `places`."""
  return _visit(inserted, *inputs, train=train, **kwargs).inserted


def features(
  model: nn.Module | Inserted,
  variables: PyTree,
  x: Any,
  names: Sequence[str],
  *,
  train: bool = False,
  mutable: Sequence[str] = (),
  **kwargs: Any,
) -> tuple[Any, dict[str, PyTree]]:
  """Applies a model and returns the values at some places too.

  Args:
    model: a Linen module, or one with insertions: values are those after them.
    variables: its variables.
    x: its input.
    names: paths of places; of a module that is called several times, the last output.
    train: passed on.
    mutable: collections that change, as in `nn.Module.apply`.
    **kwargs: passed on: rngs, method, ...

  Returns:
    What `model.apply` returns (with a non-empty `mutable`: outputs and changed
    collections), and {path: value}.

  Raises:
    UserError: a name that is no place.
  """
  seen: list[str] = []
  variables = {k: v for k, v in variables.items() if k != "intermediates"}
  outputs, changed = model.apply(
    variables,
    x,
    train=train,
    mutable=[*mutable, "intermediates"],
    capture_intermediates=functools.partial(_wanted, names, seen),
    **kwargs,
  )
  lost = [name for name in names if name not in seen]
  if lost:
    raise UserError(
      f"feature {lost[0]!r} is no place of the model; "
      f"its places are {', '.join(dict.fromkeys(seen))}."
    )
  captured = changed.pop("intermediates", {})
  values = {name: _captured(captured, name) for name in names}
  return (outputs, changed) if mutable else outputs, values


def _wanted(
  names: Sequence[str], seen: list[str], module: nn.Module, method: str
) -> bool:
  """Whether to capture an output; notes every place in `seen`."""
  path = "/".join(module.path)
  if method != "__call__" or not path:
    return False
  seen.append(path)
  return path in names


def _captured(tree: PyTree, path: str) -> PyTree:
  for name in path.split("/"):
    tree = tree[name]
  return tree["__call__"][-1]
