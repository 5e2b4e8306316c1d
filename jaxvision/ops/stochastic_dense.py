"""Dense layers with noise of their own: standout (adaptive dropout), DropConnect.

The baselines of "Continuous Dropout" (Shen et al., 2018), as its authors coded them.
Kernels are (inputs, units).
"""

from collections.abc import Callable
from numbers import Real

import jax
import jax.numpy as jnp
from jax import lax

from jaxvision.ops.masks import MaskSpec, monte_carlo_mean, sample_mask
from jaxvision.typing import Array, Float, PRNGKey


def standout_probability(
  x: Float[Array, "*b n"],
  kernel: Float[Array, "n m"],
  bias: Float[Array, " m"],
  *,
  alpha: Real = 1.0,
  beta: Real = 0.0,
  beta_mode: str = "bias",
) -> Float[Array, "*b m"]:
  """Keep probability of each unit, from a belief net that shares the layer's weights.

  Ba & Frey (2013), "Adaptive dropout for training deep neural networks".

  Args:
    x: inputs.
    kernel: the layer's kernel W.
    bias: the layer's bias b.
    alpha: slope of the belief net.
    beta: offset of the belief net.
    beta_mode: "bias" is sigmoid(alpha (x W + b) + beta), as Shen et al.'s Caffe layer;
      "weight" is sigmoid(x (alpha W + beta)), where beta is added to every weight and
      the bias plays no part, as in Ba & Frey.
  """
  product = x @ kernel
  if beta_mode == "bias":
    return jax.nn.sigmoid(alpha * (product + bias) + beta)
  if beta_mode == "weight":
    return jax.nn.sigmoid(alpha * product + beta * x.sum(-1, keepdims=True))
  raise ValueError(f"beta_mode is {beta_mode!r}; choose bias or weight.")


def standout_dense(
  key: PRNGKey | None,
  x: Float[Array, "*b n"],
  kernel: Float[Array, "n m"],
  bias: Float[Array, " m"],
  *,
  alpha: Real = 1.0,
  beta: Real = 0.0,
  act: Callable[[Array], Array] = jax.nn.relu,
  beta_mode: str = "bias",
  deterministic: bool = False,
  mask: Float[Array, "*b m"] | None = None,
) -> Float[Array, "*b m"]:
  """Dense layer and activation whose units drop with input-dependent probability.

  Training: act(x W + b) m with m ~ Bernoulli(p), no rescaling; inference:
  act(x W + b) p. No gradient passes through p (Shen et al.'s Caffe layer). Their Theano
  code instead halves the weights at inference; not followed, as it ignores p.

  Args:
    key: may be None if `deterministic` or if `mask` is given.
    x: inputs.
    kernel: kernel W.
    bias: bias b.
    alpha: slope of the belief net, see `standout_probability`.
    beta: offset of the belief net.
    act: activation.
    beta_mode: "bias" or "weight".
    deterministic: inference; draws nothing.
    mask: values of m to use instead of a draw.
  """
  hidden = act(x @ kernel + bias)
  probability = lax.stop_gradient(
    standout_probability(x, kernel, bias, alpha=alpha, beta=beta, beta_mode=beta_mode)
  )
  if deterministic:
    return hidden * probability
  if mask is None:
    mask = jax.random.bernoulli(_required(key), probability.astype(jnp.float32))
  return hidden * mask.astype(hidden.dtype)


def dropconnect_dense(
  key: PRNGKey | None,
  x: Float[Array, "*b n"],
  kernel: Float[Array, "n m"],
  bias: Float[Array, " m"],
  *,
  rate: Real = 0.5,
  act: Callable[[Array], Array] | None = None,
  per_example: bool = False,
  deterministic: bool = False,
  gaussian_samples: int = 0,
  mask: Float[Array, "..."] | None = None,
) -> Float[Array, "*b m"]:
  """Dense layer whose weights drop: x (W * M) / q + b, M ~ Bernoulli(q), q = 1 - rate.

  Wan et al. (2013), "Regularization of neural networks using DropConnect", in the form
  of Shen et al.'s Caffe layer: biases never drop and inference is x W + b.

  Args:
    key: may be None if `deterministic` without Gaussian samples, or if `mask` is given.
    x: inputs.
    kernel: kernel W.
    bias: bias b.
    rate: probability that a weight drops, in [0, 1).
    act: activation; None is the identity.
    per_example: one mask an example (Wan et al.), which takes a kernel's memory each,
      instead of one mask a batch (Shen et al.).
    deterministic: inference.
    gaussian_samples: inference averages this many Gaussian draws (Wan et al.) and needs
      a key; 0 is the pass with the mean weights. See `dropconnect_gaussian`.
    mask: values of M to use instead of a draw: [n, m], or [*b, n, m] if `per_example`.
  """
  act = act or (lambda u: u)
  _check_rate(rate)
  if deterministic and gaussian_samples:
    return dropconnect_gaussian(
      key, x, kernel, bias, rate=rate, act=act, samples=gaussian_samples
    )
  if deterministic:
    return act(x @ kernel + bias)
  shape = (*x.shape[:-1], *kernel.shape) if per_example else kernel.shape
  if mask is None:
    mask = sample_mask(_required(key), shape, MaskSpec("bernoulli", rate=rate))
  if mask.shape != shape:
    raise ValueError(f"the mask has shape {mask.shape}; weights need {shape}.")
  masked = kernel * (mask / (1.0 - rate)).astype(kernel.dtype)
  return act(jnp.einsum("...n,...nm->...m", x, masked) + bias)


def dropconnect_moments(
  x: Float[Array, "*b n"],
  kernel: Float[Array, "n m"],
  bias: Float[Array, " m"],
  *,
  rate: Real = 0.5,
) -> tuple[Float[Array, "*b m"], Float[Array, "*b m"]]:
  """Mean and variance over masks of DropConnect's rescaled pre-activation.

  Mean x W + b, variance (rate / q) x^2 W^2 with q = 1 - rate: that of Wan et al. (2013)
  before rescaling, q (1 - q) x^2 W^2, divided by q^2.
  """
  _check_rate(rate)
  return x @ kernel + bias, rate / (1.0 - rate) * (x**2 @ kernel**2)


def dropconnect_gaussian(
  key: PRNGKey | None,
  x: Float[Array, "*b n"],
  kernel: Float[Array, "n m"],
  bias: Float[Array, " m"],
  *,
  rate: Real = 0.5,
  act: Callable[[Array], Array] = jax.nn.relu,
  samples: int = 1000,
) -> Float[Array, "*b m"]:
  """DropConnect's inference: the mean of act(u), u normal with the masks' moments.

  Wan et al. (2013), section 3.2 and algorithm 2.
  """
  mean, variance = dropconnect_moments(x, kernel, bias, rate=rate)
  # An input of zeros has variance 0, where the gradient of a plain root is infinite.
  std = jnp.sqrt(jnp.maximum(variance, jnp.finfo(variance.dtype).tiny))

  def sample(key: PRNGKey) -> Array:
    noise = jax.random.normal(key, mean.shape, jnp.float32)
    return act(mean + std * noise.astype(mean.dtype))

  return monte_carlo_mean(_required(key), sample, samples).astype(mean.dtype)


def _required(key: PRNGKey | None) -> PRNGKey:
  if key is None:
    raise ValueError("key is None; only a deterministic pass needs no key.")
  return key


def _check_rate(rate: Real) -> None:
  if not 0 <= rate < 1:
    raise ValueError(f"rate is {rate}; a drop rate lies in [0, 1).")
