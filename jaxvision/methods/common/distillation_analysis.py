"""What a distilled image classifier has become: its halves beside its teacher."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jaxvision import interruption
from jaxvision.data.examples import ImageDataset
from jaxvision.layers import insertion
from jaxvision.methods.common import classification, views
from jaxvision.methods.common.distillation import Criterion, added, forward, part
from jaxvision.methods.common.distillation_stages import See
from jaxvision.methods.common.supervised import Evaluate, Model
from jaxvision.metrics.activity import active_units
from jaxvision.metrics.classification import in_top_k
from jaxvision.metrics.similarity import linear_cka
from jaxvision.ops import trees
from jaxvision.ops.channels import take_channels
from jaxvision.train import sharding, state
from jaxvision.train.stage import Metrics, State
from jaxvision.typing import Array, Float, PRNGKey, PyTree
from jaxvision.viz import distillation as figures

NAMES = ("teacher", "student", "inherit", "explore")
SEEING = ("teacher", "inherit", "explore")  # parts in the figure of gradients
SHOWN = 6  # images in it


class Analysis(NamedTuple):
  """What is analysed, and on what.

  Attributes:
    config: `metric` is read: `examples`, `noise` and `draws`.
    data: its test split is taken.
    model: the student.
    criterion: of its training.
    look: (frozen, x) -> `Guide` of the teacher's raw features.
    see: (frozen, x) -> `Guide` as in training.
  """

  config: ConfigDict
  data: ImageDataset
  model: Model
  criterion: Criterion
  look: See
  see: See

  def batches(self, now: State, split: str) -> Iterator[PyTree]:
    """The first examples of a split on the devices, in whole batches of one size."""
    examples, mesh = self.data.splits[split], sharding.mesh_of(now)
    most = min(self.config.metric.examples, len(examples))
    size = min(self.config.eval.batch_size, most)
    for start in range(0, most - size + 1, size):
      interruption.check()
      batch = examples[np.arange(start, start + size)]
      yield sharding.place_replicated(batch, mesh)


def features(
  analysis: Analysis, variables: PyTree, split: PyTree, frozen: PyTree, x: Array
) -> dict[str, Array]:
  """The last tap's maps of the teacher, the student and its halves."""
  taps = analysis.criterion.taps
  student = part(variables, "student")
  rngs = {"dropout": jax.random.key(0)}
  found = insertion.features(analysis.model, student, x, taps[-1:], rngs=rngs)[1]
  own, split = found[taps[-1]], split[f"tap{len(taps) - 1}"]
  return {
    "teacher": analysis.look(frozen, x).features[-1],
    "student": own,
    **{half: take_channels(own, index) for half, index in split.items()},
  }


def pooled(x: Float[Array, "b ... c"]) -> Float[Array, "b c"]:
  """Means over positions: with them, features do not outnumber the examples."""
  return x.mean(range(1, x.ndim - 1))


def evaluator(analysis: Analysis) -> Evaluate:
  """Returns a student's `evaluate`: accuracies and, but for "val", the analyses."""
  config, logits = analysis.config, classification.logits_fn(analysis.model)
  accuracy = classification.evaluator(
    config, analysis.data, lambda v, x: logits(part(v, "student"), x)
  )
  plain = views.make_views(config).plain

  @jax.jit
  def describe(variables, split, frozen, image):
    x = plain(image)
    found = features(analysis, variables, split, frozen, x)
    return {k: pooled(v) for k, v in found.items()}, distances(
      analysis, variables, split, frozen, x
    )

  @jax.jit
  def hits(variables, image, label, key, scale):
    noisy = perturbed(key, part(variables, "student"), scale=scale)
    return in_top_k(logits(noisy, plain(image)), label).mean()

  def evaluate(now: State, frozen: PyTree, split: str) -> Metrics:
    metrics = accuracy(now, frozen, split)
    if split == "val":  # beside the cross-entropy of training, not the whole loss
      return {"task" if k == "loss" else k: v for k, v in metrics.items()}
    shown = {k: v for k, v in frozen.items() if k != "data"}
    variables = state.variables(now)
    found = [
      jax.device_get(describe(variables, now["split"], shown, batch["image"]))
      for batch in analysis.batches(now, split)
    ]
    parts = {k: np.concatenate([f[k] for f, _ in found]) for k in NAMES}
    means = {k: float(np.mean([d[k] for _, d in found])) for k in found[0][1]}
    alike = {k: float(v) for k, v in jax.device_get(similarities(parts)).items()}
    return metrics | means | alike | _flatness(analysis, now, split, hits)

  return evaluate


