"""AherNet: a temporal localizer that learns classes from trimmed moments.

Long, Yao, Qiu, Tian, Luo, Mei (2020), "Learning to Localize Actions from Moments",
ECCV. The parts are `models.moments`; the localizer is that of `models.temporal`.
"""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jaxvision.errors import UserError
from jaxvision.layers.tap import Tap
from jaxvision.models.moments import (
  BackgroundDiscriminator,
  Classifier,
  ContextGenerator,
  LayerClassifiers,
  WeightTransfer,
)
from jaxvision.models.temporal import (
  ANCHOR_WIDTHS,
  BASE_WIDTHS,
  PredictionHead,
  TemporalBackbone,
  join_layers,
)
from jaxvision.ops import gaussian
from jaxvision.ops.detections import ClassifiedOutputs, DetectionOutputs
from jaxvision.ops.temporal_kernels import anchor_boxes, cell_kernels
from jaxvision.typing import Array, Float

CLASS_WEIGHTS = ("transfer", "same", "direct")


class ProposalHeads(nn.Module):
  """Actionness, offsets and overlap of fixed anchors: "head<j>" of every layer.

  Attributes:
    ratios: widths of the anchors, in cells.
    kernel: cells that a prediction sees.
    dtype: of the computation, as "bfloat16".
  """

  ratios: Sequence[float] = gaussian.RATIOS
  kernel: int = 3
  dtype: Any = None

  @nn.compact
  def __call__(self, layers: Sequence[Float[Array, "b _ _"]]) -> DetectionOutputs:
    """Returns proposals; of their two logits the second stands for an action."""
    return join_layers([self._layer(x, j) for j, x in enumerate(layers, start=1)])

  def _layer(self, x: Float[Array, "b t d"], j: int) -> tuple[Array, ...]:
    head = PredictionHead(1, len(self.ratios), self.kernel, self.dtype, name=f"head{j}")
    sigmas = jnp.broadcast_to(gaussian.fixed_sigmas(x.shape[1]), x.shape[:2])
    boxes = anchor_boxes(cell_kernels(sigmas), self.ratios)
    return *head(x), boxes, jnp.ones(boxes.shape[:2], bool)


