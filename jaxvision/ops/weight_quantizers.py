"""Published quantizers of weights whose thresholds follow from the weights.

Each maps a kernel, output channel last, to a kernel of few values, with the gradient
that its paper trains with.
"""

from collections.abc import Sequence
from numbers import Real

import jax.numpy as jnp
from jax import lax

from jaxvision.ops.straight_through import round_through, straight_through
from jaxvision.typing import Array, Float


def sign(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
  """Returns -1 or 1, and 1 for 0; its gradient is 0."""
  return jnp.where(x >= 0, 1.0, -1.0).astype(x.dtype)


def bwn(w: Float[Array, "*k c"]) -> Float[Array, "*k c"]:
  """Binary weight network: each filter's mean magnitude times the sign.

  Rastegari, Ordonez, Redmon, Farhadi (2016), "XNOR-Net", section 3.1: value of
  equation 6, gradient dW = dW_q (1/n + a 1[|w| <= 1]) with filter size n and scale a.
  """
  scale, size = filter_scale(w), w.size // w.shape[-1]
  slope = 1.0 / size + scale * (jnp.abs(w) <= 1)
  return straight_through(scale * sign(w), w * lax.stop_gradient(slope))


def filter_scale(w: Float[Array, "*k c"]) -> Float[Array, " c"]:
  """Mean magnitude of each filter."""
  return jnp.mean(jnp.abs(w), axis=tuple(range(w.ndim - 1)))


def ternary_threshold(w: Float[Array, "*s"]) -> Float[Array, ""]:
  """Returns 0.7 mean|w|: Li, Zhang, Liu (2016), equation 6."""
  return 0.7 * jnp.mean(jnp.abs(w))


def twn(w: Float[Array, "*s"]) -> Float[Array, "*s"]:
  """Ternary weight network: -a, 0 or a, with one a per layer.

  Li, Zhang, Liu (2016), "Ternary Weight Networks", equations 3 to 6; the gradient is
  that of the identity.
  """
  large = jnp.abs(w) > ternary_threshold(w)
  value = jnp.where(large, twn_scale(w) * sign(w), 0.0)
  return straight_through(value.astype(w.dtype), w)


def twn_scale(w: Float[Array, "*s"]) -> Float[Array, ""]:
  """Mean magnitude of the weights that do not become 0."""
  return jnp.mean(jnp.abs(w), where=jnp.abs(w) > ternary_threshold(w))


def ttq(
  w: Float[Array, "*s"],
  positive: Float[Array, ""],
  negative: Float[Array, ""],
  *,
  fraction: Real = 0.05,
) -> Float[Array, "*s"]:
  """Trained ternary quantization: -negative, 0 or positive.

  Zhu, Han, Mao, Dally (2017), "Trained Ternary Quantization", equations 6 to 9. A
  latent weight's gradient is scaled by `positive`, 1 or `negative`. That of the two
  scales is the derivative; equation 7 prints the one of `negative` without its minus.

  Args:
    w: latent weights.
    positive: scale of the weights above the threshold.
    negative: scale of those below minus the threshold, above 0 itself.
    fraction: threshold as a fraction of max|w|.
  """
  above, below = ttq_sides(w, fraction)
  value = jnp.where(above, positive, jnp.where(below, -negative, 0.0))
  slope = jnp.where(above, positive, jnp.where(below, negative, 1.0))
  # The value carries the gradient of the scales, this zero that of the weights.
  latent = lax.stop_gradient(slope) * (w - lax.stop_gradient(w))
  return (value + latent).astype(w.dtype)


def ttq_sides(w: Float[Array, "*s"], fraction: Real = 0.05) -> tuple[Array, Array]:
  """Returns which weights lie above the threshold, which below minus it."""
  threshold = fraction * jnp.max(jnp.abs(w))
  return w > threshold, w < -threshold


def init_ttq(w: Float[Array, "*s"], *, fraction: Real = 0.05) -> dict[str, Array]:
  """Returns each side's mean magnitude, the best scales for these weights."""
  above, below = ttq_sides(w, fraction)
  return {
    "positive": jnp.mean(w, where=above),
    "negative": -jnp.mean(w, where=below),
  }


def quantize_unit(r: Float[Array, "*s"], steps: int) -> Float[Array, "*s"]:
  """Rounds values in [0, 1] to multiples of 1 / steps, straight through.

  DoReFa-Net, equation 5, `quantize_k` with steps = 2^k - 1.
  """
  return round_through(r * steps) / steps


def dorefa_weights(w: Float[Array, "*s"], levels: Sequence[Real]) -> Float[Array, "*s"]:
  """DoReFa's weights: equally spaced in [-1, 1], or +-mean|w| if there are two levels.

  Zhou, Wu, Ni, Zhou, Wen, Zou (2016), "DoReFa-Net", section 2.3. With two levels the
  gradient is that of the identity; with more it flows through the rounding, the tanh
  and the maximum, as in the authors' code.

  Args:
    w: latent weights.
    levels: only their number matters, 2^k for k bits.
  """
  if len(levels) == 2:
    return straight_through(jnp.mean(jnp.abs(w)) * sign(w), w)
  squashed = jnp.tanh(w)
  unit = squashed / (2.0 * jnp.max(jnp.abs(squashed))) + 0.5
  return 2.0 * quantize_unit(unit, len(levels) - 1) - 1.0
