"""Quantization of weights as a function from a parameter tree to a parameter tree.

No model knows of it: `model.apply({"params": quantize_tree(params, ...)}, x)`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxvision.errors import UserError
from jaxvision.ops import trees
from jaxvision.ops.quantization_schemes import WEIGHTS, Params, Scheme
from jaxvision.ops.quantizers import make_scheme
from jaxvision.typing import Array, PyTree

# (regular expression that must fully match a path such as "conv1/kernel", how to
# quantize it, or None to leave it); the first match decides.
Rules = Sequence[tuple[str, Scheme | None]]


def make_rules(entries: Sequence[Mapping[str, Any]]) -> Rules:
  """Makes the rules that config entries describe.

  Args:
    entries: each with "at", a pattern; "quantizer", one of `ops.quantizers`, or "none"
      to leave what matches; and for a quantizer "levels" and its options.

  Raises:
    UserError: a missing field, or what `quantizers.make_scheme` refuses.
  """
  return tuple(map(_make_rule, entries))


def _make_rule(entry: Mapping[str, Any]) -> tuple[str, Scheme | None]:
  fields = dict(entry)
  needed = ["at", "quantizer"]
  if fields.get("quantizer") != "none":
    needed.append("levels")
  missing = [name for name in needed if name not in fields]
  if missing:
    raise UserError(f"quantization entry {fields} has no {missing[0]!r}; add it.")
  pattern, name = fields.pop("at"), fields.pop("quantizer")
  if name == "none":
    if fields:
      raise UserError(
        f"quantization at {pattern!r}: none has no option {min(fields)!r}; remove it."
      )
    return pattern, None
  return pattern, make_scheme(name, fields.pop("levels"), target=WEIGHTS, **fields)


def quantized_paths(params: PyTree, rules: Rules) -> dict[str, str]:
  """Tells what the rules quantize: {path: pattern that decided}, in leaf order.

  Raises:
    UserError: a pattern that matches no parameter.
  """
  return {path: pattern for path, (pattern, _) in _decided(params, rules).items()}


def _decided(params: PyTree, rules: Rules) -> dict[str, tuple[str, Scheme]]:
  names = trees.paths(params)
  lost = trees.unmatched(rules, names)
  if lost:
    raise UserError(
      f"quantization rule {lost[0]!r} matches no parameter; "
      f"parameters are {', '.join(names)}."
    )
  numbered = [(rule[0], rule) for rule in rules]
  matches = {path: trees.first_match(numbered, path) for path in names}
  return {path: rule for path, rule in matches.items() if rule and rule[1] is not None}


def init_tree(
  params: PyTree, rules: Rules, *, shared: bool = False
) -> dict[str, dict[str, Array]]:
  """Fits the quantizers that rules choose to pre-trained parameters.

  Args:
    params: a tree of arrays.
    rules: what to quantize and how. For the first and the last layer to stay float,
      put `("conv1/kernel|logits/kernel", None)` before `(".*/kernel", scheme)`.
    shared: one quantizer for all tensors of a rule, fitted to all their values,
      instead of one for each: the ablation of the paper's table 6.

  Returns:
    {path of the tensor, or pattern of the rule if shared: parameters of the
    quantizer}, without those that own none. Trained by gradient with the weights, but
    without weight decay.

  Raises:
    UserError: a pattern that matches no parameter, or a tensor that the scheme cannot
      be fitted to.
  """
  leaves = dict(zip(trees.paths(params), jax.tree.leaves(params), strict=True))
  together: dict[str, list[str]] = {}
  schemes: dict[str, Scheme] = {}
  for path, (pattern, scheme) in _decided(params, rules).items():
    key = pattern if shared else path
    together.setdefault(key, []).append(path)
    schemes[key] = scheme
  return {
    key: _fit(schemes[key], {path: leaves[path] for path in paths})
    for key, paths in together.items()
    if schemes[key].owns
  }


def _fit(scheme: Scheme, tensors: Mapping[str, Array]) -> dict[str, Array]:
  values = list(tensors.values())
  if len(values) > 1:
    if scheme.per_channel:
      raise UserError(
        f"a quantizer with parameters for each channel cannot be shared by "
        f"{', '.join(tensors)}; give each its own."
      )
    values = [jnp.concatenate([value.reshape(-1) for value in values])]
  try:
    return dict(scheme.init(values[0]))
  except ValueError as error:
    raise UserError(f"quantizer of {', '.join(tensors)}: {error}") from error


def quantize_tree(
  params: PyTree,
  rules: Rules,
  quantizer_params: Mapping[str, Params],
  *,
  temperature: ArrayLike | None = None,
  hard: bool = False,
) -> PyTree:
  """Quantizes the tensors that rules choose; all others are returned as they are.

  Gradients flow to the weights and to the quantizers' parameters.

  Args:
    params: a tree of arrays.
    rules: as given to `init_tree`.
    quantizer_params: from `init_tree`, or as trained since.
    temperature: of annealed schemes, a scalar; may be traced. Not read if `hard`.
    hard: as at inference, instead of as in training.

  Raises:
    UserError: a pattern that matches no parameter, a tensor whose quantizer has no
      parameters, or no temperature where a scheme needs one.
  """
  decided = _decided(params, rules)

  def quantize(path: str, leaf: Array) -> Array:
    if path not in decided:
      return leaf
    pattern, scheme = decided[path]
    own = _own(quantizer_params, path, pattern, scheme)
    if scheme.annealed and not hard and temperature is None:
      raise UserError(f"quantizer of {path} anneals; give a temperature, or hard=True.")
    return scheme.apply(own, leaf, temperature, not hard)

  return trees.map_with_path(quantize, params)


def _own(
  quantizer_params: Mapping[str, Params], path: str, pattern: str, scheme: Scheme
) -> Params:
  key = path if path in quantizer_params else pattern
  if scheme.owns and key not in quantizer_params:
    raise UserError(
      f"the quantizer of {path} has no parameters; make them by init_tree "
      f"(given are {', '.join(quantizer_params) or 'none'})."
    )
  return quantizer_params.get(key, {})


def update_tree(
  params: PyTree, rules: Rules, quantizer_params: Mapping[str, Params]
) -> dict[str, Any]:
  """Updates what no gradient trains, as LQ-Nets' bases, after a training step.

  Args:
    params: the weights.
    rules: as given to `init_tree`.
    quantizer_params: from `init_tree`.
  """
  leaves = dict(zip(trees.paths(params), jax.tree.leaves(params), strict=True))
  decided = _decided(params, rules)
  return {
    # Shared ones are not under a path, and no gradient-free scheme can be shared.
    key: decided[key][1].update(own, leaves[key]) if key in decided else own
    for key, own in quantizer_params.items()
  }
