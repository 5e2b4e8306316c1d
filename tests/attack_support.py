"""Classifiers that are attacked: the golden network, and nets with known answers."""

import jax
import jax.numpy as jnp
import numpy as np


def channels_last(array):
  return jnp.asarray(array.transpose(0, 2, 3, 1))


def golden_network(arrays):
  """The network of attacks.npz: (weights, images) -> logits, and its weights."""
  weights = {
    name: jnp.asarray(arrays[f"params/{name}"])
    for name in ("0.weight", "0.bias", "2.weight", "2.bias", "5.weight", "5.bias")
  }
  return network, weights


def network(weights, x):
  for name, stride in (("0", 1), ("2", 2)):
    kernel = weights[f"{name}.weight"].transpose(2, 3, 1, 0)
    x = jax.lax.conv_general_dilated(
      x, kernel, (stride, stride), [(1, 1), (1, 1)],
      dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )  # fmt: skip
    x = jax.nn.relu(x + weights[f"{name}.bias"])
  flat = x.transpose(0, 3, 1, 2).reshape(len(x), -1)  # as torch flattens
  return flat @ weights["5.weight"].T + weights["5.bias"]


def mlp_problem(*, rows=24, side=4, classes=5, seed=0):
  """A tanh network with random weights, and images that it gets right."""
  rng = np.random.default_rng(seed)
  size = side * side
  weights = {
    "hidden": jnp.asarray(rng.normal(size=(size, 16)) * 0.6, jnp.float32),
    "out": jnp.asarray(rng.normal(size=(16, classes)), jnp.float32),
  }
  x = jnp.asarray(rng.random((rows, side, side, 1)), jnp.float32)
  return mlp, weights, x, mlp(weights, x).argmax(1)


def mlp(weights, x):
  hidden = jnp.tanh((x.reshape(len(x), -1) - 0.5) @ weights["hidden"])
  return hidden @ weights["out"]


def linear_problem(*, rows=32, size=12, seed=0):
  """Two classes apart by w.u + c, images in the middle of the box: no wall is near.

  Returns:
    The classifier, images, labels, and each image's distance to the boundary in the
    L-infinity norm, |w.u + c| / sum|w|.
  """
  rng = np.random.default_rng(seed)
  w = jnp.asarray(rng.normal(size=size), jnp.float32)
  x = jnp.asarray(rng.uniform(0.4, 0.6, (rows, 1, size, 1)), jnp.float32)
  score = lambda x: (x.reshape(len(x), -1) - 0.5) @ w
  logits = lambda x: jnp.stack([-score(x), score(x)], 1)
  value = score(x)
  distance = jnp.abs(value) / jnp.sum(jnp.abs(w))
  return logits, x, (value > 0).astype(jnp.int32), np.asarray(distance)


def assert_in_ball(x_adv, x, eps):
  x_adv, x = np.asarray(x_adv), np.asarray(x)
  assert x_adv.shape == x.shape and x_adv.dtype == x.dtype
  assert np.abs(x_adv - x).max() <= eps + 1e-6
  assert x_adv.min() >= 0 and x_adv.max() <= 1


def right(logits_fn, weights, x, y):
  logits = logits_fn(x) if weights is None else logits_fn(weights, x)
  return np.asarray(logits.argmax(1) == y)
