"""What a paper claims and how it is put to the test: data, not code.

`experiments/reproduce.py METHOD` reads `PROTOCOL` of `experiments/claims/METHOD.py`,
whose docstring begins with the name of the paper, as "GTAN (Long et al., CVPR 2019)".
A protocol is fixed before anything is run; no margin is tuned to what came out. Numbers
that have to be chosen are chosen on validation images, by a pilot with other seeds,
`PILOT`.
"""

import importlib
import re
import types
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from jaxvision.errors import UserError


class Arm(NamedTuple):
  """One setting, trained once a seed.

  Attributes:
    variant: what stands behind the colon of `--config=FILE:VARIANT`.
    overrides: {"dotted.key": value} of the config.
  """

  variant: str
  overrides: Mapping[str, object]


class Claim(NamedTuple):
  """A statement on two arms, compared seed by seed.

  Attributes:
    text: the claim in plain words.
    arm: name of the arm that the claim is about.
    against: name of the arm that it is compared with.
    metric: name in `results.json`.
    direction: "lower" or "higher": where `arm` is said to be.
    source: who claims it.
    by: margin, in the unit of the metric, by which it is said to be there.
  """

  text: str
  arm: str
  against: str
  metric: str
  direction: str
  source: str
  by: float = 0.0


class Protocol(NamedTuple):
  """All that is run for a paper, and all that is read off it.

  Attributes:
    about: data, metric and model selection, in a few sentences.
    config: file of the config, from the root of the repository.
    arms: by name.
    claims: in the order of the report.
    metrics: {metric that the report tabulates: its heading}.
    seeds: how many.
    first_seed: from which on; above 0 if a pilot has seen those below.
    seed_keys: config keys that take the seed. With `data.seed` among them, arms share
      subset and label noise within a seed, which is what makes the differences paired.
  """

  about: str
  config: str
  arms: Mapping[str, Arm]
  claims: tuple[Claim, ...]
  metrics: Mapping[str, str]
  seeds: int = 5
  first_seed: int = 0
  seed_keys: tuple[str, ...] = ("seed", "data.seed")


def methods() -> list[str]:
  """Returns the methods that have a claims file."""
  files = Path(__file__).parent.glob("*.py")
  return sorted(file.stem for file in files if not file.stem.startswith("_"))


def load(method: str, *, pilot: bool = False) -> Protocol:
  """Reads the protocol of a method, or of the pilot that fixes some of its numbers.

  Raises:
    UserError: it has no claims file, or no pilot.
  """
  module = _module(method)
  if pilot and not hasattr(module, "PILOT"):
    raise UserError(f"--pilot: experiments/claims/{method}.py has none.")
  return module.PILOT if pilot else module.PROTOCOL


def title(method: str) -> str:
  """Returns the name of a method's paper: how its claims file begins.

  Raises:
    UserError: it has no claims file.
  """
  return re.match(r"[^)\n]*\)?", _module(method).__doc__)[0]


def _module(method: str) -> types.ModuleType:
  if method not in methods():
    raise UserError(
      f"there are no claims of {method!r} in experiments/claims; "
      f"choose one of {', '.join(methods())}."
    )
  return importlib.import_module(f"{__name__}.{method}")
