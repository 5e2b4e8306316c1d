"""Parts of AherNet: classifiers of layers, weight transfer, contexts, discriminators.

Long, Yao, Qiu, Tian, Luo, Mei (2020), "Learning to Localize Actions from Moments",
ECCV.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp

from jaxvision.errors import UserError
from jaxvision.layers.convolution import Conv
from jaxvision.layers.tap import Tap
from jaxvision.models.temporal import XAVIER
from jaxvision.typing import Array, Float

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
  "elu": nn.elu,
  "relu": nn.relu,
  "none": lambda x: x,
}


class Classifier(NamedTuple):
  """Weights [d, k] and bias [k] of a linear classifier of k classes."""

  kernel: Float[Array, "d k"]
  bias: Float[Array, " k"]

  def __call__(self, x: Float[Array, "*b d"]) -> Float[Array, "*b k"]:
    """Returns logits in float32."""
    logits = x @ self.kernel.astype(x.dtype) + self.bias.astype(x.dtype)
    return logits.astype(jnp.float32)


class LayerClassifiers(nn.Module):
  """One `Classifier` a layer, as parameters "layer<j>"; nothing is applied to them.

  Attributes:
    classes: number of classes.
    widths: channels of the layers.
  """

  classes: int
  widths: Sequence[int]

  @nn.compact
  def __call__(self) -> tuple[Classifier, ...]:
    """Returns the classifiers, the finest layer's first."""

    def make(key: Array, width: int) -> dict[str, Array]:
      kernel = XAVIER(key, (width, self.classes), jnp.float32)
      return {"kernel": kernel, "bias": jnp.zeros(self.classes)}

    layers = enumerate(self.widths, start=1)
    return tuple(
      Classifier(**self.param(f"layer{j}", make, width)) for j, width in layers
    )


class WeightTransfer(nn.Module):
  """Turns classifiers of pooled clips into classifiers of cells: AherNet, section 3.

  W' = act(act(W A1 + a1) A2 + a2) on the weights of each class by themselves, so it
  holds for classes that it was not trained on; the same with 1 x 1 matrices on the
  bias. As in the code, the last layer has the activation, too: W' is above -1, and at
  the start, where A is the identity, W' differs from W where W is negative.

  Submodules are "layer<j>" or, shared, "width<d>"; each has "weight<i>" and "bias<i>".

  Attributes:
    depth: number of matrices; 0 returns the classifiers as they are.
    activation: after each of them: "elu", "relu" or "none", which makes T linear.
    start: of the matrices, "identity" or "xavier".
    share: whether layers of the same width share one T.
  """

  depth: int = 2
  activation: str = "elu"
  start: str = "identity"
  share: bool = False

  @nn.compact
  def __call__(self, layers: Sequence[Classifier]) -> tuple[Classifier, ...]:
    """Transfers the classifiers of all layers."""
    if self.activation not in ACTIVATIONS or self.start not in ("identity", "xavier"):
      raise UserError(
        f"config.model.transfer_activation is {self.activation!r} and transfer_start "
        f"is {self.start!r}; choose one of {', '.join(ACTIVATIONS)}, and of identity, "
        "xavier."
      )
    functions: dict[str, nn.Module] = {}
    moved = []
    for j, (kernel, bias) in enumerate(layers, start=1):
      name = f"width{len(kernel)}" if self.share else f"layer{j}"
      if name not in functions:
        functions[name] = _Rows(self.depth, self.activation, self.start, name=name)
      rows, offsets = functions[name](kernel.T, bias[:, None])
      moved.append(Classifier(rows.T, offsets[:, 0]))
    return tuple(moved)


class _Rows(nn.Module):
  """The function of one layer on weights [k, d] and biases [k, 1]."""

  depth: int
  activation: str
  start: str

  @nn.compact
  def __call__(
    self, weight: Float[Array, "k d"], bias: Float[Array, "k 1"]
  ) -> tuple[Float[Array, "k d"], Float[Array, "k 1"]]:
    identity = lambda key, shape, dtype: jnp.eye(*shape, dtype=dtype)
    init = identity if self.start == "identity" else XAVIER
    act = ACTIVATIONS[self.activation]
    for i in range(1, self.depth + 1):
      dense = lambda x, kind, i=i: nn.Dense(
        x.shape[-1], kernel_init=init, name=f"{kind}{i}"
      )(x)
      weight, bias = act(dense(weight, "weight")), act(dense(bias, "bias"))
    return weight, bias


class ContextGenerator(nn.Module):
  """Makes features that precede or follow a moment: AherNet, section 3.

  Convolutions "conv1" and, of stride 2, "conv2"; taps "relu1" and "out".

  Attributes:
    width: channels of the first; the second has those of its input.
    output: activation of the second, "relu" as in the code, whose features are never
      negative, or "none".
    dtype: of the computation, as "bfloat16".
  """

  width: int = 1024
  output: str = "relu"
  dtype: Any = None

  @nn.compact
  def __call__(self, x: Float[Array, "b m d"]) -> Float[Array, "b s d"]:
    """Returns half as many steps as the moment has."""
    if self.output not in ("relu", "none"):
      raise UserError(
        f"config.model.generator_output is {self.output!r}; choose relu or none."
      )
    conv = lambda width, i: Conv(
      width, (3,), (i,), kernel_init=XAVIER, dtype=self.dtype, name=f"conv{i}"
    )
    hidden = Tap(name="relu1")(nn.relu(conv(self.width, 1)(x)))
    y = ACTIVATIONS[self.output](conv(x.shape[-1], 2)(hidden))
    return Tap(name="out")(y).astype(x.dtype)


class BackgroundDiscriminator(nn.Module):
  """Tells real from synthetic background, a convolution "layer<j>" of every layer.

  Attributes:
    ratios: number of anchors a cell, each with a logit.
    dtype: of the computation, as "bfloat16".
  """

  ratios: int = 3
  dtype: Any = None

  @nn.compact
  def __call__(self, layers: Sequence[Float[Array, "b _ _"]]) -> Float[Array, "b n"]:
    """Returns logits of the anchors of all layers, above 0 for real ones."""
    logits = []
    for j, x in enumerate(layers, start=1):
      conv = Conv(
        self.ratios, (3,), kernel_init=XAVIER, dtype=self.dtype, name=f"layer{j}"
      )
      logits.append(conv(x).reshape(len(x), -1))
    return jnp.concatenate(logits, axis=1).astype(jnp.float32)
