"""`config.attack` on the classifier of any method: numbers, a table, figures.

A method takes part by its `predict`, if that takes images and returns "logits": what is
quantized, distilled or has transforms inserted is attacked as it predicts.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jaxvision.attacks.classifier import LogitsFn, predict
from jaxvision.data.examples import ImageDataset
from jaxvision.errors import UserError
from jaxvision.methods.common import batching, robust_attacks, robust_evaluation
from jaxvision.methods.common.robust_evaluation import RobustAccuracy, See
from jaxvision.train import reports
from jaxvision.train.stage import Method, Metrics, State
from jaxvision.typing import Array, PyTree
from jaxvision.viz import adversarial

FOLDER = "attacks"  # of the files of finished batches, below a run's folder
SHOWN = 8  # adversarial examples in the figure
WATCHED = 32  # images at which gradients are looked at before an attack


def attacker(
  config: ConfigDict, data: batching.DataSet, method: Method
) -> Callable[[State, Path], Metrics]:
  """Returns (trained state, folder of its run) -> robust accuracies.

  Metrics are those of `robust_evaluation.evaluate` for each attack named, and for the
  curve "robust/curve/<eps>". In the folder are then "figures/adversarial_<attack>.png"
  and "figures/robustness.png"; a run that is killed goes on where it was.

  Args:
    config: `attack`, `eval`, `log.figures` and `seed` are read.
    data: of images, or there is no attack; its split `config.eval.split` is attacked.
    method: built of both.

  Raises:
    UserError: an attack that does not exist.
  """
  names = robust_attacks.names(config.attack)
  logits_fn = _logits_fn(method)

  def attack(now: State, folder: Path) -> Metrics:
    if not names:
      return {}
    victim = _Victim(config, data, logits_fn, _local(method, now), folder)
    _say_doubts(victim)
    found = [_attack(victim, name) for name in names]
    _show_table(config, [accuracy.metrics for accuracy in found])
    metrics = _curve(victim)
    for accuracy in found:
      metrics = accuracy.metrics | metrics
    return metrics

  return attack


class _Victim(NamedTuple):
  """Who is attacked, with what, and where it is written."""

  config: ConfigDict
  data: ImageDataset
  logits_fn: LogitsFn
  variables: PyTree
  folder: Path


def _logits_fn(method: Method) -> LogitsFn:
  return lambda variables, x: method.predict(variables, x)["logits"]


def _local(method: Method, now: State) -> PyTree:
  """The variables on one device: batches of survivors are of any size.

  Raises:
    UserError: the method does not classify images, or there are several processes.
  """
  if jax.process_count() > 1:
    raise UserError("config.attack runs in one process: leave out --distributed.")
  variables, spec = method.variables(now), method.inputs
  is_image = isinstance(spec, jax.ShapeDtypeStruct) and spec.ndim == 4
  outputs = jax.eval_shape(method.predict, variables, spec) if is_image else {}
  if "logits" not in outputs or outputs["logits"].ndim != 2:
    raise UserError(
      "config.attack is for classifiers of images, which this method does not train."
    )
  return jax.tree.map(jnp.asarray, jax.device_get(variables))


def _say_doubts(victim: _Victim) -> None:
  """Says in front what AutoAttack alone would say: that robustness may be a mirage."""
  split = victim.data.splits[victim.config.eval.split]
  few = split.take(np.arange(min(WATCHED, len(split))))
  for batch in batching.whole(few, len(few)):
    for doubt in robust_evaluation.doubts(victim.logits_fn, victim.variables, batch):
      reports.show(f"warning: {doubt}")


def _attack(victim: _Victim, name: str, *, factor: float = 0.0) -> RobustAccuracy:
  """Runs one attack; of a radius of the curve if there is a factor of eps."""
  config, data = victim.config, victim.data
  one = ConfigDict(config.to_dict())
  one.attack.name = name
  one.attack.eps *= factor or 1.0
  label, eps = robust_attacks.choose(one.attack).label, f"{one.attack.eps:.4g}"
  split, size = data.splits[config.eval.split], config.eval.batch_size
  count = min(config.attack.examples or len(split), len(split))
  reports.show(
    f"{label} within {eps} on {count} of {len(split)} images, in batches of {size}"
  )
  part = f"{label}_{eps}" if factor else label
  return robust_evaluation.evaluate(
    one,
    victim.logits_fn,
    victim.variables,
    batching.whole(split.take(np.arange(count)), size),
    progress=victim.folder / FOLDER / f"{part}.json",
    **({} if factor else {"see": _drawer(victim, label)}),
  )


def _curve(victim: _Victim) -> Metrics:
  """Robust accuracy at several radii, drawn."""
  config, fields = victim.config, victim.config.attack
  if not fields.curve or not fields.radii:
    return {}
  factors = sorted(fields.radii)
  found = [_attack(victim, fields.curve, factor=factor) for factor in factors]
  label = list(found[0].stages)[-1]
  values = [accuracy.stages[label] for accuracy in found]
  radii = [factor * fields.eps for factor in factors]
  if config.log.figures:
    adversarial.draw_robustness(
      {config.method: np.array([found[0].stages["clean"], *values])},
      np.array([0.0, *radii]),
      victim.folder / "figures" / "robustness.png",
      title=label,
    )
  names = (f"robust/curve/{eps:.4g}" for eps in radii)
  return dict(zip(names, values, strict=True))


def _drawer(victim: _Victim, label: str) -> See:
  """Returns what draws those images of the first batch that an attack broke."""

  def classes(x: Array | np.ndarray) -> np.ndarray:
    logits = predict(victim.logits_fn, jnp.asarray(x), variables=victim.variables)
    return np.asarray(logits.argmax(-1))

  def see(number: int, x: np.ndarray, y: np.ndarray, x_adv: Array) -> None:
    drawable = victim.config.log.figures and x.shape[-1] in (1, 3)
    if number or not drawable:
      return
    before, after = classes(x), classes(x_adv)
    broken = np.flatnonzero((before == y) & (after != y))
    rows = broken if len(broken) else np.arange(len(x))
    parts = (np.asarray(part)[rows] for part in (x, x_adv, before, after))
    path = victim.folder / "figures" / f"adversarial_{label}.png"
    names = victim.data.classes
    adversarial.draw_adversarial(*parts, path, classes=names, title=label, count=SHOWN)

  return see


def _show_table(config: ConfigDict, found: list[Metrics]) -> None:
  """Prints what is right without an attack, and after each one and its stages."""
  rows: Metrics = {}
  for metrics in found:
    last, *stages = metrics  # the result comes first, but is the last stage
    for name in (*stages, last):
      _, _, short = name.partition("/")
      rows["clean" if short.endswith("/clean") else short] = metrics[name]
  reports.show_table(f"accuracy within {config.attack.eps:.4g}", rows)