class AherNet(nn.Module):
  """Proposals of any class, and classifiers of cells made from those of clips.

  At its defaults and 512 steps of 2048 features the "backbone" has 44,640,768
  parameters, "heads" 345,720, "regv_source" and "regv_target" 7,688 a class, "transfer"
  22,297,632, "gen_start" and "gen_end" 25,171,968, "disc" 69,144. The methods beside
  `__call__` are what training needs; nothing depends on `train`.

  Attributes:
    classes: number of target classes.
    source_classes: number of source classes.
    base_widths: channels of the convolutions before the pooling.
    anchor_widths: channels of the pyramid; their number is that of the layers.
    ratios: widths of the anchors, in cells.
    head_kernel: cells that a proposal sees.
    class_weights: what classifies a cell: "transfer", the transferred classifier of
      clips; "same", that classifier itself; "direct", one of its own, "clsa_source" and
      "clsa_target", which localization alone trains.
    transfer_depth: matrices of the transfer, see `WeightTransfer`.
    transfer_activation: as there; "none" makes it linear.
    transfer_start: as there.
    transfer_share: as there.
    generators: whether there are context generators.
    generator_width: see `ContextGenerator`.
    generator_output: as there.
    discriminators: whether there are discriminators.
    dtype: of the computation, as "bfloat16"; parameters and outputs are float32.
  """

  classes: int = 113
  source_classes: int = 87
  base_widths: Sequence[int] = BASE_WIDTHS
  anchor_widths: Sequence[int] = ANCHOR_WIDTHS
  ratios: Sequence[float] = gaussian.RATIOS
  head_kernel: int = 3
  class_weights: str = "transfer"
  transfer_depth: int = 2
  transfer_activation: str = "elu"
  transfer_start: str = "identity"
  transfer_share: bool = False
  generators: bool = True
  generator_width: int = 1024
  generator_output: str = "relu"
  discriminators: bool = True
  dtype: Any = None

  def setup(self):
    """Names the submodules, which are the subsets that training updates."""
    if self.class_weights not in CLASS_WEIGHTS:
      raise UserError(
        f"config.model.class_weights is {self.class_weights!r}; "
        f"choose one of {', '.join(CLASS_WEIGHTS)}."
      )
    widths, dtype = self.anchor_widths, self.dtype
    self.input = Tap()
    self.backbone = TemporalBackbone(self.base_widths, widths, dtype)
    self.heads = ProposalHeads(self.ratios, self.head_kernel, dtype)
    self.regv_source = LayerClassifiers(self.source_classes, widths)
    self.regv_target = LayerClassifiers(self.classes, widths)
    if self.class_weights == "transfer":
      self.transfer = WeightTransfer(
        self.transfer_depth,
        self.transfer_activation,
        self.transfer_start,
        self.transfer_share,
      )
    if self.class_weights == "direct":
      self.clsa_source = LayerClassifiers(self.source_classes, widths)
      self.clsa_target = LayerClassifiers(self.classes, widths)
    if self.generators:
      fields = (self.generator_width, self.generator_output, dtype)
      self.gen_start, self.gen_end = (ContextGenerator(*fields) for _ in range(2))
    if self.discriminators:
      self.disc = BackgroundDiscriminator(len(self.ratios), dtype)

  def __call__(
    self, x: Float[Array, "b t d"], train: bool = False, domain: str = "target"
  ) -> ClassifiedOutputs:
    """Finds proposals in windows, and classifies their cells.

    Args:
      x: features.
      train: of no consequence.
      domain: whose classes: "target" or "source".
    """
    if self.is_initializing():
      self._visit(x)
    layers = self._features(x)
    cells = [w(f) for w, f in zip(self._cell_classifiers(domain), layers, strict=True)]
    return ClassifiedOutputs(self.heads(layers), jnp.concatenate(cells, axis=1))

  def classify_clips(
    self, x: Float[Array, "b t d"], train: bool = False, domain: str = "target"
  ) -> Float[Array, "j b k"]:
    """Classifies clips by the mean of each layer; returns logits of every layer."""
    classifiers = self._clip_classifiers(domain)
    pairs = zip(classifiers, self._features(x), strict=True)
    return jnp.stack([w(f.mean(axis=1)) for w, f in pairs])

  def make_contexts(
    self, moments: Float[Array, "b m d"], train: bool = False
  ) -> tuple[Float[Array, "b s d"], Float[Array, "b s d"]]:
    """Generates what precedes moments, and what follows them."""
    return self.gen_start(moments), self.gen_end(moments)

  def discriminate(
    self, x: Float[Array, "b t d"], train: bool = False
  ) -> Float[Array, "b n"]:
    """Returns a logit an anchor, above 0 for windows of real videos."""
    return self.disc(self._features(x))

  def _features(self, x: Array) -> tuple[Array, ...]:
    return self.backbone(self.input(x))

  def _clip_classifiers(self, domain: str) -> tuple[Classifier, ...]:
    return self.regv_source() if domain == "source" else self.regv_target()

  def _cell_classifiers(self, domain: str) -> tuple[Classifier, ...]:
    if self.class_weights == "direct":
      return self.clsa_source() if domain == "source" else self.clsa_target()
    classifiers = self._clip_classifiers(domain)
    return classifiers if self.class_weights == "same" else self.transfer(classifiers)

  def _visit(self, x: Array) -> None:
    """Calls all that `__call__` does not: so `init` makes their parameters, too."""
    for domain in ("source", "target"):
      self._clip_classifiers(domain)
      self._cell_classifiers(domain)
    if self.generators:
      self.make_contexts(x)
    if self.discriminators:
      self.discriminate(x)
