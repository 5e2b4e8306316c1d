"""AherNet's losses as functions of its parameters and of what a step draws.

Long, Yao, Qiu, Tian, Luo, Mei (2020), "Learning to Localize Actions from Moments",
ECCV. Which parameters a loss changes is the business of `moment_updates`.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from jaxvision.errors import UserError
from jaxvision.losses import partial_supervision as losses
from jaxvision.losses.detection import DetectionLossSpec, gtan_loss, gtan_targets
from jaxvision.losses.partial_supervision import BackgroundLosses
from jaxvision.methods.common.supervised import Model
from jaxvision.ops import contextual_moments as moments_lib
from jaxvision.typing import Array, PRNGKey, PyTree

# What surrounds a moment in the sequences that target classes are localized in.
# "off": there are none; "whole": nothing, the moment fills the window; "videos": an
# oracle's annotated videos take their place.
CONTEXTS = (
  "generated", "noise", "zeros", "background", "whole", "videos", "off",
)  # fmt: skip
# A step calls these losses several times, to train other parameters: traced once.
_once = functools.partial(jax.jit, static_argnums=0)
_once_a_domain = functools.partial(jax.jit, static_argnums=(0, 4))
Video = dict[str, Array]  # features, segments, label, valid of a batch of windows


@dataclasses.dataclass(frozen=True, eq=False)
class Objective:
  """The losses of a config.

  Attributes:
    config: `classes`, `context` and `adversarial` are read.
    model: an `AherNet`, with whatever is inserted.
    spec: of the losses on proposals.
    steps: of a window.
  """

  config: ConfigDict
  model: Model
  spec: DetectionLossSpec
  steps: int

  def __post_init__(self):
    """Refuses unknown choices."""
    context, classes = self.config.context, self.config.classes
    for name, value, known in (
      ("context.kind", context.kind, CONTEXTS),
      ("context.placing", context.placing, moments_lib.PLACINGS),
      ("classes.cells", classes.cells, losses.CELLS),
      ("adversarial.masks", self.config.adversarial.masks, losses.MASKS),
    ):
      if value not in known:
        raise UserError(
          f"config.{name} is {value!r}; choose one of {', '.join(known)}."
        )
    for name in ("ratio", "position"):
      low, high = context[name]
      if not 1 <= low <= high <= 19:
        raise UserError(
          f"config.context.{name} is {tuple(context[name])}; give a range of "
          "twentieths, from 1 to 19."
        )

  def apply(self, params: PyTree, x: Array, key: PRNGKey, **options: Any) -> PyTree:
    """Applies the network as in training; `options` as `method` or `domain`."""
    variables, rngs = {"params": params}, {"dropout": key}
    return self.model.apply(variables, x, train=True, rngs=rngs, **options)

  def draw(self, key: PRNGKey, batch: int) -> dict[str, Array]:
    """Draws what all updates of a step share."""
    *keys, noise, dropout = jax.random.split(key, 4)
    names = ("ratio", "position")
    ranges = (self.config.context[name] for name in names)
    drawn = {
      name: moments_lib.draw_twentieths(k, batch, low=low, high=high)
      for name, k, (low, high) in zip(names, keys, ranges, strict=True)
    }
    return {**drawn, "noise": noise, "dropout": dropout}

  @_once_a_domain
  def clips(self, params: PyTree, clips: PyTree, key: PRNGKey, domain: str) -> Array:
    """Loss of the classifier of whole clips."""
    options = {"method": "classify_clips", "domain": domain}
    logits = self.apply(params, clips["features"], key, **options)
    legacy = self.config.classes.legacy_scale
    loss = losses.moment_loss(logits, clips["label"], legacy_scale=legacy)
    return self.config.classes.clip_weight * loss.mean()

  @_once
  def proposals(self, params: PyTree, video: Video, key: PRNGKey) -> Array:
    """Loss of actionness, offsets and overlap; all classes are one."""
    outputs = self.apply(params, video["features"], key).proposals
    label = jnp.zeros_like(video["label"])
    truth = (video["segments"], label, video["valid"])
    return gtan_loss(outputs, *truth, spec=self.spec)[0].mean()

  @_once_a_domain
  def cells(self, params: PyTree, video: Video, key: PRNGKey, domain: str) -> Array:
    """Loss of the classifiers of cells."""
    outputs = self.apply(params, video["features"], key, domain=domain)
    truth = (video["segments"], video["label"], video["valid"])
    targets = losses.cell_targets(outputs, *truth, spec=self.spec)
    loss = losses.cell_loss(outputs.classes, *targets, cells=self.config.classes.cells)
    return self.config.classes.cell_weight * loss.mean()

  @_once
  def synthetic(self, params: PyTree, batch: PyTree, drawn: PyTree) -> Video:
    """The videos of target classes that stand in for real ones."""
    kind = self.config.context.kind
    if kind == "videos":
      return batch["target"]
    moments = batch["moments"]
    count = len(moments["label"])
    if kind == "whole":
      resize = functools.partial(moments_lib.legacy_resize, steps=self.steps)
      features = jax.vmap(resize)(moments["features"])
      segments = jnp.broadcast_to(jnp.array([0.0, 1.0]), (count, 2))
    else:
      contexts = self._contexts(params, batch, drawn)
      features, segments = self._join(moments["features"], contexts, drawn)
    return {
      "features": features,
      "segments": segments[:, None],
      "label": moments["label"][:, None],
      "valid": jnp.ones((count, 1), bool),
    }

  def _contexts(
    self, params: PyTree, batch: PyTree, drawn: PyTree
  ) -> tuple[Array, ...]:
    """What precedes and what follows each moment."""
    kind, x = self.config.context.kind, batch["moments"]["features"]
    if kind == "generated":
      return self.apply(params, x, drawn["dropout"], method="make_contexts")
    steps = -(-x.shape[1] // 2)  # as many as a convolution of stride 2 leaves
    if kind == "background":
      video = batch["source"]
      copy = functools.partial(moments_lib.background_contexts, steps=steps)
      return jax.vmap(copy)(video["features"], video["segments"], video["valid"])
    shape = (2, len(x), steps, x.shape[2])
    level = self.config.context.noise if kind == "noise" else 0.0
    return tuple(level * jax.random.normal(drawn["noise"], shape, x.dtype))

  def _join(self, x: Array, contexts: PyTree, drawn: PyTree) -> tuple[Array, Array]:
    """Sequences [b, t, d], and the moments' places in them as fractions [b, 2]."""
    config = self.config.context
    odd = jnp.arange(len(x)) % 2 == 1
    place = functools.partial(
      moments_lib.place_moment, steps=self.steps, placing=config.placing
    )
    placement = jax.vmap(place)(drawn["ratio"], drawn["position"], odd)
    join = functools.partial(moments_lib.synthesize, steps=self.steps)
    segment = functools.partial(
      moments_lib.moment_segment, legacy_odd_end=config.legacy_odd_end
    )
    segments = jax.vmap(segment)(placement, odd) / self.steps
    return jax.vmap(join)(x, *contexts, placement), segments

  @_once
  def backgrounds(
    self, params: PyTree, real: Video, fake: Video, key: PRNGKey
  ) -> BackgroundLosses:
    """Losses of the discriminators and of those who deceive them."""
    logits, overlaps = [], []
    for video in (real, fake):
      x = video["features"]
      logits.append(self.apply(params, x, key, method="discriminate"))
      overlaps.append(self._overlap(self.apply(params, x, key).proposals, video))
    config = self.config.adversarial
    return losses.background_losses(
      *logits,
      *overlaps,
      below=config.below,
      masks=config.masks,
      targets=tuple(config.targets),
      weight=config.weight,
    )

  def _overlap(self, outputs: PyTree, video: Video) -> Array:
    """IoU of the anchors with the best action."""
    truth = (video["segments"], video["label"], video["valid"])
    bounds = self.spec.bounds
    return gtan_targets(outputs.anchors, outputs.valid, *truth, bounds=bounds).iou
