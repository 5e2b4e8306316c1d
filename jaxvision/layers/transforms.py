"""Insertion rules from config entries such as {"at": "relu.*", "kind": ...}."""

import collections
import inspect
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any

import flax.linen as nn
from flax.core import FrozenDict
from ml_collections import ConfigDict

from jaxvision.errors import UserError
from jaxvision.layers.dropout import ContinuousDropout
from jaxvision.layers.insertion import Rule
from jaxvision.layers.patches import PatchReorder
from jaxvision.layers.quantization import ActivationQuantizer
from jaxvision.layers.warp import RandomTransform
from jaxvision.ops.masks import MaskSpec, rescaling
from jaxvision.ops.patches import check_options
from jaxvision.ops.quantizers import ACTIVATIONS, make_scheme
from jaxvision.ops.warp import WarpSpec

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


def random_transform(
  *,
  angle: Sequence[Real] | Real | None = None,
  scale: Sequence[Real] | Real | None = None,
  shift: Sequence[Real] | None = None,
  distribution: str = "uniform",
  alternate: bool = False,
  granularity: str = "batch",
  border: str = "zero",
  interpolation: str = "bilinear",
  noise: Sequence[Real] = (-0.3, 0.3),
) -> Make:
  """Random affine warp, on in training; the fields are those of `ops.warp.WarpSpec`."""
  hashable = lambda value: tuple(value) if isinstance(value, Sequence) else value
  spec = WarpSpec(
    *map(hashable, (angle, scale, shift)),
    distribution,
    alternate,
    granularity,
    border,
    interpolation,
    hashable(noise),
  )
  return lambda name, train: RandomTransform(spec, not train, name=name)


def patch_reorder(
  *,
  n: int = 2,
  levels: int = 1,
  energy: str = "l2",
  shared: bool = False,
  remainder: str = "topleft",
) -> Make:
  """Patch reordering; the fields are those of `ops.patches.patch_reorder`."""
  check_options(n=n, levels=levels, energy=energy, remainder=remainder)
  return lambda name, train: PatchReorder(
    n, levels, energy, shared, remainder, name=name
  )


def quantize(
  *,
  quantizer: str = "quantization_networks",
  levels: Sequence[Real] | str = "a2",
  options: Mapping[str, Any] = FrozenDict(),
  soft_inference: bool = False,
) -> Make:
  """Quantized activations, by a name and options of `ops.quantizers`.

  Soft in training and hard at inference, or with `soft_inference` soft in both.
  """
  scheme = make_scheme(quantizer, levels, target=ACTIVATIONS, **options)
  return lambda name, train: ActivationQuantizer(
    scheme, train or soft_inference, name=name
  )


# From the kind of an entry to a function of the entry's other fields, all of them
# keyword arguments with defaults or required ones.
KINDS: dict[str, Callable[..., Make]] = {
  "continuous_dropout": continuous_dropout,
  "random_transform": random_transform,
  "patch_reorder": patch_reorder,
  "quantize": quantize,
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
