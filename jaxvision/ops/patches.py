"""Patch reordering: patches of feature maps, ranked by energy, strongest first.

Shen, Tian, Sun, Tao (2017), "Patch Reordering: A Novel Way to Achieve Rotation and
Translation Invariance in Convolutional Neural Networks", AAAI 31.

A map is cut into n x n patches, each of them into n x n again, and so on for `levels`
levels: k = n**levels unit blocks a side. In every parent the n * n children are laid
out in raster order of falling energy, with all that they hold. What was where is
forgotten: permuting the patches of the first level changes nothing.
"""

import jax.numpy as jnp
from jax import lax

from jaxvision.ops.patch_moves import (
  REMAINDERS,
  apply_permutation,
  core,
  core_corner,
  gather_blocks,
  invert_permutation,
  move_blocks,
)
from jaxvision.ops.patch_sorting import descending_order
from jaxvision.typing import Array, Float, Int

__all__ = [
  "apply_permutation",
  "check_options",
  "invert_permutation",
  "patch_energy",
  "patch_permutation",
  "patch_reorder",
]

ENERGIES = {"l1": jnp.abs, "l2": jnp.square}


def patch_reorder(
  x: Float[Array, "b h w c"],
  *,
  n: int = 2,
  levels: int = 1,
  energy: str = "l2",
  shared: bool = False,
  remainder: str = "topleft",
) -> Float[Array, "b h w c"]:
  """Reorders the patches of feature maps by falling energy.

  The gradient goes back to where the values came from; none flows through energies or
  ranks. Equal energies keep their order. Defaults are those of the authors' code, whose
  choices in the paper's tables are not known.

  It is a discontinuous function of `x`: rounding decides between all but equal
  energies, and so may another device or dtype.

  Args:
    x: feature maps.
    n: patches per side at each level; 1 is the identity.
    levels: of the pyramid. With n**levels pixels a side ("full depth") the result is
      the same for `x` turned by quarters or mirrored.
    energy: "l2", sum of squares, or "l1", sum of absolute values.
    shared: sum energies over channels, so that all channels move alike and stay
      aligned; otherwise each has its own order.
    remainder: which pixels stay where n**levels divides no side: "topleft" (authors)
      leaves the last rows and columns, "center" (ours) about as many on each side.

  Raises:
    ValueError: n or levels below 1, maps with fewer than n**levels pixels a side, an
      unknown energy or remainder.
  """
  energies = patch_energy(
    lax.stop_gradient(x),
    n=n,
    levels=levels,
    energy=energy,
    shared=shared,
    remainder=remainder,
  )
  source = patch_permutation(energies, n=n, levels=levels)
  return apply_permutation(x, source, remainder=remainder)


def patch_energy(
  x: Float[Array, "b h w c"],
  *,
  n: int = 2,
  levels: int = 1,
  energy: str = "l2",
  shared: bool = False,
  remainder: str = "topleft",
) -> Float[Array, "b k k d"]:
  """Energies of the k x k unit blocks, k = n**levels; arguments as `patch_reorder`.

  Returns:
    float32, also accumulated so; d is c, or 1 if `shared`. At 2 and more levels the
    authors' GPU code mixes up unit energies of "l2"; these are as their CPU code means.

  Raises:
    ValueError: as `patch_reorder`.
  """
  check_options(n=n, levels=levels, energy=energy, remainder=remainder)
  blocks = n**levels
  inside = core(x, blocks, core_corner(x.shape, blocks, remainder=remainder))
  density = ENERGIES[energy](inside.astype(jnp.float32))
  unit = (1, inside.shape[1] // blocks, inside.shape[2] // blocks, 1)
  # On the CPU some three times faster than a sum over reshaped axes.
  energies = lax.reduce_window(density, 0.0, lax.add, unit, unit, "VALID")
  return energies.sum(-1, keepdims=True) if shared else energies


def patch_permutation(
  energy: Float[Array, "b k k d"], *, n: int = 2, levels: int = 1
) -> Int[Array, "b k k d"]:
  """Source block of every target block, from the energies of the unit blocks.

  The levels are sorted from the finest to the coarsest, and a patch's energy is the sum
  over its already sorted blocks. The order of levels makes no difference, but rounding
  does: this way it cannot depend on how the blocks lay before.

  Args:
    energy: of k x k unit blocks, k = n**levels; NaN counts as infinity.
    n: patches per side at each level.
    levels: of the pyramid.

  Returns:
    int32 numbers of blocks, row * k + column.

  Raises:
    ValueError: n or levels below 1, or not n**levels blocks a side.
  """
  check_options(n=n, levels=levels)
  b, k, _, d = energy.shape
  if k != n**levels:
    raise ValueError(
      f"energy has {k} blocks a side; n={n} and levels={levels} make {n**levels}."
    )
  number = jnp.arange(k * k, dtype=jnp.int32).reshape(k, k, 1)
  source = jnp.broadcast_to(number, energy.shape)
  for level in reversed(range(levels)):
    order = _children_order(energy, n)
    # Selections XLA would fuse into, and repeat for, each pixel that `source` moves.
    source = gather_blocks(source, order, n)
    parents = n**level
    children = move_blocks(energy, order, n).reshape(b, parents, n, parents, n, d)
    energy = children.sum((2, 4))
  return source


def _children_order(energy: Float[Array, "b g g d"], n: int) -> Int[Array, "b g g d"]:
  """For each place within a parent of n x n blocks, which of them belongs there."""
  b, g, _, d = energy.shape
  parents = g // n
  children = energy.reshape(b, parents, n, parents, n, d).swapaxes(2, 3)
  order = descending_order(children.reshape(b, parents, parents, n * n, d))
  order = order.reshape(b, parents, parents, n, n, d).swapaxes(2, 3)
  return order.reshape(energy.shape)


def check_options(
  *, n: int, levels: int, energy: str = "l2", remainder: str = "topleft"
) -> None:
  """Checks what can be checked before there are maps.

  Raises:
    ValueError: n or levels below 1, an unknown energy or remainder.
  """
  if n < 1 or levels < 1:
    raise ValueError(f"n is {n} and levels is {levels}; both must be at least 1.")
  if energy not in ENERGIES:
    raise ValueError(f"energy is {energy!r}; choose one of {', '.join(ENERGIES)}.")
  if remainder not in REMAINDERS:
    raise ValueError(f"remainder is {remainder!r}; choose {' or '.join(REMAINDERS)}.")
