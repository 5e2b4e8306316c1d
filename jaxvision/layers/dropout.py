"""Linen forms of continuous dropout, standout and DropConnect."""

from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype

from jaxvision.errors import UserError
from jaxvision.ops import masks, stochastic_dense
from jaxvision.typing import Array, Float, PRNGKey


class ContinuousDropout(nn.Module):
  """Continuous dropout, used as `flax.linen.Dropout` is.

  With a Bernoulli mask it draws the same values as that from the same key.

  Attributes:
    spec: distribution of the mask.
    broadcast_axes: axes along which a mask value is shared.
    rescale: "train" or "test", see `ops.masks.continuous_dropout`.
    mean_mode: "nominal" or "exact".
    deterministic: inference; given here or in the call.
    rng_collection: name of the PRNG stream.
  """

  spec: masks.MaskSpec
  broadcast_axes: Sequence[int] = ()
  rescale: str = "train"
  mean_mode: str = "nominal"
  deterministic: bool | None = None
  rng_collection: str = "dropout"

  @nn.compact
  def __call__(
    self,
    inputs: Float[Array, "*s"],
    deterministic: bool | None = None,
    rng: PRNGKey | None = None,
  ) -> Float[Array, "*s"]:
    """Masks `inputs`; a key is drawn (or `rng` used) only if not deterministic."""
    deterministic = nn.merge_param("deterministic", self.deterministic, deterministic)
    if not deterministic and rng is None:
      rng = self.make_rng(self.rng_collection)
    return masks.continuous_dropout(
      rng,
      inputs,
      self.spec,
      broadcast_axes=self.broadcast_axes,
      rescale=self.rescale,
      mean_mode=self.mean_mode,
      deterministic=deterministic,
    )


class StandoutDense(nn.Module):
  """Dense layer and activation with adaptive dropout; parameters as `nn.Dense`.

  Attributes:
    features: number of units.
    alpha: slope of the belief net.
    beta: offset of the belief net.
    beta_mode: "bias" or "weight", see `ops.stochastic_dense.standout_probability`.
    act: activation.
    deterministic: inference; given here or in the call.
    dtype: of the computation; None follows inputs and parameters.
    kernel_init: initializer of the kernel.
    rng_collection: name of the PRNG stream.
  """

  features: int
  alpha: Real = 1.0
  beta: Real = 0.0
  beta_mode: str = "bias"
  act: Callable[[Array], Array] = nn.relu
  deterministic: bool | None = None
  dtype: Any = None
  kernel_init: Callable[..., Array] = nn.initializers.lecun_normal()
  rng_collection: str = "dropout"

  @nn.compact
  def __call__(
    self, inputs: Float[Array, "*b n"], deterministic: bool | None = None
  ) -> Float[Array, "*b m"]:
    """Applies the layer; a key is drawn only if not deterministic."""
    deterministic = nn.merge_param("deterministic", self.deterministic, deterministic)
    return stochastic_dense.standout_dense(
      None if deterministic else self.make_rng(self.rng_collection),
      *_inputs_and_parameters(self, inputs),
      alpha=self.alpha,
      beta=self.beta,
      act=self.act,
      beta_mode=self.beta_mode,
      deterministic=deterministic,
    )


class DropConnectDense(nn.Module):
  """Dense layer whose weights drop; parameters as `nn.Dense`.

  Attributes:
    features: number of units.
    rate: probability that a weight drops.
    per_example: one mask an example instead of one a batch.
    gaussian_samples: draws averaged at inference, which then needs a key; 0 is the mean
      weights.
    act: activation; None is the identity.
    deterministic: inference; given here or in the call.
    dtype: of the computation; None follows inputs and parameters.
    kernel_init: initializer of the kernel.
    rng_collection: name of the PRNG stream.
  """

  features: int
  rate: Real = 0.5
  per_example: bool = False
  gaussian_samples: int = 0
  act: Callable[[Array], Array] | None = None
  deterministic: bool | None = None
  dtype: Any = None
  kernel_init: Callable[..., Array] = nn.initializers.lecun_normal()
  rng_collection: str = "dropout"

  @nn.compact
  def __call__(
    self, inputs: Float[Array, "*b n"], deterministic: bool | None = None
  ) -> Float[Array, "*b m"]:
    """Applies the layer; a key is drawn only where noise is."""
    deterministic = nn.merge_param("deterministic", self.deterministic, deterministic)
    noisy = not deterministic or self.gaussian_samples > 0
    return stochastic_dense.dropconnect_dense(
      self.make_rng(self.rng_collection) if noisy else None,
      *_inputs_and_parameters(self, inputs),
      rate=self.rate,
      act=self.act,
      per_example=self.per_example,
      deterministic=deterministic,
      gaussian_samples=self.gaussian_samples,
    )


def _inputs_and_parameters(module: nn.Module, inputs: Array) -> list[Array]:
  """Creates "kernel" and "bias" (float32) and casts all three to `module.dtype`."""
  shape = (inputs.shape[-1], module.features)
  kernel = module.param("kernel", module.kernel_init, shape, jnp.float32)
  zeros = nn.initializers.zeros_init()
  bias = module.param("bias", zeros, shape[1:], jnp.float32)
  return promote_dtype(inputs, kernel, bias, dtype=module.dtype)


NOISY_DENSE = {
  "standout": (StandoutDense, ("alpha", "beta", "beta_mode")),
  "dropconnect": (DropConnectDense, ("rate", "per_example", "gaussian_samples")),
}


def hidden_dense(
  kind: str,
  features: int,
  *,
  act: Callable[[Array], Array],
  train: bool,
  options: Mapping[str, Any],
  **fields: Any,
) -> Callable[[Array], Array]:
  """Makes a dense layer with its activation, to be called in a compact module.

  All kinds hold the same parameters. The output of the module itself is the activation,
  but for "plain" it is the pre-activation.

  Args:
    kind: "plain", "standout" or "dropconnect".
    features: number of units.
    act: activation.
    train: whether noise is drawn.
    options: fields of the kind's own, as {"alpha": 1.} or {"rate": .5}.
    **fields: fields that all dense modules share: name, dtype, kernel_init.

  Raises:
    UserError: an unknown kind, or an option that the kind lacks.
  """
  if kind == "plain":
    module, known = nn.Dense, ()
  elif kind in NOISY_DENSE:
    module, known = NOISY_DENSE[kind]
  else:
    raise UserError(
      f"config.model.dense is {kind!r}; choose one of plain, {', '.join(NOISY_DENSE)}."
    )
  unknown = sorted(set(options) - set(known))
  if unknown:
    raise UserError(
      f"config.model.dense_options has {', '.join(unknown)}, which a {kind} layer "
      f"lacks; it has {', '.join(known) or 'none'}."
    )
  if kind == "plain":
    dense = nn.Dense(features, **fields)
    return lambda x: act(dense(x))
  return module(features, act=act, deterministic=not train, **options, **fields)
