"""Insertion rules from config entries such as {"at": "relu.*", "kind": ...}."""

import collections
import inspect
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any

import flax.linen as nn
from ml_collections import ConfigDict

from jaxvision.errors import UserError
from jaxvision.layers.dropout import ContinuousDropout
from jaxvision.layers.insertion import Rule
from jaxvision.ops.masks import MaskSpec, rescaling

Entry = Mapping[str, Any] | ConfigDict
Make = Callable[[str, bool], nn.Module]


def continuous_dropout(
  *,
  mask: str = "bernoulli",
  rate: Real = 0.5,
  low: Real = 0.0,
  high: Real = 1.0,
  mean: Real = 0.5,
  std: Real = 0.25,
  clip: bool = True,
  broadcast_axes: Sequence[int] = (),
  rescale: str = "train",
  mean_mode: str = "nominal",
) -> Make:
  """Continuous dropout, on in training. `mask` is `MaskSpec.kind`, the rest its fields.

  See `ops.masks.continuous_dropout` for the last three.
  """
  spec = MaskSpec(mask, rate, low, high, mean, std, clip)
  rescaling(spec, rescale=rescale, mean_mode=mean_mode)  # fails now, not in a step
  return lambda name, train: ContinuousDropout(
    spec,
    tuple(broadcast_axes),
    rescale,
    mean_mode,
    deterministic=not train,
    name=name,
  )


# From the kind of an entry to a function of the entry's other fields, all of them
# keyword arguments with defaults or required ones.
KINDS: dict[str, Callable[..., Make]] = {
  "continuous_dropout": continuous_dropout,
}


def make_rule(entry: Entry) -> Rule:
  """Makes the rule that a config entry describes.

  Args:
    entry: "at": pattern of the places; "kind": one of `KINDS`; optionally "name" (by
      default the kind); and the kind's own fields.

  Raises:
    UserError: a missing or unknown kind or field, or a value out of range.
  """
  fields = entry.to_dict() if isinstance(entry, ConfigDict) else dict(entry)
  missing = [field for field in ("at", "kind") if field not in fields]
  if missing:
    raise UserError(f"config.insert: the entry {fields} has no {missing[0]!r}; add it.")
  pattern, kind = fields.pop("at"), fields.pop("kind")
  name = fields.pop("name", kind)
  if kind not in KINDS:
    raise UserError(
      f"config.insert has kind {kind!r}; choose one of {', '.join(KINDS)}."
    )
  known = list(inspect.signature(KINDS[kind]).parameters)
  unknown = sorted(set(fields) - set(known))
  if unknown:
    raise UserError(
      f"config.insert: {kind} has no field {unknown[0]!r}; it has {', '.join(known)}."
    )
  try:
    return Rule(pattern, KINDS[kind](**fields), name)
  except ValueError as error:
    raise UserError(f"config.insert: {kind} at {pattern!r}: {error}") from error


def make_rules(entries: Sequence[Entry]) -> tuple[Rule, ...]:
  """Makes the rules of a list of entries, numbering names that repeat: "x", "x_1"."""
  counts = collections.Counter()
  rules = []
  for rule in map(make_rule, entries):
    repeats = counts[rule.name]
    counts[rule.name] += 1
    rules.append(rule._replace(name=f"{rule.name}_{repeats}") if repeats else rule)
  return tuple(rules)
