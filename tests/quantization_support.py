"""Golden cases and samples for the tests of quantization."""

import jax
import jax.numpy as jnp
import pytest

from jaxvision.ops import quantization as q

WEIGHTS = ("w1", "w2", "w3pm2", "w3pm4")
ACTIVATIONS = ("a1", "a2")
CASES = [f"weight/{c}" for c in WEIGHTS] + [f"act/{c}" for c in ACTIVATIONS]
each_case = pytest.mark.parametrize("case", CASES)
SETS = ["w1", "w2", "w3pm2", "w3pm4", "w5", "a2"]
each_set = pytest.mark.parametrize(
  "levels", [q.LEVELS[name] for name in SETS], ids=SETS
)


def read(golden, case):
  """The case's arrays, under one name for weights and activations, and its levels."""
  prefix = f"{case}/"
  arrays = golden("quantization")
  found = {k[len(prefix) :]: arrays[k] for k in arrays if k.startswith(prefix)}
  found = {k.replace("_dw", "_dx"): v for k, v in found.items()}
  found = {k if k != "w" else "x": jnp.asarray(v) for k, v in found.items()}
  return found, tuple(found["levels"].tolist())


def sample(levels, n=200):
  """Values, and a quantizer with alpha * beta not 1."""
  lowest = -1.0 if levels[0] < 0 else 0.0
  x = jax.random.uniform(jax.random.key(0), (n,), minval=lowest, maxval=1.0)
  alpha, beta, biases = q.init_quantizer(x, levels, method="linear")
  return x, {"alpha": 1.1 * alpha, "beta": 0.9 * beta, "biases": biases}


def soft(x, own, levels, temperature, **kwargs):
  return q.soft_quantize(x, **own, levels=levels, temperature=temperature, **kwargs)
