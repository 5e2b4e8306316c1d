"""How soft-NMS lowers the scores of candidates that overlap the selected one."""

from collections.abc import Callable

import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxvision.typing import Array

# (IoU with the selected segment [n], its length []) -> factors of the scores [n]
Decay = Callable[[Array, Array], Array]


def gaussian_decay(
  *, sigma: ArrayLike, low: ArrayLike = 0.0, high: ArrayLike = 0.0
) -> Decay:
  """exp(-IoU^2 / sigma), where IoU > low + (high - low) * length of the selected.

  The gate is that of BSN and BMN (.5 and .9, sigma .4), for lengths as fractions of the
  video. At the defaults there is none: ActionFormer (sigma .5 on THUMOS14, .75 on
  ActivityNet).
  """

  def decay(iou: Array, length: Array) -> Array:
    gated = iou > low + (high - low) * length
    return jnp.where(gated, jnp.exp(-(iou**2) / sigma), 1)

  return decay


def opentad_decay(*, sigma: ArrayLike, low: ArrayLike, slope: ArrayLike) -> Decay:
  """exp(-IoU^2 / sigma), where IoU >= low + slope * length of the selected.

  "Improved Gaussian" (method 3) of OpenTAD: BMN's idea in other parameters, t1 and t2.
  """

  def decay(iou: Array, length: Array) -> Array:
    return jnp.where(iou >= low + slope * length, jnp.exp(-(iou**2) / sigma), 1)

  return decay


def linear_decay(*, threshold: ArrayLike) -> Decay:
  """1 - IoU, where IoU >= threshold: the linear form of Bodla et al. (2017)."""
  return lambda iou, length: jnp.where(iou >= threshold, 1 - iou, 1)
