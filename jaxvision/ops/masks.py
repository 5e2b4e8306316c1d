"""Continuous dropout: multiplication by a random mask of continuous values.

Shen, Tian, Liu, Xu, Tao (2018), "Continuous Dropout", IEEE TNNLS 29(9), with binary
dropout as the special case of a Bernoulli mask.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike

from jaxvision.ops.mask_distributions import (
  MaskSpec,
  mask_atoms,
  mask_density,
  mask_moments,
  matched_bernoulli,
  noise_strength,
)
from jaxvision.typing import Array, Float, PRNGKey, PyTree

__all__ = [
  "MaskSpec",
  "clip_mask",
  "continuous_dropout",
  "mask_atoms",
  "mask_density",
  "mask_moments",
  "matched_bernoulli",
  "monte_carlo_mean",
  "noise_strength",
  "rescaling",
  "sample_mask",
]


def clip_mask(raw: Float[Array, "*s"], spec: MaskSpec) -> Float[Array, "*s"]:
  """Turns raw draws into mask values: a clipped Gaussian is cut to [0, 1]."""
  if spec.kind == "gaussian" and spec.clip:
    return jnp.clip(raw, 0.0, 1.0)
  return raw


def sample_mask(
  key: PRNGKey,
  shape: Sequence[int],
  spec: MaskSpec,
  dtype: DTypeLike = jnp.float32,
) -> Float[Array, "..."]:
  """Draws independent mask values, in float32, then casts them.

  Uniform or normal draws made in bfloat16 have 8 bits and a biased mean. Under `jit`
  the values do not depend on how the array is sharded.
  """
  if spec.kind == "bernoulli":
    raw = jax.random.bernoulli(key, 1.0 - spec.rate, shape).astype(jnp.float32)
  elif spec.kind == "uniform":
    raw = jax.random.uniform(key, shape, jnp.float32, spec.low, spec.high)
  else:
    raw = spec.mean + spec.std * jax.random.normal(key, shape, jnp.float32)
  return clip_mask(raw, spec).astype(dtype)


def rescaling(
  spec: MaskSpec, *, rescale: str = "train", mean_mode: str = "nominal"
) -> tuple[float, float]:
  """The constants that make up for a mask's mean: (in training, at inference).

  Args:
    spec: distribution of the mask.
    rescale: "train" is (1 / mean, 1), "test" is (1, mean).
    mean_mode: "nominal" is the authors' choice, for a Gaussian the mean before
      clipping: biased unless that is .5. "exact" is the mean of the mask itself.

  Raises:
    ValueError: an unknown mode; a mean of 0; or a negative nominal mean of a clipped
      mask, which is itself never negative: rescaling would flip every sign.
  """
  if rescale not in ("train", "test"):
    raise ValueError(f"rescale is {rescale!r}; choose train or test.")
  if mean_mode not in ("nominal", "exact"):
    raise ValueError(f"mean_mode is {mean_mode!r}; choose nominal or exact.")
  clipped = spec.kind == "gaussian" and spec.clip
  mean = mask_moments(spec)[0]
  if clipped and mean_mode == "nominal":
    mean = float(spec.mean)
  if mean == 0 or (clipped and mean < 0):
    raise ValueError(f"{spec} has the {mean_mode} mean {mean}: rescaling is undefined.")
  return (1.0 / mean, 1.0) if rescale == "train" else (1.0, mean)


def continuous_dropout(
  key: PRNGKey | None,
  x: Float[Array, "*s"],
  spec: MaskSpec,
  *,
  broadcast_axes: Sequence[int] = (),
  rescale: str = "train",
  mean_mode: str = "nominal",
  deterministic: bool = False,
  mask: Float[Array, "..."] | None = None,
) -> Float[Array, "*s"]:
  """Multiplies by a fresh random mask and compensates for the mask's mean.

  The gradient flows through the same mask. The authors' Caffe layer is the default;
  their Theano code, which ran the MNIST experiments, is `rescale="test"`.

  Args:
    key: may be None if `deterministic` or if `mask` is given.
    x: activations of any shape.
    spec: distribution of the mask.
    broadcast_axes: axes along which one mask value is shared; (1, 2) of "b h w c" drops
      whole feature maps, (1, 2, 3) whole examples.
    rescale: "train" divides by the mean when masking and is the identity at inference;
      "test" leaves the masked values and multiplies by the mean at inference.
    mean_mode: "nominal" (authors) or "exact"; see `rescaling`.
    deterministic: inference; draws nothing.
    mask: values to use instead of a draw, broadcast against `x`; clipped as draws are.

  Raises:
    ValueError: no key where one is needed, an unknown mode, an axis that `x` lacks, or
      a mask that does not broadcast to the shape of `x`.
  """
  training, inference = rescaling(spec, rescale=rescale, mean_mode=mean_mode)
  if deterministic:
    return x * inference
  if mask is None:
    mask = _draw(key, x.shape, spec, broadcast_axes)
  else:
    mask = _injected(mask, x.shape, spec)
  return x * (mask * training).astype(x.dtype)


def _injected(
  mask: Float[Array, "..."], shape: tuple[int, ...], spec: MaskSpec
) -> Float[Array, "..."]:
  if jnp.broadcast_shapes(mask.shape, shape) != shape:
    raise ValueError(f"a mask of shape {mask.shape} does not fit x of shape {shape}.")
  return clip_mask(mask, spec)


def _draw(
  key: PRNGKey | None, shape: Sequence[int], spec: MaskSpec, axes: Sequence[int]
) -> Float[Array, "..."]:
  if key is None:
    raise ValueError("key is None; only deterministic dropout needs no key.")
  rank = len(shape)
  if not all(-rank <= axis < rank for axis in axes):
    raise ValueError(f"broadcast_axes are {tuple(axes)}; x has {rank} axes.")
  shared = {axis % rank for axis in axes}
  return sample_mask(key, [1 if i in shared else n for i, n in enumerate(shape)], spec)


def monte_carlo_mean(
  key: PRNGKey, sample: Callable[[PRNGKey], PyTree], samples: int
) -> PyTree:
  """Averages `sample(key_k)` over independent keys, in the memory of one sample.

  Monte Carlo averaging at test time: `sample` is a masked forward pass.

  Args:
    key: folded with k = 0, 1, ... for the k-th pass.
    sample: from a key to a tree of arrays, as logits or probabilities.
    samples: number of passes, at least 1.

  Returns:
    The tree of means, in float32 or wider.
  """
  if samples < 1:
    raise ValueError(f"samples is {samples}; a mean needs at least one.")

  def add(total: PyTree, k: Array) -> tuple[PyTree, None]:
    return jax.tree.map(jnp.add, total, sample(jax.random.fold_in(key, k))), None

  zeros = jax.tree.map(
    lambda y: jnp.zeros(y.shape, jnp.promote_types(y.dtype, jnp.float32)),
    jax.eval_shape(sample, key),
  )
  total, _ = lax.scan(add, zeros, jnp.arange(samples))
  return jax.tree.map(lambda y: y / samples, total)
