"""Quantizers of activations as Linen modules, to be inserted behind places."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict
from jax.typing import ArrayLike

from jaxvision.errors import UserError
from jaxvision.layers.insertion import Inserted
from jaxvision.ops.quantizers import Scheme
from jaxvision.typing import Array, Float, PyTree

SCHEDULE, CALIBRATION = "schedule", "calibration"


class ActivationQuantizer(nn.Module):
  """Quantizes its input by any scheme of `ops.quantizers`.

  The scheme's parameters are the dict `params[...]["quantizer"]`. In `init` they are
  fitted to the values that come by, and these pass unchanged; `calibrate` fits them to
  a batch later. An annealed scheme reads the temperature from the variable
  `schedule[...]["temperature"]`, which the training step sets by `with_temperature`.
  With the collection "calibration" mutable, as in `calibrate`, nothing is quantized.

  Attributes:
    scheme: how to quantize.
    train: as in training (soft) instead of as at inference (hard).
  """

  scheme: Scheme
  train: bool = False

  @nn.compact
  def __call__(self, x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """Quantizes `x`, or fits and passes it in `init` and `calibrate`."""
    params = self._params(x)
    temperature = self._temperature()
    if self.is_initializing():
      return x
    if self.is_mutable_collection(CALIBRATION):
      self.variable(CALIBRATION, "quantizer", lambda: self.scheme.init(x))
      return x
    return self.scheme.apply(params, x, temperature, self.train)

  def _params(self, x: Array) -> PyTree:
    if not self.scheme.owns:
      return {}
    # `param` would trace the fit to check shapes, which no symbolic batch allows.
    if self.has_variable("params", "quantizer"):
      return self.get_variable("params", "quantizer")
    return self.param("quantizer", lambda key: self.scheme.init(x))

  def _temperature(self) -> Array | None:
    """The variable's value, in training; `init` makes it in any case."""
    if not self.scheme.annealed:
      return None
    if self.is_initializing():
      self.variable(SCHEDULE, "temperature", lambda: jnp.float32(1.0))
    if not self.train or self.is_mutable_collection(CALIBRATION):
      return None
    if not self.has_variable(SCHEDULE, "temperature"):
      raise UserError(
        f"activation quantizer {'/'.join(self.path)} trains without a temperature; "
        f"pass the collection {SCHEDULE!r}, as init returns it, by with_temperature."
      )
    return self.get_variable(SCHEDULE, "temperature")


def with_temperature(variables: PyTree, temperature: ArrayLike) -> PyTree:
  """Returns variables in which all activation quantizers have this temperature.

  Args:
    variables: with the collection "schedule", as `init` returns it, unless nothing
      anneals.
    temperature: scalar; may be traced.
  """
  if SCHEDULE not in variables:
    return variables
  value = jnp.asarray(temperature, jnp.float32)
  return {**variables, SCHEDULE: jax.tree.map(lambda _: value, variables[SCHEDULE])}


def calibrate(
  model: nn.Module | Inserted,
  variables: PyTree,
  *inputs: Any,
  mutable: Sequence[str] = (),
  **kwargs: Any,
) -> PyTree:
  """Returns parameters with all activation quantizers fitted to a batch.

  Quantization Networks takes 1000 training images. All quantizers see the network
  without activation quantizers, at the weights given. Pure: may be jitted.

  Args:
    model: with `ActivationQuantizer`s.
    variables: its variables.
    *inputs: a batch.
    mutable: collections that the pass may change, in vain: "batch_stats" if train=True.
    **kwargs: passed on to `apply`.
  """
  mutable = [CALIBRATION, *mutable]
  _, fitted = model.apply(variables, *inputs, mutable=mutable, **kwargs)
  params = flatten_dict(variables["params"], keep_empty_nodes=True)
  return unflatten_dict({**params, **flatten_dict(fitted.get(CALIBRATION, {}))})
