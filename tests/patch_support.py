"""Helpers of the tests of patch reordering."""

import jax
import numpy as np

from jaxvision.ops import patches


def maps(shape, seed=0):
  """Feature maps without equal energies."""
  return jax.random.normal(jax.random.key(seed), shape)


def loops(x, *, n, levels, energy, shared):
  """The reordering by recursion, a patch at a time."""
  power = np.abs(x) if energy == "l1" else np.square(x)
  power = power.astype(np.float64)
  if shared:
    power = np.broadcast_to(power.sum(-1, keepdims=True), x.shape)
  y, k = x.copy(), n**levels
  height, width = (side // k * k for side in x.shape[1:3])
  for image in range(x.shape[0]):
    for channel in range(x.shape[3]):
      at = (image, slice(height), slice(width), channel)
      y[at] = _sorted(x[at], power[at], n, levels)
  return y


def _sorted(x, power, n, levels):
  if levels == 0:
    return x
  h, w = (side // n for side in x.shape)
  places = [
    np.s_[i * h : (i + 1) * h, j * w : (j + 1) * w] for i, j in np.ndindex(n, n)
  ]
  sources = sorted(places, key=lambda place: -power[place].sum())  # stable
  y = np.empty_like(x)
  for place, source in zip(places, sources, strict=True):
    y[place] = _sorted(x[source], power[source], n, levels - 1)
  return y


FIELDS = ("n", "levels", "energy", "shared", "remainder")
reorder = jax.jit(patches.patch_reorder, static_argnames=FIELDS)
energy_of = jax.jit(patches.patch_energy, static_argnames=FIELDS)
