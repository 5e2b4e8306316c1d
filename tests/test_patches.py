"""Patch reordering: the authors' numbers, its invariances, its gradient."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from patch_support import energy_of, loops, maps, reorder

from jaxvision.ops import patches

CASES = range(12)
SETTINGS = [{"n": 2}, {"n": 2, "levels": 2}, {"n": 3}, {"n": 2, "shared": True}]
SYMMETRIES = {
  "quarter": lambda x: jnp.rot90(x, 1, (1, 2)),
  "half": lambda x: jnp.rot90(x, 2, (1, 2)),
  "three quarters": lambda x: jnp.rot90(x, 3, (1, 2)),
  "left to right": lambda x: x[:, :, ::-1],
  "upside down": lambda x: x[:, ::-1],
  "transposed": lambda x: x.swapaxes(1, 2),
}


def channels_last(array):
  return jnp.asarray(array.transpose(0, 2, 3, 1))


@pytest.fixture
def case(golden):
  def load(number):
    arrays = golden("patch_reorder")
    _, _, n, levels, l2, shared, _ = arrays["settings"][number].tolist()
    energy = "l2" if l2 else "l1"
    fields = {"n": n, "levels": levels, "energy": energy, "shared": bool(shared)}
    names = ("x", "y", "gy", "gx", "source")
    return fields, *(
      channels_last(arrays[f"case{number:02d}/{name}"]) for name in names
    )

  return load


@pytest.mark.parametrize("number", CASES)
def test_values_and_gradients_are_the_authors(case, number):
  fields, x, y, gy, gx, _ = case(number)
  ours, pull_back = jax.vjp(lambda x: reorder(x, **fields), x)
  chex.assert_trees_all_equal(ours, y)
  chex.assert_trees_all_equal(pull_back(gy)[0], gx)


@pytest.mark.parametrize("number", CASES)
def test_sources_are_the_authors(case, number):
  fields, x, _, _, _, expected = case(number)
  pixel = jnp.arange(x.shape[1] * x.shape[2], dtype=jnp.float32)
  pixel = jnp.broadcast_to(pixel.reshape(1, *x.shape[1:3], 1), x.shape)
  energy = energy_of(x, **fields)
  k = fields["n"] ** fields["levels"]
  chex.assert_shape(energy, (len(x), k, k, 1 if fields["shared"] else x.shape[-1]))
  sizes = {name: fields[name] for name in ("n", "levels")}
  source = jax.jit(lambda e: patches.patch_permutation(e, **sizes))(energy)
  assert source.dtype == jnp.int32 and energy.dtype == jnp.float32
  moved = jax.jit(patches.apply_permutation)(pixel, source)
  np.testing.assert_array_equal(moved, expected)


def test_the_authors_own_vector(golden):
  arrays = golden("patch_reorder")
  x, y, gy, gx = (
    channels_last(arrays[f"authors_test/{name}"]) for name in ("x", "y", "gy", "gx")
  )
  reorder = lambda x: patches.patch_reorder(x, energy="l1", shared=True)
  ours, pull_back = jax.vjp(reorder, x)
  np.testing.assert_array_equal(y[0, :, :, 0], [[3, 2], [1, 0]])
  chex.assert_trees_all_equal((ours, *pull_back(gy)), (y, gx))


@pytest.mark.parametrize("side, n, levels", [(12, 4, 1), (14, 7, 1), (17, 2, 3)])
@pytest.mark.parametrize("energy", ["l1", "l2"])
@pytest.mark.parametrize("shared", [False, True])
def test_values_are_those_of_plain_loops(side, n, levels, energy, shared):
  x = maps((2, side, side + 1, 3))
  fields = {"n": n, "levels": levels, "energy": energy, "shared": shared}
  y = reorder(x, **fields)
  np.testing.assert_array_equal(y, loops(np.asarray(x), **fields))


@pytest.mark.parametrize("fields", SETTINGS)
def test_each_channel_is_permuted_and_a_second_time_changes_nothing(fields):
  x = maps((2, 13, 14, 3))
  y = reorder(x, **fields)
  assert not jnp.array_equal(x, y)
  values = lambda a: jnp.sort(a.reshape(2, -1, 3), 1)
  chex.assert_trees_all_equal(values(x), values(y))
  chex.assert_trees_all_equal(reorder(y, **fields), y)


@pytest.mark.parametrize("fields", SETTINGS)
def test_energies_fall_in_raster_order(fields):
  y = reorder(maps((2, 12, 12, 3)), **fields)
  n, levels = fields["n"], fields.get("levels", 1)
  for level in range(1, levels + 1):
    coarse = {**fields, "levels": level}
    energy = energy_of(y, **coarse)
    parents = n ** (level - 1)
    split = energy.reshape(2, parents, n, parents, n, -1).swapaxes(2, 3)
    falls = jnp.diff(split.reshape(2, parents, parents, n * n, -1), axis=3)
    assert (falls <= 1e-5).all()


@pytest.mark.parametrize("fields", SETTINGS)
def test_permuted_blocks_of_the_first_level_change_nothing(fields):
  n, u = fields["n"], 12 // fields["n"]
  x = maps((2, 12, 12, 3))
  y = reorder(x, **fields)
  rolled = jnp.roll(x, (u, u), (1, 2))
  chex.assert_trees_all_equal(reorder(rolled, **fields), y)
  number = jax.random.permutation(jax.random.key(1), n * n).reshape(1, n, n, 1)
  shuffled = patches.apply_permutation(x, jnp.tile(number, (2, 1, 1, 1)))
  chex.assert_trees_all_equal(reorder(shuffled, **fields), y)


@pytest.mark.parametrize("name", SYMMETRIES)
@pytest.mark.parametrize("side, n, levels", [(16, 2, 4), (9, 3, 2)])
@pytest.mark.parametrize("shared", [False, True])
def test_full_depth_is_invariant_to_quarter_turns_and_flips(
  side, n, levels, shared, name
):
  same = lambda x: reorder(x, n=n, levels=levels, shared=shared)
  x = maps((64, side, side, 8))
  # Summed in another order, some of these many energies would swap by rounding.
  chex.assert_trees_all_equal(same(SYMMETRIES[name](x)), same(x))


def test_what_it_is_not_invariant_to():
  x = maps((1, 16, 16, 2))
  for levels in (1, 4):
    rolled = reorder(jnp.roll(x, 1, 1), levels=levels)
    assert not jnp.array_equal(rolled, reorder(x, levels=levels))
  turned = reorder(jnp.rot90(x, 1, (1, 2)), levels=1)
  assert not jnp.array_equal(turned, reorder(x, levels=1))


def test_identities_and_homogeneity():
  x = maps((2, 8, 8, 3))
  chex.assert_trees_all_equal(reorder(x, n=1, levels=2), x)
  flat = jnp.ones((1, 8, 8, 2)) * jnp.array([0.0, 2.0])
  ramp = jnp.where(jnp.arange(8)[:, None, None] % 4 == 0, flat, -flat)  # equal energies
  chex.assert_trees_all_equal(reorder(ramp), ramp)
  chex.assert_trees_all_equal(reorder(4 * x, levels=2), 4 * reorder(x, levels=2))


def test_the_remainder_stays():
  x = maps((2, 11, 9, 3))
  for remainder, (top, left) in {"topleft": (0, 0), "center": (1, 0)}.items():
    y = reorder(x, levels=2, remainder=remainder)
    inside = np.zeros(x.shape, bool)
    inside[:, top : top + 8, left : left + 8] = True
    np.testing.assert_array_equal(y[~inside], x[~inside])
    expected = reorder(x[:, top : top + 8, left : left + 8], levels=2)
    np.testing.assert_array_equal(y[inside], np.ravel(expected))


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_energies_of_short_floats_are_float32(dtype):
  x = maps((2, 32, 32, 3)).astype(dtype)
  energy = energy_of(x, n=2)
  exact = np.square(np.asarray(x, np.float64)).reshape(2, 2, 16, 2, 16, 3).sum((2, 4))
  assert energy.dtype == jnp.float32
  np.testing.assert_allclose(energy, exact, rtol=1e-6)
  y, pull_back = jax.vjp(lambda x: reorder(x, n=4), x)
  assert y.dtype == dtype
  wide = reorder(x.astype(jnp.float32), n=4)
  chex.assert_trees_all_equal(y.astype(jnp.float32), wide)
  chex.assert_trees_all_equal(pull_back(y)[0], x)


def test_a_nan_stays_visible_and_moves_first():
  x = maps((1, 8, 8, 2)).at[0, 5, 6, 1].set(jnp.nan)
  for fields in ({"n": 2}, {"n": 2, "levels": 3}, {"n": 8}):
    y = reorder(x, **fields)
    assert jnp.isnan(y[:, :4, :4]).sum() == jnp.isnan(y).sum() == 1


@pytest.mark.parametrize("fields", SETTINGS)
def test_jit_and_vmap(fields):
  plain_reorder = lambda x: patches.patch_reorder(x, **fields)
  x = maps((3, 2, 13, 12, 4))
  jitted = jax.jit(plain_reorder)
  plain = jnp.stack([jitted(batch) for batch in x])
  chex.assert_trees_all_equal(plain_reorder(x[0]), plain[0])
  chex.assert_trees_all_equal(jax.jit(jax.vmap(plain_reorder))(x), plain)
  chex.assert_trees_all_equal(jax.vmap(jax.jit(plain_reorder))(x), plain)
  square = lambda x: (plain_reorder(x) ** 2).sum()
  chex.assert_trees_all_equal(jax.vmap(jax.jit(jax.grad(square)))(x), 2 * x)


def test_images_do_not_mix():
  x = maps((4, 8, 8, 3))
  y = reorder(x, levels=2)
  chex.assert_trees_all_equal(reorder(x[::-1], levels=2), y[::-1])


@pytest.mark.parametrize(
  ("shape", "fields", "named"),
  [
    ((1, 8, 8, 1), {"n": 0}, "n is 0"),
    ((1, 8, 8, 1), {"levels": 0}, "levels is 0"),
    ((1, 8, 7, 1), {"levels": 3}, "8x7; 8x8 blocks"),
    ((1, 8, 8, 1), {"energy": "max"}, "'max'; choose one of l1, l2"),
    ((1, 8, 8, 1), {"remainder": "left"}, "'left'; choose topleft or center"),
  ],
)
def test_mistakes_are_named(shape, fields, named):
  with pytest.raises(ValueError, match=named):
    patches.patch_reorder(jnp.zeros(shape), **fields)


def test_an_energy_of_another_grid_is_refused():
  with pytest.raises(ValueError, match="4 blocks a side; n=2 and levels=1 make 2"):
    patches.patch_permutation(jnp.zeros((1, 4, 4, 1)), n=2, levels=1)
