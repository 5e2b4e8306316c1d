"""Schemes: quantizers of one slot, Quantization Networks' own and its baselines.

`ops.quantizers` makes them by name.
"""

import dataclasses
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax

from jaxvision.ops import lq_nets as lq
from jaxvision.ops import quantization, uniform_quantizers, weight_quantizers
from jaxvision.ops.quantization_init import METHODS
from jaxvision.typing import Array

Params = Mapping[str, Array]
Levels = tuple[Real, ...]
WEIGHTS, ACTIVATIONS = "weights", "activations"


def _keep(params: Params, x: Array) -> Params:
  del x
  return params


class Grid(NamedTuple):
  """Says that all a scheme returns are whole multiples of a unit.

  Attributes:
    unit: (params, tensor) -> the unit: a scalar, or one value an output channel.
    most: the largest multiple, in magnitude.
  """

  unit: Callable[[Params, Array], Array]
  most: int


@dataclasses.dataclass(frozen=True)
class Scheme:
  """A way to quantize one tensor.

  Attributes:
    init: tensor -> parameters fitted to it; pure, may be traced.
    apply: (params, tensor, temperature, train) -> quantized tensor. `temperature` is
      read only if `annealed` and `train`. Gradients are the published ones.
    owns: names of the parameters; may be none.
    annealed: whether training needs a temperature; inference never does.
    update: (params, tensor) -> parameters after a training step, for those that no
      gradient trains.
    per_channel: whether the parameters fit tensors of one number of channels only.
    grid: what makes integer arithmetic possible; None where values lie on no grid.
  """

  init: Callable[[Array], Params]
  apply: Callable[[Params, Array, Any, bool], Array]
  owns: tuple[str, ...] = ()
  annealed: bool = False
  update: Callable[[Params, Array], Params] = _keep
  per_channel: bool = False
  grid: Grid | None = None


def quantization_networks(
  levels: Levels,
  target: str,
  *,
  method: str = "kmeans",
  central: Real | None = None,
  backward: str = "exact",
  learn_biases: bool = False,
) -> Scheme:
  """Soft in training, hard at inference; see `ops.quantization`.

  The thresholds stay as fitted unless `learn_biases` (section 4.3: no gain); learned
  ones are sorted, since they might cross.
  """
  if backward not in quantization.STEPS:
    raise ValueError(
      f"backward is {backward!r}; choose one of {', '.join(quantization.STEPS)}."
    )

  def apply(params: Params, x: Array, temperature: Any, train: bool) -> Array:
    own = _with_biases(params, learn_biases)
    if not train:
      return quantization.hard_quantize(x, **own, levels=levels)
    return quantization.soft_quantize(
      x, **own, levels=levels, temperature=temperature, backward=backward
    )

  init, owns = _fit_quantizer(levels, method, central), quantization.Quantizer._fields
  return Scheme(init, apply, owns, annealed=True, grid=_levels_grid(levels, "alpha"))


def _levels_grid(levels: Levels, unit: str) -> Grid | None:
  """The grid of a parameter times levels that are integers."""
  if any(level != int(level) for level in levels):
    return None
  return Grid(lambda params, x: params[unit], int(max(abs(v) for v in levels)))


def _with_biases(params: Params, learned: bool) -> dict[str, Array]:
  biases = params["biases"]
  return {
    "alpha": params["alpha"],
    "beta": params["beta"],
    "biases": jnp.sort(biases) if learned else lax.stop_gradient(biases),
  }


def _fit_quantizer(
  levels: Levels, method: str, central: Real | None
) -> Callable[[Array], Params]:
  if method not in METHODS:
    raise ValueError(f"method is {method!r}; choose one of {', '.join(METHODS)}.")
  return lambda x: quantization.init_quantizer(
    x, levels, method=method, central=central
  )._asdict()


def ste(
  levels: Levels, target: str, *, method: str = "kmeans", central: Real | None = None
) -> Scheme:
  """`uniform_quantizers.ste_quantize`: the former's quantizer, straight through."""
  return Scheme(
    _fit_quantizer(levels, method, central),
    lambda params, x, temperature, train: uniform_quantizers.ste_quantize(
      x, **_with_biases(params, False), levels=levels
    ),
    quantization.Quantizer._fields,
    grid=_levels_grid(levels, "alpha"),
  )


