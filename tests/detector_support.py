"""A tiny GTAN, AherNet's network in our names, predictions and plain targets."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxvision.layers import insertion
from jaxvision.models.gtan import GTAN
from jaxvision.ops.detections import DetectionOutputs

KEY = jax.random.key(0)
FEATURES = jax.random.normal(jax.random.key(1), (2, 32, 6))  # layers of 8, 4, 2 cells
TINY = GTAN(classes=3, base_widths=(8, 8), anchor_widths=(6, 6, 8), ratios=(1.0, 1.5))
# One action in the first window, two in the second.
SEGMENTS = jnp.array([[[0.1, 0.6], [-1.0, -1.0]], [[0.0, 0.2], [0.4, 0.95]]])
LABELS = jnp.array([[2, 0], [0, 1]])
MASK = jnp.array([[True, False], [True, True]])

GROUPED = TINY.clone(group_layers=(1, 2, 3), group_threshold=0.3)

# AherNet's widths, divided by 64 as in its golden arrays; one class is its actionness.
AHERNET = GTAN(
  classes=1,
  base_widths=(32, 16),
  anchor_widths=(4, 4, 8, 8, 16, 16, 32, 32),
  anchors="fixed",
  pooling="none",
)


def init(model, x=FEATURES):
  return jax.jit(model.init)(KEY, x)


def run(model, variables, x=FEATURES):
  return jax.jit(model.apply)(variables, x)


def features(model, variables, names, x=FEATURES):
  return jax.jit(lambda v, x: insertion.features(model, v, x, names))(variables, x)


def ahernet_params(arrays):
  """Parameters of `AHERNET` from the authors' variables."""

  def conv(name):
    path = f"params_tf/{name}"
    return {"kernel": arrays[f"{path}/weights"], "bias": arrays[f"{path}/biases"]}

  heads = {"class": "conv_cls", "offset": "conv_loc", "overlap": "conv_iou"}
  return {
    "base": {f"conv{i}": conv(f"g_conv{i}") for i in (1, 2)},
    "pyramid": {f"anchor{j}": conv(f"g_conv_a{j}") for j in range(1, 9)},
  } | {
    f"head{j}": {ours: conv(f"conv_a{j}_box/{name}") for ours, name in heads.items()}
    for j in range(1, 9)
  }


def joined(arrays, name):
  """The authors' arrays of the eight layers, as [b, n, ...]."""
  parts = [arrays[f"{name}{j}"] for j in range(1, 9)]
  return np.concatenate([a.reshape(a.shape[0], -1, a.shape[-1]) for a in parts], axis=1)


def make_outputs(anchors, logits=None, offsets=None, overlap=None, valid=None):
  b, n, _ = anchors.shape
  return DetectionOutputs(
    logits=jnp.zeros((b, n, 3)) if logits is None else logits,
    offsets=jnp.zeros((b, n, 2)) if offsets is None else offsets,
    overlap=jnp.full((b, n), 0.5) if overlap is None else overlap,
    anchors=jnp.asarray(anchors),
    valid=jnp.ones((b, n), bool) if valid is None else valid,
    layer=jnp.ones(n, jnp.int32),
  )


def random_case(seed=0, b=3, n=40, g=4):
  rng = np.random.default_rng(seed)
  draw = lambda low, high, *shape: jnp.asarray(
    rng.uniform(low, high, shape), jnp.float32
  )
  anchors = jnp.stack([draw(0, 1, b, n), draw(0.05, 0.6, b, n)], axis=-1)
  overlap, valid = draw(0, 1, b, n), draw(0, 1, b, n) < 0.8
  logits, offsets = draw(-2, 2, b, n, 3), draw(-4, 4, b, n, 2)
  outputs = make_outputs(anchors, logits, offsets, overlap, valid)
  start = draw(0, 0.7, b, g)
  segments = jnp.stack([start, start + draw(0.1, 0.3, b, g)], axis=-1)
  labels = jnp.asarray(rng.integers(0, 2, (b, g)))
  mask = jnp.arange(g) < jnp.array([g, 1, 2])[:b, None]
  return outputs, segments, labels, mask


def plain_targets(outputs, segments, labels, mask, positive, negative, force_best):
  """One anchor after the other; also every action's best anchor, if it is its own."""
  iou = np.zeros((*outputs.valid.shape, segments.shape[1]))
  for v, n, g in np.ndindex(iou.shape):
    center, width = np.asarray(outputs.anchors[v, n])
    start, end = max(center - width / 2, 0), min(center + width / 2, 1)
    low, high = np.asarray(segments[v, g])
    if outputs.valid[v, n] and mask[v, g]:
      common = max(min(end, high) - max(start, low), 0)
      iou[v, n, g] = common / (end - start + high - low - common)
  best, index = iou.max(-1), iou.argmax(-1)
  found = best > positive
  if force_best:
    for v, g in np.ndindex(mask.shape):
      n = iou[v, :, g].argmax()
      found[v, n] |= iou[v, n, g] > 0 and index[v, n] == g
  label = np.where(found, np.take_along_axis(np.asarray(labels), index, 1) + 1, 0)
  return label, best, found, outputs.valid & (best < negative) & ~found
