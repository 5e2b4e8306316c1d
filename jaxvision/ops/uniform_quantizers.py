"""Published quantizers with equally spaced levels, mostly for activations."""

from collections.abc import Sequence
from numbers import Real

import jax.numpy as jnp
from jax import lax

from jaxvision.ops.quantization import hard_steps
from jaxvision.ops.straight_through import (
  clip_inclusive,
  scale_gradient,
  straight_through,
)
from jaxvision.ops.weight_quantizers import quantize_unit
from jaxvision.typing import Array, Float


def ste_quantize(
  x: Float[Array, "*s"],
  *,
  alpha: Float[Array, ""],
  beta: Float[Array, ""],
  biases: Float[Array, " n"],
  levels: Sequence[Real],
) -> Float[Array, "*s"]:
  """Returns `quantization.hard_quantize`, trained straight through.

  The control of Quantization Networks: the same quantizer, no temperature. Backward the
  staircase counts as beta x clipped to the levels' range (Hubara, Courbariaux, Soudry,
  El-Yaniv, Bengio (2016), "Binarized Neural Networks", equation 4); `alpha` gets its
  derivative, `biases` get none.

  Args:
    x: weights or activations.
    alpha: scale of the output.
    beta: scale of the input.
    biases: thresholds in units of beta * x.
    levels: n + 1 increasing numbers.
  """
  scaled = beta * x.astype(jnp.promote_types(x.dtype, jnp.float32))
  line = clip_inclusive(scaled, levels[0], levels[-1])
  steps = hard_steps(lax.stop_gradient(scaled), biases, levels)
  return (alpha * straight_through(steps, line)).astype(x.dtype)


def dorefa_activations(
  x: Float[Array, "*s"], levels: Sequence[Real]
) -> Float[Array, "*s"]:
  """DoReFa's activations: clipped to [0, 1] and rounded to equal steps.

  Zhou et al. (2016), "DoReFa-Net", section 2.4; gradient 1 on [0, 1], 0 outside.

  Args:
    x: activations.
    levels: only their number matters, 2^k for k bits.
  """
  return quantize_unit(clip_inclusive(x, 0.0, 1.0), len(levels) - 1)


def pact(
  x: Float[Array, "*s"], clip: Float[Array, ""], levels: Sequence[Real]
) -> Float[Array, "*s"]:
  """Parameterized clipping: activations cut to [0, clip], then rounded to equal steps.

  Choi, Wang, Venkataramani, Chuang, Srinivasan, Gopalakrishnan (2018), "PACT",
  equations 1 to 3: the gradient of `x` is 1 on [0, clip), that of `clip` is 1 from
  there on. The paper decays `clip` as a weight.

  Args:
    x: activations.
    clip: learned upper end, above 0.
    levels: only their number matters, 2^k for k bits.
  """
  steps = len(levels) - 1
  cut = jnp.where(x >= clip, clip, jnp.where(x < 0, 0.0, x)).astype(x.dtype)
  step = clip / steps
  return straight_through((jnp.round(cut / step) * step).astype(x.dtype), cut)


def lsq(
  x: Float[Array, "*s"], step: Float[Array, ""], levels: Sequence[Real]
) -> Float[Array, "*s"]:
  """Learned step size quantization: round(clip(x / s)) s.

  Esser, McKinstry, Bablani, Appuswamy, Modha (2020), "Learned Step Size Quantization",
  equations 1 to 3; the gradient of `step` is scaled by 1 / sqrt(size * Q_P) (section
  2.2), where the size of activations counts the batch.

  Args:
    x: weights or activations.
    step: learned step s, above 0.
    levels: consecutive integers from -Q_N to Q_P.
  """
  ratio = lax.stop_gradient(x / step)
  inside = (ratio >= levels[0]) & (ratio <= levels[-1])
  code = jnp.round(jnp.clip(ratio, levels[0], levels[-1]))
  slope = code - jnp.where(inside, ratio, 0.0)  # of the step: equation 3
  scaled = scale_gradient(step, float((x.size * levels[-1]) ** -0.5))
  # Written out: through a division by the step and a product, 1 would be rounded.
  line = jnp.where(inside, x, 0.0) + scaled * slope
  return straight_through(code * step, line).astype(x.dtype)


def init_lsq(x: Float[Array, "*s"], levels: Sequence[Real]) -> dict[str, Array]:
  """Returns the step 2 mean|x| / sqrt(Q_P): section 2.1."""
  return {"step": 2.0 * jnp.mean(jnp.abs(x)) / levels[-1] ** 0.5}
