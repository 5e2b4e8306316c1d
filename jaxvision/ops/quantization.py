"""Quantization Networks: staircases as sums of sigmoids that sharpen in training.

Yang, Shen, Xing, Tian, Li, Deng, Huang, Hua (2019), "Quantization Networks", CVPR. A
quantizer with levels Y_1 < ... < Y_{n+1} is a sum of n steps of height
s_i = Y_{i+1} - Y_i. Training replaces each step by a sigmoid of temperature T, which
grows; inference uses the steps.
"""

import functools
import itertools
from collections.abc import Sequence
from numbers import Real

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike, DTypeLike

from jaxvision.ops.quantization_init import Quantizer, check_levels, init_quantizer
from jaxvision.typing import Array, Float

__all__ = [
  "LEVELS",
  "Quantizer",
  "annealed_temperature",
  "hard_quantize",
  "hard_steps",
  "init_quantizer",
  "sigmoid_steps",
  "sigmoid_steps_t1",
  "soft_quantize",
]

# The paper's sets for weights ("w") by bits, two of them of 3 bits, and for
# activations ("a"); "s" are the signed integers that uniform quantizers use.
LEVELS: dict[str, tuple[int, ...]] = {
  "w1": (-1, 1),
  "w2": (-1, 0, 1),
  "w3pm2": (-2, -1, 0, 1, 2),
  "w3pm4": (-4, -2, -1, 0, 1, 2, 4),
  "w5": tuple(range(-15, 16)),
  **{f"a{bits}": tuple(range(2**bits)) for bits in range(1, 9)},
  **{f"s{bits}": tuple(range(-(2 ** (bits - 1)), 2 ** (bits - 1)))
     for bits in range(2, 9)},
}  # fmt: skip


def soft_quantize(
  x: Float[Array, "*s"],
  *,
  alpha: ArrayLike,
  beta: ArrayLike,
  biases: ArrayLike | Sequence[Real],
  levels: Sequence[Real],
  temperature: ArrayLike,
  backward: str = "exact",
) -> Float[Array, "*s"]:
  """Quantizes softly, for training: equation 7, alpha (sum_i s_i sigma_i - o).

  sigma_i is sigmoid(T (beta x - b_i)) and o = -Y_1. Computed in float32 or wider (T is
  some hundreds at last), returned in the dtype of `x`. The authors clamp the sigmoid's
  argument to +-10; this does not, which changes outputs by at most
  4.54e-5 alpha (Y_{n+1} - Y_1).

  Args:
    x: weights or activations.
    alpha: scalar, scale of the output.
    beta: scalar, scale of the input.
    biases: [n] thresholds in units of beta * x.
    levels: n + 1 increasing numbers.
    temperature: T, a scalar above 0; may be traced, so that one program serves all.
    backward: "exact" is the derivative (equations 8 to 11); "t1" is that of the
      authors' released code for binary weights, see `sigmoid_steps_t1`.

  Raises:
    ValueError: levels that do not increase, a wrong number of biases, or an unknown
      `backward`.
  """
  if backward not in STEPS:
    raise ValueError(f"backward is {backward!r}; choose one of {', '.join(STEPS)}.")
  gaps, scaled = _gaps(levels), _scaled(x, beta)
  biases = _biases(biases, levels, scaled.dtype)
  temperature = jnp.asarray(temperature, scaled.dtype)
  steps = STEPS[backward](scaled, biases, temperature, gaps)
  return (jnp.asarray(alpha, scaled.dtype) * (steps + levels[0])).astype(x.dtype)


def sigmoid_steps(
  scaled: Float[Array, "*s"],
  biases: Float[Array, " n"],
  temperature: Float[Array, ""],
  gaps: tuple[float, ...],
) -> Float[Array, "*s"]:
  """Returns sum_i s_i sigmoid(T (u - b_i)); its gradient is the derivative."""
  # Unrolled: n is small, and no array [..., n] is made.
  terms = [
    gap * jax.nn.sigmoid(temperature * (scaled - biases[i]))
    for i, gap in enumerate(gaps)
  ]
  return functools.reduce(jnp.add, terms)


