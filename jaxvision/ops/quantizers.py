"""Quantizers by name: Quantization Networks' own and its baselines in one slot.

Trees of weights (`ops.tree_quantization`) and inserted activation quantizers
(`layers.quantization`) use any of them alike.
"""

import inspect
from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any, NamedTuple

from jaxvision.errors import UserError
from jaxvision.ops import quantization_schemes as schemes
from jaxvision.ops.quantization import LEVELS
from jaxvision.ops.quantization_init import check_levels
from jaxvision.ops.quantization_schemes import ACTIVATIONS, WEIGHTS, Scheme

__all__ = ["ACTIVATIONS", "QUANTIZERS", "WEIGHTS", "Family", "Scheme", "make_scheme"]


class Family(NamedTuple):
  """Makes schemes: (levels, target, its own options) -> Scheme, for some targets."""

  make: Callable[..., Scheme]
  targets: tuple[str, ...]


QUANTIZERS: dict[str, Family] = {
  "quantization_networks": Family(
    schemes.quantization_networks, (WEIGHTS, ACTIVATIONS)
  ),
  "ste": Family(schemes.ste, (WEIGHTS, ACTIVATIONS)),
  "bwn": Family(schemes.bwn, (WEIGHTS,)),
  "twn": Family(schemes.twn, (WEIGHTS,)),
  "ttq": Family(schemes.ttq, (WEIGHTS,)),
  "dorefa": Family(schemes.dorefa, (WEIGHTS, ACTIVATIONS)),
  "pact": Family(schemes.pact, (ACTIVATIONS,)),
  "lsq": Family(schemes.lsq, (WEIGHTS, ACTIVATIONS)),
  "lq_nets": Family(schemes.lq_nets, (WEIGHTS, ACTIVATIONS)),
}


def make_scheme(
  name: str, levels: str | Sequence[Real], *, target: str, **options: Any
) -> Scheme:
  """Makes a scheme from what a config says.

  Args:
    name: one of `QUANTIZERS`.
    levels: the level set, or its name in `ops.quantization.LEVELS`.
    target: "weights" or "activations".
    **options: the quantizer's own.

  Raises:
    UserError: an unknown name, level set or option; a quantizer that is not for the
      target or cannot have these levels.
  """
  if name not in QUANTIZERS:
    raise UserError(f"quantizer {name!r}: choose one of {', '.join(QUANTIZERS)}.")
  make, targets = QUANTIZERS[name]
  if target not in targets:
    raise UserError(f"quantizer {name!r} is for {' and '.join(targets)}, not {target}.")
  if isinstance(levels, str) and levels not in LEVELS:
    raise UserError(
      f"quantizer {name!r}: levels are {levels!r}; choose one of {', '.join(LEVELS)} "
      "or give the numbers."
    )
  levels = LEVELS[levels] if isinstance(levels, str) else tuple(levels)
  known = list(inspect.signature(make).parameters)[2:]
  unknown = sorted(set(options) - set(known))
  if unknown:
    raise UserError(
      f"quantizer {name!r} has no option {unknown[0]!r}; "
      f"it has {', '.join(known) or 'none'}."
    )
  try:
    check_levels(levels)
    return make(levels, target, **options)
  except ValueError as error:
    raise UserError(f"quantizer {name!r}: {error}") from error