def _of_weights_alone(
  function: Callable[[Array], Array], unit: Callable[[Array], Array], most: int
) -> Scheme:
  """A scheme without parameters."""
  return Scheme(
    lambda x: {},
    lambda params, x, temperature, train: function(x),
    grid=Grid(lambda params, x: unit(x), most),
  )


def bwn(levels: Levels, target: str) -> Scheme:
  """`weight_quantizers.bwn`."""
  _need(len(levels) == 2, levels, "two levels")
  return _of_weights_alone(weight_quantizers.bwn, weight_quantizers.filter_scale, 1)


def twn(levels: Levels, target: str) -> Scheme:
  """`weight_quantizers.twn`."""
  _need(len(levels) == 3, levels, "three levels")
  return _of_weights_alone(weight_quantizers.twn, weight_quantizers.twn_scale, 1)


def ttq(levels: Levels, target: str, *, fraction: Real = 0.05) -> Scheme:
  """`weight_quantizers.ttq`."""
  _need(len(levels) == 3, levels, "three levels")
  return Scheme(
    lambda x: weight_quantizers.init_ttq(x, fraction=fraction),
    lambda params, x, temperature, train: weight_quantizers.ttq(
      x, params["positive"], params["negative"], fraction=fraction
    ),
    ("positive", "negative"),
  )


def dorefa(levels: Levels, target: str) -> Scheme:
  """`dorefa_weights` or `dorefa_activations`, by target."""
  steps = len(levels) - 1
  if target == ACTIVATIONS:
    function = lambda x: uniform_quantizers.dorefa_activations(x, levels)
  else:
    function = lambda x: weight_quantizers.dorefa_weights(x, levels)
  signs = target == WEIGHTS and steps == 1  # of which the mean magnitude is the unit
  unit = lambda x: jnp.mean(jnp.abs(x)) if signs else jnp.float32(1.0 / steps)
  return _of_weights_alone(function, unit, steps)


def pact(levels: Levels, target: str, *, clip: Real = 6.0) -> Scheme:
  """`uniform_quantizers.pact`; the learned end starts at `clip`."""
  _need(levels[0] == 0, levels, "levels from 0")
  return Scheme(
    lambda x: {"clip": jnp.asarray(clip, jnp.promote_types(x.dtype, jnp.float32))},
    lambda params, x, temperature, train: uniform_quantizers.pact(
      x, params["clip"], levels
    ),
    ("clip",),
    grid=Grid(lambda params, x: params["clip"] / (len(levels) - 1), len(levels) - 1),
  )


def lsq(levels: Levels, target: str) -> Scheme:
  """`uniform_quantizers.lsq`."""
  whole = tuple(range(int(levels[0]), int(levels[-1]) + 1))
  _need(levels == whole and levels[-1] > 0, levels, "consecutive integers, as s4 or a4")
  return Scheme(
    lambda x: uniform_quantizers.init_lsq(x, levels),
    lambda params, x, temperature, train: uniform_quantizers.lsq(
      x, params["step"], levels
    ),
    ("step",),
    grid=_levels_grid(levels, "step"),
  )


def lq_nets(
  levels: Levels, target: str, *, iterations: int = 10, momentum: Real = 0.9
) -> Scheme:
  """`lq_nets.lq_quantize`; `update` moves the basis, 1 - momentum of the way a time."""
  bits = len(levels).bit_length() - 1
  _need(len(levels) == 2**bits, levels, "a power of two of levels, as s2 or a2")
  signed = target == WEIGHTS

  def columns(x: Array) -> Array:
    return x.reshape(-1, x.shape[-1]) if signed else x.reshape(-1)

  def init(x: Array) -> Params:
    start = lq.init_basis(columns(x), bits, signed=signed)
    return {
      "basis": lq.fit_basis(columns(x), start, signed=signed, iterations=iterations)
    }

  def apply(params: Params, x: Array, temperature: Any, train: bool) -> Array:
    y = lq.lq_quantize(columns(x), params["basis"], signed=signed)
    return y.reshape(x.shape)

  def update(params: Params, x: Array) -> Params:
    fitted = lq.fit_basis(columns(x), params["basis"], signed=signed)
    return {"basis": momentum * params["basis"] + (1.0 - momentum) * fitted}

  return Scheme(init, apply, ("basis",), update=update, per_channel=signed)


def _need(fits: bool, levels: Levels, need: str) -> None:
  if not fits:
    raise ValueError(f"levels are {levels}; it needs {need}.")
