"""Multi-layer perceptron: the MNIST network of the dropout papers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from flax.core import FrozenDict

from jaxvision.errors import UserError
from jaxvision.layers.dropout import hidden_dense
from jaxvision.layers.tap import Tap
from jaxvision.typing import Array, Float

ACTIVATIONS = {"relu": nn.relu, "sigmoid": nn.sigmoid}


class MLP(nn.Module):
  """Dense layers on flattened images; 784-800-800-10 has 1,276,810 parameters.

  Shen et al. (2018) and Hinton et al. (2012) on MNIST. Dropout is not part of it:
  insert it behind the taps "input", "relu1", "relu2" (or "sigmoid1", ...).

  Attributes:
    hidden: widths of the hidden layers "dense1", "dense2", ...
    classes: width of the layer "logits".
    activation: "relu" or "sigmoid".
    dense: kind of the hidden layers: "plain", "standout" or "dropconnect".
    dense_options: fields of that kind, as {"alpha": 1.}; see `layers.dropout`.
    initializer: "glorot_uniform", U(+-sqrt(6 / (inputs + units))) and four times that
      before a sigmoid (Shen et al.), or "he_normal".
    dtype: of the computation, as "bfloat16"; parameters and logits are float32.
  """

  hidden: Sequence[int] = (800, 800)
  classes: int = 10
  activation: str = "relu"
  dense: str = "plain"
  dense_options: Mapping[str, Any] = FrozenDict()
  initializer: str = "glorot_uniform"
  dtype: Any = None

  @nn.compact
  def __call__(
    self, x: Float[Array, "b h w c"], train: bool = False
  ) -> Float[Array, "b classes"]:
    """Returns logits."""
    if self.activation not in ACTIVATIONS:
      raise UserError(
        f"config.model.activation is {self.activation!r}; "
        f"choose one of {', '.join(ACTIVATIONS)}."
      )
    x = Tap(name="input")(x)
    x = x.reshape(x.shape[0], -1)
    for i, width in enumerate(self.hidden, start=1):
      x = hidden_dense(
        self.dense,
        width,
        act=ACTIVATIONS[self.activation],
        train=train,
        options=self.dense_options,
        kernel_init=kernel_init(self.initializer, self.activation),
        dtype=self.dtype,
        name=f"dense{i}",
      )(x)
      x = Tap(name=f"{self.activation}{i}")(x)
    init = kernel_init(self.initializer)
    x = nn.Dense(self.classes, kernel_init=init, dtype=self.dtype, name="logits")(x)
    return x.astype(jnp.float32)


def kernel_init(scheme: str, activation: str = "relu") -> Callable[..., Array]:
  """Initializer of a dense kernel by the activation that follows it.

  "glorot_uniform" follows Shen et al.'s code: Glorot & Bengio's (2010) uniform range,
  and four times it for a sigmoid. "he_normal" is that of He et al. (2015).
  """
  scale = 16.0 if activation == "sigmoid" else 1.0
  schemes = {
    "glorot_uniform": nn.initializers.variance_scaling(scale, "fan_avg", "uniform"),
    "he_normal": nn.initializers.he_normal(),
  }
  if scheme not in schemes:
    raise UserError(
      f"config.model.initializer is {scheme!r}; choose one of {', '.join(schemes)}."
    )
  return schemes[scheme]
