"""Gaussian temporal awareness network (GTAN) for action localization.

Long, Yao, Qiu, Tian, Luo, Mei (2019), "Gaussian Temporal Awareness Networks for Action
Localization", CVPR. The authors published no code, and not all of the paper's choices
are known; the fields of `GTAN` are those that are open or that its ablations vary.
"""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxvision.errors import UserError
from jaxvision.layers.convolution import Conv
from jaxvision.layers.tap import Tap
from jaxvision.models.temporal import (
  ANCHOR_WIDTHS,
  BASE_WIDTHS,
  XAVIER,
  AnchorPyramid,
  PredictionHead,
  TemporalBase,
  join_layers,
)
from jaxvision.ops import gaussian
from jaxvision.ops.detections import DetectionOutputs
from jaxvision.ops.temporal_kernels import (
  POOLINGS,
  Kernels,
  anchor_boxes,
  cell_kernels,
  grouped_kernels,
  pool_features,
)
from jaxvision.typing import Array, Float

CHOICES = {
  "anchors": ("gaussian", "fixed"),
  "pooling": POOLINGS,
  "sigma_unit": ("window", "cell"),
}


class SigmaHead(nn.Module):
  """Predicts a standard deviation for every cell: a convolution "conv" and a sigmoid.

  Attributes:
    unit: "window" or "cell", see `ops.gaussian.window_sigmas`. The first starts at half
      a cell, nearly alike for all inputs: otherwise every layer would start at half the
      window. The second starts around half a cell by itself.
    dtype: of the computation; sigmas are float32.
  """

  unit: str = "window"
  dtype: Any = None

  @nn.compact
  def __call__(self, x: Float[Array, "b t d"]) -> Float[Array, "b t"]:
    """Returns standard deviations as fractions of the window."""
    kernel_init, bias = XAVIER, 0.0
    if self.unit == "window":
      kernel_init = nn.initializers.variance_scaling(1e-4, "fan_avg", "uniform")
      bias = gaussian.sigma_bias(x.shape[1])
    conv = Conv(
      1,
      (3,),
      kernel_init=kernel_init,
      bias_init=nn.initializers.constant(bias),
      dtype=self.dtype,
      name="conv",
    )
    sigmas = jax.nn.sigmoid(conv(x)[..., 0].astype(jnp.float32))
    return gaussian.window_sigmas(sigmas, unit=self.unit)


class GTAN(nn.Module):
  """One-stage detector whose anchors are as wide as learned Gaussian kernels.

  At its defaults and 512 steps of 2048 features, 255 cells with three anchors each; the
  trunk has 44,640,768 parameters, the sigma heads have 23,048. Submodules are "base",
  "pyramid" and, for layer j, "sigma<j>" and "head<j>"; taps are "input", those of
  `TemporalBase` and `AnchorPyramid`, as "pyramid/relu1", and "pooled<j>", the features
  that the head sees.

  Attributes:
    classes: number of action classes.
    base_widths: channels of the convolutions before the pooling.
    anchor_widths: channels of the pyramid; their number is that of the layers.
    ratios: widths of the anchors, as multiples of two standard deviations.
    anchors: "gaussian", or "fixed": all standard deviations are half a cell.
    pooling: how a kernel sees its layer: "gaussian", "mean" or "max" of the cells
      within one standard deviation, "none" for the feature of its cell.
    sigma_unit: unit of the predicted standard deviations, "window" or "cell".
    group_layers: numbers, from 1, of the layers in which overlapping kernels merge,
      which doubles their anchors. Empty is the paper's ablation without grouping.
    group_threshold: IoU above which they do.
    keep_originals: whether kernels that merged into a wider one keep their anchors.
    head_kernel: cells that a prediction sees. A merged kernel has no neighbors, so for
      it the pooled feature is repeated, whatever this is.
    stop_sigma: whether the pooling gives the standard deviations no gradient, so that
      only a loss on the anchors themselves trains them.
    dtype: of the computation, as "bfloat16"; parameters and outputs are float32.
  """

  classes: int = 200
  base_widths: Sequence[int] = BASE_WIDTHS
  anchor_widths: Sequence[int] = ANCHOR_WIDTHS
  ratios: Sequence[float] = gaussian.RATIOS
  anchors: str = "gaussian"
  pooling: str = "gaussian"
  sigma_unit: str = "window"
  group_layers: Sequence[int] = ()
  group_threshold: float = 0.7
  keep_originals: bool = True
  head_kernel: int = 3
  stop_sigma: bool = False
  dtype: Any = None

  @nn.compact
  def __call__(self, x: Float[Array, "b t d"], train: bool = False) -> DetectionOutputs:
    """Predicts from the features of a window; nothing here depends on `train`."""
    self._check()
    x = Tap(name="input")(x)
    x = TemporalBase(self.base_widths, self.dtype, name="base")(x)
    layers = AnchorPyramid(self.anchor_widths, self.dtype, name="pyramid")(x)
    return join_layers([self._layer(x, j) for j, x in enumerate(layers, start=1)])

  def _check(self) -> None:
    for field, choices in CHOICES.items():
      if getattr(self, field) not in choices:
        raise UserError(
          f"config.model.{field} is {getattr(self, field)!r}; "
          f"choose one of {', '.join(choices)}."
        )
    known = range(1, len(self.anchor_widths) + 1)
    if not set(self.group_layers) <= set(known):
      raise UserError(
        f"config.model.group_layers is {tuple(self.group_layers)}; "
        f"the layers are 1 to {len(known)}."
      )
    if self.group_layers and self.anchors == "fixed":
      raise UserError(
        "config.model.group_layers asks for grouping, but fixed anchors never overlap; "
        "leave it empty or set config.model.anchors to gaussian."
      )

  def _layer(self, x: Array, j: int) -> tuple[Array, ...]:
    """Logits, offsets, overlaps, anchors and their validity, of one layer."""
    cells = x.shape[1]
    kernels = self._kernels(x, j)
    pooled = pool_features(x, self._seen(kernels), kind=self.pooling)
    pooled = Tap(name=f"pooled{j}")(pooled)
    head = PredictionHead(
      self.classes, len(self.ratios), self.head_kernel, self.dtype, name=f"head{j}"
    )
    predictions = head(pooled[:, :cells])
    if j in self.group_layers:
      merged = head(pooled[:, cells:], neighbors=False)
      pairs = zip(predictions, merged, strict=True)
      predictions = tuple(jnp.concatenate(pair, axis=1) for pair in pairs)
    valid = jnp.repeat(kernels.valid, len(self.ratios), axis=1)
    return *predictions, anchor_boxes(kernels, self.ratios), valid

  def _kernels(self, x: Array, j: int) -> Kernels:
    batch, cells, _ = x.shape
    if self.anchors == "gaussian":
      sigmas = SigmaHead(self.sigma_unit, self.dtype, name=f"sigma{j}")(x)
    else:
      sigmas = jnp.broadcast_to(gaussian.fixed_sigmas(cells), (batch, cells))
    if j in self.group_layers:
      threshold, keep = self.group_threshold, self.keep_originals
      return grouped_kernels(sigmas, threshold=threshold, keep_originals=keep)
    return cell_kernels(sigmas)

  def _seen(self, kernels: Kernels) -> Kernels:
    """The kernels as the pooling sees them."""
    return jax.lax.stop_gradient(kernels) if self.stop_sigma else kernels
