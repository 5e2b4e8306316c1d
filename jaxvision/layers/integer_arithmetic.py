"""Inference of a quantized network with integer weights and integer activations.

Where a layer has hard weights that are multiples of a unit, and reads what an
activation quantizer put out, also multiples of one, it multiplies int8 by int8 and sums
in int32; both units are folded into the batch norm that follows. Outputs are those of
the hard network up to rounding. No model knows of it: `Integers` is an interceptor.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jax import lax

from jaxvision.layers.quantization import ActivationQuantizer
from jaxvision.ops.convolution_forms import fits_patches, layout
from jaxvision.ops.quantization_schemes import Params, Scheme
from jaxvision.typing import Array, Float, Int, Int8

LARGEST = 127  # of int8
# On the CPU, XLA's int8 convolutions gain from here on, by up to a third; with 16
# channels they are seven times slower than those of floats.
LEAST_CHANNELS = 64


class Whole(NamedTuple):
  """An array as integers, `values * unit`; the unit is a scalar, or one a channel."""

  values: Int8[Array, "*s"]
  unit: Float[Array, "*c"]


class Sums(NamedTuple):
  """What a layer put out: `sums * unit + bias`."""

  sums: Int[Array, "*s c"]
  unit: Float[Array, "*c"]
  bias: Float[Array, "*c"]


def whole_weight(
  scheme: Scheme, own: Params, latent: Float[Array, "*s"]
) -> Whole | None:
  """Returns a layer's weights as integers; None where that is impossible or no gain.

  Args:
    scheme: how the weights are quantized.
    own: parameters of the quantizer.
    latent: weights, as trained.
  """
  if latent.ndim < 2 or latent.shape[-2] < LEAST_CHANNELS:
    return None
  if scheme.grid is None or scheme.grid.most > LARGEST:
    return None
  unit = scheme.grid.unit(own, latent)
  values = jnp.round(scheme.apply(own, latent, None, False) / unit)
  return Whole(values.astype(jnp.int8), unit)


class Integers:
  """An interceptor that computes layers and norms on what it knows to be integers.

  It knows arrays by identity: those that quantizers and layers have put out. What
  something else reads, as a shortcut, is there in floating point, too, and costs
  nothing where nothing reads it.
  """

  def __init__(self, kernels: Mapping[str, Whole]):
    """Args: kernels: {path of a layer: its weights}."""
    self.kernels = kernels
    self._known: dict[int, tuple[Array, Whole | Sums]] = {}

  def __call__(self, next_fun, args, kwargs, context: nn.module.InterceptorContext):
    """Calls the method, or does its work in integers."""
    module = context.module
    if context.method_name != "__call__" or not args:
      return next_fun(*args, **kwargs)
    known = self._known.get(id(args[0]), (None, None))[1]
    if isinstance(module, ActivationQuantizer):
      return self._remember_levels(module, args[0], next_fun(*args, **kwargs))
    kernel = self.kernels.get("/".join(module.path))
    whole = kernel is not None and isinstance(known, Whole)
    if whole and fits(module, args[0], kernel.values):
      return self._layer(module, known, kernel)
    if isinstance(known, Sums) and _is_plain_norm(module):
      return folded_norm(module, known)
    return next_fun(*args, **kwargs)

  def _remember_levels(self, module: ActivationQuantizer, x: Array, y: Array) -> Array:
    grid = module.scheme.grid
    if grid is not None and grid.most <= LARGEST:
      own = module.get_variable("params", "quantizer") or {}
      unit = grid.unit(own, x)
      values = jnp.round(y / unit).astype(jnp.int8)
      self._known[id(y)] = y, Whole(values, unit)
    return y

  def _layer(self, module: nn.Module, x: Whole, kernel: Whole) -> Array:
    sums, unit = multiply(module, x.values, kernel.values), x.unit * kernel.unit
    bias = jnp.zeros(())
    if module.use_bias:
      bias = module.get_variable("params", "bias")
    y = sums.astype(jnp.float32) * unit + bias
    self._known[id(y)] = y, Sums(sums, unit, bias)
    return y


def fits(module: nn.Module, x: Array, kernel: Int8[Array, "*t c d"]) -> bool:
  """Whether `multiply` knows what the layer does to its input, and does it fast."""
  if isinstance(module, nn.Dense):
    return True
  if not isinstance(module, nn.Conv):
    return False
  padded = isinstance(module.padding, str) and module.padding in ("SAME", "VALID")
  pairs = isinstance(module.padding, Sequence) and all(
    isinstance(pair, Sequence) and len(pair) == 2 for pair in module.padding
  )
  if not (padded or pairs) or x.ndim != len(module.kernel_size) + 2:
    return False
  return not fits_patches(kernel, x.shape[1:-1])  # which XLA runs as scalar code


def multiply(
  module: nn.Dense | nn.Conv, x: Int8[Array, "*s c"], kernel: Int8[Array, "*t d"]
) -> Int[Array, "*r d"]:
  """A layer's product or convolution, summed in int32, without its bias."""
  if isinstance(module, nn.Dense):
    axes = (((x.ndim - 1,), (0,)), ((), ()))
    return lax.dot_general(x, kernel, axes, preferred_element_type=jnp.int32)
  spatial = x.ndim - 2
  return lax.conv_general_dilated(
    x,
    kernel,
    _each(module.strides, spatial),
    module.padding,
    rhs_dilation=_each(module.kernel_dilation, spatial),
    dimension_numbers=layout(spatial),
    feature_group_count=module.feature_group_count,
    preferred_element_type=jnp.int32,
  )


def _each(value: int | Sequence[int] | None, spatial: int) -> tuple[int, ...]:
  if value is None or isinstance(value, int):
    return (value or 1,) * spatial
  return tuple(value)


def _is_plain_norm(module: nn.Module) -> bool:
  return (
    isinstance(module, nn.BatchNorm)
    and module.axis == -1
    and bool(module.use_running_average)
  )


def folded_norm(norm: nn.BatchNorm, x: Sums) -> Float[Array, "*s c"]:
  """The norm of `sums * unit + bias` as one product and one sum a channel."""
  mean, var = (norm.get_variable("batch_stats", name) for name in ("mean", "var"))
  slope = lax.rsqrt(var + norm.epsilon)
  if norm.use_scale:
    slope = slope * norm.get_variable("params", "scale")
  offset = (x.bias - mean) * slope
  if norm.use_bias:
    offset = offset + norm.get_variable("params", "bias")
  return x.sums.astype(jnp.float32) * (x.unit * slope) + offset