@functools.partial(jax.custom_jvp, nondiff_argnums=(3,))
def sigmoid_steps_t1(
  scaled: Float[Array, "*s"],
  biases: Float[Array, " n"],
  temperature: Float[Array, ""],
  gaps: tuple[float, ...],
) -> Float[Array, "*s"]:
  """Returns `sigmoid_steps`, with T times the derivative that it has at T = 1.

  In no equation of the paper: the authors' code for binary weights does so, which
  keeps weights far from a threshold moving. The temperature gets no gradient.
  """
  return sigmoid_steps(scaled, biases, temperature, gaps)


@sigmoid_steps_t1.defjvp
def _sigmoid_steps_t1_jvp(gaps, primals, tangents):
  scaled, biases, temperature = primals
  one = jnp.ones_like(temperature)
  _, slope = jax.jvp(
    lambda u, b: sigmoid_steps(u, b, one, gaps), (scaled, biases), tangents[:2]
  )
  return sigmoid_steps(scaled, biases, temperature, gaps), temperature * slope


STEPS = {"exact": sigmoid_steps, "t1": sigmoid_steps_t1}


def hard_quantize(
  x: Float[Array, "*s"],
  *,
  alpha: ArrayLike,
  beta: ArrayLike,
  biases: ArrayLike | Sequence[Real],
  levels: Sequence[Real],
  tie: str = "gt",
) -> Float[Array, "*s"]:
  """Quantizes with steps, for inference: equation 12, alpha times a level.

  The gradient with respect to `alpha` is the derivative, all others are 0.

  Args:
    x: weights or activations.
    alpha: scalar, scale of the output.
    beta: scalar, scale of the input.
    biases: [n] thresholds in units of beta * x.
    levels: n + 1 increasing numbers.
    tie: what passes a threshold: "gt" is beta x > b (the authors' code), "ge" is
      beta x >= b (the paper).

  Raises:
    ValueError: levels that do not increase, a wrong number of biases, or an unknown
      `tie`.
  """
  steps = hard_steps(_scaled(x, beta), biases, levels, tie=tie)
  return (jnp.asarray(alpha, steps.dtype) * steps).astype(x.dtype)


def hard_steps(
  scaled: Float[Array, "*s"],
  biases: ArrayLike | Sequence[Real],
  levels: Sequence[Real],
  *,
  tie: str = "gt",
) -> Float[Array, "*s"]:
  """Returns the level of each value of beta * x; arguments as of `hard_quantize`."""
  passed = _passed(scaled, _biases(biases, levels, scaled.dtype), tie)
  gained = zip(_gaps(levels), passed, strict=True)
  # Sums of small integers are exact, so every output is a level to the bit.
  return functools.reduce(
    jnp.add, [gap * step.astype(scaled.dtype) for gap, step in gained], levels[0]
  )


def _scaled(x: Array, beta: ArrayLike) -> Array:
  wide = jnp.promote_types(x.dtype, jnp.float32)
  return jnp.asarray(beta, wide) * x.astype(wide)


def _passed(scaled: Array, biases: Array, tie: str) -> list[Array]:
  if tie not in ("gt", "ge"):
    raise ValueError(f"tie is {tie!r}; choose gt or ge.")
  passes = jnp.greater if tie == "gt" else jnp.greater_equal
  return [passes(scaled, biases[i]) for i in range(biases.shape[0])]


def _gaps(levels: Sequence[Real]) -> tuple[float, ...]:
  check_levels(levels)
  return tuple(float(b - a) for a, b in itertools.pairwise(levels))


def _biases(
  biases: ArrayLike | Sequence[Real], levels: Sequence[Real], dtype: DTypeLike
) -> Array:
  biases = jnp.asarray(biases, dtype)
  if biases.shape != (len(levels) - 1,):
    raise ValueError(
      f"biases have the shape {biases.shape}; {len(levels)} levels need "
      f"({len(levels) - 1},)."
    )
  return biases


def annealed_temperature(
  epoch: ArrayLike, *, rate: ArrayLike, cap: ArrayLike = 2000.0
) -> Float[Array, ""]:
  """Returns T = rate * epoch, at most `cap`, for epochs counted from 1.

  The paper's rates are 5 (ResNet) and 10 (AlexNet, SSD); T is constant within an epoch.
  The cap is that of the authors' code.
  """
  return jnp.minimum(jnp.asarray(rate, jnp.float32) * epoch, cap)
