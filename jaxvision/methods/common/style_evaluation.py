"""Robust accuracy of a classifier with a style head, plain and adaptive, and the gap.

The adaptive attack knows of the defence: it maximises disagreement of style too. The
gap is how much worse the head, without a correction that needs labels, predicts from
adversarial style than from natural one: 0 if the two are aligned.
"""

from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jaxvision.attacks import objectives
from jaxvision.attacks.pgd import ascend, uniform_start
from jaxvision.data.examples import ImageDataset
from jaxvision.losses.classification import cross_entropy
from jaxvision.methods.common import batching, classification, style, views
from jaxvision.methods.common.distillation import part
from jaxvision.methods.common.style import Net, Strengths
from jaxvision.methods.common.supervised import Evaluate
from jaxvision.metrics.classification import in_top_k
from jaxvision.train import evaluation, state
from jaxvision.train.stage import Metrics, State
from jaxvision.typing import PyTree
from jaxvision.viz import curves

ADAPTIVE = ("adaptive", "adaptive_summed")
Sums = Callable[[PyTree, PyTree], evaluation.Sums]
# (state, split, radius, what is maximised) -> metrics
Measure = Callable[[State, str, float, Strengths], Metrics]


def evaluator(
  config: ConfigDict, data: ImageDataset, net: Net, measure: Measure
) -> Evaluate:
  """Returns a stage's `evaluate`: the usual metrics, robust accuracies and the gap.

  They are "robust/pgd20", "style/natural_loss", "style/adversarial_loss", "style/gap";
  on a test split also "robust/adaptive" and "robust/adaptive_summed".

  Args:
    config: `adversarial.eps`, `robust` and `eval` are read.
    data: its splits are evaluated.
    net: the networks.
    measure: from `measurer`.
  """
  logits = classification.logits_fn(net.model)
  clean = classification.evaluator(
    config, data, lambda variables, x: logits(part(variables, "model"), x)
  )
  eps, attacks = config.adversarial.eps, adaptive_strengths(config)

  def evaluate(now: State, frozen: PyTree, split: str) -> Metrics:
    metrics = clean(now, frozen, split)
    metrics |= measure(now, split, eps, Strengths(1.0, 0.0))
    if split != "val":
      for name, strengths in attacks.items():
        found = measure(now, split, eps, strengths)
        metrics[f"robust/{name}"] = found[robust_name(config)]
    return metrics

  return evaluate


def robust_name(config: ConfigDict) -> str:
  """The metric by which checkpoints are chosen, as "robust/pgd20"."""
  return f"robust/pgd{config.robust.steps}"


def adaptive_strengths(config: ConfigDict) -> dict[str, Strengths]:
  """The adaptive attack's two forms, by name.

  The authors add up the cross-entropy of a batch and take the mean of the style's: in a
  batch of 500 an image's style counts 1 / 2000 of its content. "adaptive" does so,
  "adaptive_summed" adds both up.

  Args:
    config: `robust.adaptive_weight`, of the style; the content has the rest; and
      `eval.batch_size`.
  """
  weight = config.robust.adaptive_weight
  each = (weight / config.eval.batch_size, weight)
  forms = (Strengths(1.0 - weight, own) for own in each)
  return dict(zip(ADAPTIVE, forms, strict=True))


def measurer(config: ConfigDict, data: ImageDataset, net: Net) -> Measure:
  """Returns what attacks the first images of a split; one program for all attacks.

  Args:
    config: `robust`, `eval` and `seed` are read; `robust.examples` 0 is all images.
    data: with the splits.
    net: the networks.
  """
  sums = _statistic(config, net)

  def measure(now: State, split: str, eps: float, strengths: Strengths) -> Metrics:
    whole = data.splits[split]
    count = min(config.robust.examples or len(whole), len(whole))
    few = data._replace(splits={split: whole.take(np.arange(count))})
    how = jax.tree.map(np.float32, (eps, strengths))
    victim = (state.variables(now), now["style"], how)
    batches = batching.split_batches(config, few, split)
    found = evaluation.sum_over(sums, victim, batches)
    if found:
      gap = found["style/adversarial_loss"] - found["style/natural_loss"]
      found["style/gap"] = gap
    return found

  return measure


def _statistic(config: ConfigDict, net: Net) -> Sums:
  """Returns ((variables, style, (eps, strengths)), batch) -> sums, counts, jitted."""
  plain = views.make_views(config).plain
  key, fields, objective = (
    jax.random.key(config.seed), config.robust, style.objective(objectives.ce)
  )  # fmt: skip

  @jax.jit
  def sums(victim: PyTree, batch: PyTree) -> evaluation.Sums:
    variables, own, (eps, strengths) = victim
    x, label = plain(batch["image"]), batch["label"]
    seen = style.see(net, variables, own)
    clean = style.outputs(net, seen, x)
    shifts = style.shifts(seen.head, own["classes"], fields.ratio)
    x_adv = ascend(
      lambda seen, x: style.outputs(net, seen, x),
      objective,
      x,
      style.aim(clean, label, shifts, strengths),
      uniform_start(jax.random.fold_in(key, batch["index"][0]), x, eps=eps),
      eps=eps,
      step_size=eps / 10,
      steps=fields.steps,
      variables=seen,
    )
    moved, mask = style.outputs(net, seen, x_adv), batch["mask"]
    values = {
      robust_name(config): in_top_k(clean.logits, label)
      * in_top_k(moved.logits, label),
      "style/natural_loss": cross_entropy(clean.style, label),
      "style/adversarial_loss": cross_entropy(moved.style, label),
    }
    return {k: (jnp.sum(v * mask), jnp.sum(mask)) for k, v in values.items()}

  return sums


def draw(config: ConfigDict, measure: Measure, now: State, folder: Path) -> None:
  """Draws the head's losses on natural and adversarial style over the attack's radius.

  Args:
    config: radii are `attack.radii` times `adversarial.eps`.
    measure: from `measurer`.
    now: a state.
    folder: of `style_gap.png`.
  """
  radii = config.adversarial.eps * np.array([0.0, *sorted(config.attack.radii)])
  found = [measure(now, "test", float(eps), Strengths(1.0, 0.0)) for eps in radii]
  column = lambda name: np.array([metrics[name] for metrics in found])
  lines = {
    f"{kind} style": (255 * radii, column(f"style/{kind}_loss"))
    for kind in ("natural", "adversarial")
  }
  curves.draw_curves(
    lines,
    folder / "style_gap.png",
    xlabel="eps of PGD (of 255)",
    ylabel="cross-entropy of the style head (nats)",
    title=f"{config.adversarial.kind}, alpha {config.style.alpha:g}",
  )