def distances(
  analysis: Analysis, variables: PyTree, split: PyTree, frozen: PyTree, x: Array
) -> dict[str, Array]:
  """The criterion's own logs on data that it was not trained on, as "distance/..."."""
  criterion = analysis.criterion
  if criterion.loss is None:
    return {}
  outputs, parts, _ = forward(analysis.model, variables, x, criterion, split)
  _, logs = added(criterion, outputs, parts, analysis.see(frozen, x), 1.0)
  return {
    f"distance/{name}": value
    for name, value in logs.items()
    if name not in ("feature", "soft")
  }


@jax.jit
def similarities(parts: dict[str, Array]) -> dict[str, Array]:
  """Linear CKA between parts, biased and unbiased, and active neurons of each."""
  metrics = {f"active/{name}": active_units(h) for name, h in parts.items()}
  for i, a in enumerate(NAMES):
    for b in NAMES[:i]:
      metrics[f"cka/{a}_{b}"] = linear_cka(parts[a], parts[b])
      unbiased = linear_cka(parts[a], parts[b], unbiased=True)
      metrics[f"cka_unbiased/{a}_{b}"] = unbiased
  return metrics


def perturbed(key: PRNGKey, variables: PyTree, *, scale: float | Array) -> PyTree:
  """Adds Gaussian noise of `scale` times each kernel's root mean square to kernels.

  A flat minimum loses little accuracy by it (Huang et al., 2021, who do not say how
  large their noise is).
  """

  def noisy(path: str, w: Array) -> Array:
    if not path.endswith("kernel"):
      return w
    own = jax.random.fold_in(key, names.index(path))
    size = jnp.sqrt(jnp.mean(w**2))
    return w + scale * size * jax.random.normal(own, w.shape, w.dtype)

  names = trees.paths(variables["params"])
  return {**variables, "params": trees.map_with_path(noisy, variables["params"])}


def _flatness(analysis: Analysis, now: State, split: str, hits) -> Metrics:
  fields, variables = analysis.config.metric, state.variables(now)
  batches = list(analysis.batches(now, split)) if fields.noise else []
  metrics = {}
  for scale in fields.noise:
    found = [
      float(hits(variables, b["image"], b["label"], jax.random.key(i), scale))
      for i in range(fields.draws)
      for b in batches
    ]
    metrics[f"noise/{scale:g}/accuracy"] = float(np.mean(found))
  return metrics


def gradient_maps(
  analysis: Analysis, variables: PyTree, split: PyTree, frozen: PyTree, x: Array
) -> dict[str, Float[Array, "b h w"]]:
  """Where in an image a part of the feature sees something: |x d(|f|^2 / 2) / dx|.

  Summed over colours. The paper shows relevance propagation; this needs no rules for
  each kind of layer.
  """

  def energy(x: Array, name: str) -> Array:
    found = features(analysis, variables, split, frozen, x)[name]
    return jnp.sum(found.astype(jnp.float32) ** 2) / 2

  return {name: jnp.abs(x * jax.grad(energy)(x, name)).sum(-1) for name in SEEING}


def draw(analysis: Analysis, now: State, frozen: PyTree, folder: Path) -> None:
  """Draws CKA among the parts, and what each half sees of the first test images."""
  plain = views.make_views(analysis.config).plain
  variables = state.variables(now)

  @jax.jit
  def describe(variables, split, frozen, image):
    found = features(analysis, variables, split, frozen, plain(image))
    return {k: pooled(v) for k, v in found.items()}

  found = [
    jax.device_get(describe(variables, now["split"], frozen, b["image"]))
    for b in analysis.batches(now, "test")
  ]
  parts = {k: np.concatenate([f[k] for f in found]) for k in NAMES}
  alike = jax.device_get(similarities(parts))
  matrix = np.eye(len(NAMES))
  for i, j in zip(*np.tril_indices(len(NAMES), -1), strict=True):
    matrix[i, j] = matrix[j, i] = alike[f"cka/{NAMES[i]}_{NAMES[j]}"]
  figures.draw_alignment(matrix, NAMES, folder / "cka.png")
  image = next(analysis.batches(now, "test"))["image"][:SHOWN]
  x = plain(image)
  maps = jax.jit(lambda *args: gradient_maps(analysis, *args))(
    variables, now["split"], frozen, x
  )
  ordered = {name: np.asarray(maps[name]) for name in SEEING}  # jit sorts names
  figures.draw_gradient_maps(np.asarray(x), ordered, folder / "gradient_maps.png")
