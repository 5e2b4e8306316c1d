"""AutoAttack: four attacks without parameters, each on what the others left."""

import warnings
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxvision.attacks import checks, classifier, survivors
from jaxvision.attacks.classifier import LogitsFn
from jaxvision.attacks.stages import STAGES, Setting
from jaxvision.attacks.survivors import Survivors
from jaxvision.errors import UserError
from jaxvision.typing import Array, Bool, Float, Int, PRNGKey, PyTree

FEWEST_CLASSES = 4  # the targeted DLR needs as many
Report = Callable[[str], None]


def auto_attack(
  key: PRNGKey,
  logits_fn: LogitsFn,
  x: Float[Array, "b h w c"],
  y: Int[Array, " b"],
  *,
  eps: ArrayLike,
  norm: str = "linf",
  version: str = "standard",
  variables: PyTree = None,
  batch_size: int = 256,
  report: Report = lambda line: None,
) -> tuple[Float[Array, "b h w c"], Bool[Array, " b"], dict[str, float]]:
  """APGD-CE, APGD-T, FAB-T and Square in this order, each on the survivors.

  Croce and Hein (2020), "Reliable evaluation of adversarial robustness", section 5:
  100 steps, 9 targets, 5000 queries, one start each, none of which can be cut. Chance
  depends on an image's place in `x`, not on batches. It cannot be jitted.

  Args:
    key: of all draws.
    logits_fn: the classifier, see `attacks.classifier`.
    x: images in [0, 1].
    y: labels.
    eps: largest change of a value.
    norm: "linf".
    version: "standard".
    variables: if given, `logits_fn(variables, x)` is called.
    batch_size: most images in one call of the classifier.
    report: called with a line after every attack (of every target).

  Returns:
    Adversarial images (clean where none was found or needed), whether an image is
    robust, and the robust accuracy in [0, 1] after "clean" and each of `stages.STAGES`.
    It warns (`AttackWarning`) where `attacks.checks` doubts them.

  Raises:
    UserError: another norm or version, fewer than 4 classes, no image, images or labels
      that cannot be, outputs that are not logits.
    Interrupted: SIGTERM arrived; nothing is kept: give few images at a time.
  """
  _check(x, norm, version)
  classifier.check_inputs(x, y, eps)
  setting = Setting(logits_fn, variables, _classes(logits_fn, variables, x), eps)
  few = slice(0, batch_size)
  doubts = checks.doubts_of_classifier(logits_fn, x[few], y[few], variables=variables)
  for doubt in doubts:  # hours before the warnings below
    report(f"warning: {doubt}")
  now, per_stage = _run(key, setting, x, y, batch_size, report)
  _warn(doubts + checks.doubts_of_square(per_stage["fab-t"], per_stage["square"]))
  return jnp.asarray(now.x_adv), jnp.asarray(now.robust), per_stage


def _run(
  key: PRNGKey, setting: Setting, x: Array, y: Array, batch_size: int, report: Report
) -> tuple[Survivors, dict[str, float]]:
  """Runs the stages; returns what is left, and the robust accuracy after each."""
  now = survivors.begin(setting.logits, np.asarray(x), np.asarray(y), batch_size)
  per_stage = {"clean": float(now.robust.mean())}
  report(f"clean: {now.robust.sum()} of {len(x)} right")
  for (stage, make), own in zip(
    STAGES.items(), jax.random.split(key, len(STAGES)), strict=True
  ):
    attacks = make(setting)
    for number, attack in enumerate(attacks):
      keys = jax.random.split(jax.random.fold_in(own, number), len(x))
      now = survivors.attack(attack, keys, now, batch_size=batch_size)
      part = f" {number + 1}/{len(attacks)}" if len(attacks) > 1 else ""
      report(f"{stage}{part}: {now.robust.sum()} of {len(x)} robust")
    per_stage[stage] = float(now.robust.mean())
  return now, per_stage


def _warn(doubts: list[str]) -> None:
  for doubt in doubts:
    warnings.warn(doubt, checks.AttackWarning, stacklevel=3)


def _classes(logits_fn: LogitsFn, variables: PyTree, x: Array) -> int:
  outputs = jax.eval_shape(lambda: classifier.logits_of(logits_fn, variables, x))
  shape = getattr(outputs, "shape", None)
  if shape is None or len(shape) != 2 or shape[0] != len(x):
    raise UserError(
      f"logits_fn returns {outputs}; attacks need logits alone, [{len(x)}, classes]."
    )
  if shape[1] < FEWEST_CLASSES:
    raise UserError(f"AutoAttack needs at least 4 classes; there are {shape[1]}.")
  return shape[1]


def _check(x: Array, norm: str, version: str) -> None:
  if norm != "linf":
    raise UserError(f"norm is {norm!r}; AutoAttack is here for 'linf' only.")
  if version != "standard":
    raise UserError(f"version is {version!r}; only 'standard' is here.")
  if len(x) == 0:
    raise UserError("AutoAttack was given no image.")
