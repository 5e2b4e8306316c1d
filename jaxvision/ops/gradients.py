"""Gradient tricks of adversaries: one thing forward, another backward."""

import jax
from jax.typing import ArrayLike

from jaxvision.typing import Array, Float


@jax.custom_jvp
def gradient_reversal(x: Float[Array, "*s"], scale: ArrayLike) -> Float[Array, "*s"]:
  """Returns `x`; its gradient is multiplied by -scale.

  Ganin and Lempitsky (2015), "Unsupervised Domain Adaptation by Backpropagation",
  equation 15: what lies behind learns, what lies in front unlearns. Scaling the loss
  instead would also scale the steps of what lies behind.

  Args:
    x: features.
    scale: lambda; may be traced, and gets no gradient. 0 lets nothing through.
  """
  del scale
  return x


@gradient_reversal.defjvp
def _gradient_reversal_jvp(primals, tangents):
  x, scale = primals
  tangent, _ = tangents
  return x, (-scale * tangent).astype(x.dtype)
